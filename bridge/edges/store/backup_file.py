"""A backup as a file: gzipped lines of JSON, a header first and a seal last. Knows files, not the store.

    {"format": "hemostat-backup", "version": 1, "taken_at": …, "server": …}
    {"name": "incident:…", "kind": "hash", "values": […], …}        see bridge.edges.store.portable.Piece
    {"sealed": {"pieces": …, "sha256": …, "digest": …, …}}

Whatever has no seal, or does not match it, is no backup.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Self, TypeVar, cast

import msgspec

from bridge import errors
from bridge.edges.store.portable import Digest, Piece, line_of

T = TypeVar("T")

FORMAT = "hemostat-backup"
VERSION = 1
LEVEL = 4
"""Of gzip: twice as fast as its default, and a tenth larger."""

MAX_LINE_BYTES = 256 * 1024 * 1024


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was known before anything was read. ``taken_at`` is RFC 3339 by the server's clock, ``fence`` its last token."""

    format: str
    version: int
    taken_at: str
    hemostat: str
    server: dict[str, str]
    fence: int
    incidents: int


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole backup ends with. ``sha256`` is of all lines before, ``digest`` of the content in any order.

    ``fence`` and ``clock_ms`` are the last token given and the highest time a grant was given at; ``paused`` says
    who had pulled the kill switch, and why.
    """

    pieces: int
    keys: int
    incidents: int
    open: int
    fence: int
    clock_ms: int
    paused: str
    sha256: str
    digest: str


class _Sealed(msgspec.Struct, frozen=True):
    sealed: Seal


_header = msgspec.json.Decoder(Header)
_piece = msgspec.json.Decoder(Piece)
_sealed = msgspec.json.Decoder(_Sealed)
SEAL_BEGINS = b'{"sealed":'


class BackupWriter:
    """Writes beside the file and takes its name only once all of it is on disk: there is a whole backup or none.

    For ``with``: on any error what was written is removed, and an earlier backup of that name stays as it was.
    """

    def __init__(self, path: Path) -> None:
        """Raises: BackupPathError: it cannot be written there, or another backup is being written there now."""
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        with _told(f"cannot write {path}", errors.BackupPathError):
            if path.exists() and not path.is_file():
                raise errors.BackupPathError(f"cannot write {path}: it is no regular file")
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._partial, flags, 0o600), "wb")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise errors.BackupPathError(f"another backup to {path} is being written now") from None
            os.fchmod(self._file.fileno(), 0o600)
            os.ftruncate(self._file.fileno(), 0)
        self._gzip = gzip.GzipFile("", "wb", LEVEL, cast("IO[bytes]", self._file), mtime=0)
        self._sha256 = hashlib.sha256()
        self._digest = Digest()
        self._pieces = 0

    def head(self, header: Header) -> None:
        """The first line."""
        self._write(line_of(header))

    def add(self, pieces: Iterable[Piece]) -> None:
        """One line for each."""
        for piece in pieces:
            self._digest.add([piece])
            self._pieces += 1
            self._write(line_of(piece))

    def seal(
        self, *, keys: int, incidents: int, open: int, fence: int, clock_ms: int, paused: str
    ) -> tuple[Seal, int]:
        """The last line, then the file takes its name; gives its size, too. Raises: BackupFailed: the disk is full, or fails."""
        seal = Seal(
            pieces=self._pieces,
            keys=keys,
            incidents=incidents,
            open=open,
            fence=fence,
            clock_ms=clock_ms,
            paused=paused,
            sha256=self._sha256.hexdigest(),
            digest=self._digest.text(),
        )
        self._write(line_of(_Sealed(seal)))
        with _told(f"cannot write {self._path}"):
            self._gzip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            size = os.fstat(self._file.fileno()).st_size
            self._partial.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # the name is on disk, too
            finally:
                os.close(folder)
        return seal, size

    def _write(self, line: bytes) -> None:
        self._sha256.update(line)
        with _told(f"cannot write {self._path}"):
            self._gzip.write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        with contextlib.suppress(OSError):  # what a full disk refused once more on closing was told already
            self._gzip.close()
        if raised[0] is not None:
            self._partial.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()


class BackupReader:
    """An open backup, read as often as needed: the same file, even if its name is given to another one meanwhile."""

    def __init__(self, path: Path) -> None:
        """Raises: BackupPathError: it cannot be opened."""
        self.path = path
        with _told(f"cannot read {path}", errors.BackupPathError):
            # Not blocking: a FIFO nobody writes to would otherwise be waited for.
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                os.close(opened)
                raise errors.BackupPathError(f"cannot read {path}: it is no regular file")
            self._file = os.fdopen(opened, "rb")

    def verified(self) -> tuple[Header, Seal]:
        """The header and the seal, once every line was read and found to match it. Raises: BackupDamaged."""
        sha256, digest, pieces = hashlib.sha256(), Digest(), 0
        header: Header | None = None
        seal: Seal | None = None
        for line in self._lines():
            if seal is not None:
                raise self._damaged("something follows its last line")
            if header is None:
                header = self._header(line)
            elif line.startswith(SEAL_BEGINS):
                seal = self._decoded(_sealed, line).sealed
                continue
            else:
                digest.add([self._decoded(_piece, line)])
                pieces += 1
            sha256.update(line)
        if header is None:
            raise self._foreign("it is empty")
        if seal is None:
            raise self._damaged(f"it is cut off after {pieces} keys")
        if (seal.pieces, seal.sha256, seal.digest) != (pieces, sha256.hexdigest(), digest.text()):
            raise self._damaged("its content is not what it was sealed with")
        return header, seal

    def pieces(self) -> Iterator[Piece]:
        """The content again, after ``verified``."""
        lines = self._lines()
        next(lines)
        for line in lines:
            if not line.startswith(SEAL_BEGINS):
                yield self._decoded(_piece, line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        lines = gzip.GzipFile(fileobj=self._file, mode="rb")
        count = 0
        try:
            while line := lines.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n"):
                    raise self._damaged(f"line {count + 1} has no end")
                count += 1
                yield line
        except EOFError as error:
            raise self._damaged(f"it is cut off after {count} lines") from error
        except gzip.BadGzipFile as error:
            raise (
                self._damaged(f"after {count} lines: {error}")
                if count
                else self._foreign("it is no gzip file")
            ) from error
        except zlib.error as error:
            raise self._damaged(f"after {count} lines: {error}") from error
        except OSError as error:
            raise errors.BackupFailed(f"cannot read {self.path}: {error.strerror}") from error

    def _header(self, line: bytes) -> Header:
        try:
            header = _header.decode(line)
        except msgspec.MsgspecError as error:
            raise self._foreign("its first line is not the header of one") from error
        if header.format != FORMAT:
            raise self._foreign("its first line is not the header of one")
        if header.version != VERSION:
            raise errors.BackupDamaged(
                f"{self.path} has format {header.version}, written by HemoStat {header.hemostat[:40]!r}; this one"
                f" reads format {VERSION}: restore it with that version"
            )
        return header

    def _decoded(self, decoder: msgspec.json.Decoder[T], line: bytes) -> T:
        try:
            return decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._damaged("a line of it is not what a backup holds") from error

    def _damaged(self, how: str) -> errors.BackupDamaged:
        return errors.BackupDamaged(
            f"{self.path} is damaged, nothing was restored: {how}; take another backup"
        )

    def _foreign(self, how: str) -> errors.BackupDamaged:
        return errors.BackupDamaged(f"{self.path} is no backup of HemoStat: {how}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _told(what: str, kind: type[errors.BridgeError] = errors.BackupFailed) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror}") from error
