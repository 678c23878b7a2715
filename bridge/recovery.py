"""``hemostat backup``, ``restore`` and ``drill``: the store into a file, out of it, and a proof that it would work."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge import errors
from bridge.edges.store.backup_file import FORMAT, VERSION, BackupReader, BackupWriter, Header
from bridge.edges.store.connection import Store, milliseconds
from bridge.edges.store.dump import Dump, names_incident
from bridge.edges.store.embedded import EmbeddedStore
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.portable import Piece
from bridge.model.incident import IncidentQuery, State

READ_AGAIN = 200
"""Of the newest closed incidents, to see that this version reads what is in the backup."""

LONGEST_REASON = 200
"""Characters of who paused and why, as a restore repeats them."""

LEASE_SECONDS = 1.0
"""Nothing is claimed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What ``backup`` did. ``unrecorded`` says why the store does not know of it, ``""`` if it does."""

    path: str
    taken_at: str
    keys: int
    incidents: int
    open: int
    bytes: int
    seconds: float
    digest: str
    unrecorded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What ``restore`` did. ``fence`` is the last token as of now; ``digest`` is the backup's, and that of what was read again."""

    path: str
    taken_at: str
    keys: int
    incidents: int
    open: int
    fence: int
    seconds: float
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What ``drill`` found. ``unrecorded`` as in ``BackedUp``."""

    path: str
    taken_at: str
    age_seconds: float
    keys: int
    incidents: int
    open: int
    seconds: float
    digest: str
    unrecorded: str = ""


async def back_up(store: Store, path: Path, *, version: str) -> BackedUp:
    """Write all of the store to ``path``, which is absolute. Raises: BackupFailed, EdgeError: there is no new file, an old one stays."""
    began = time.monotonic()
    dump = Dump(store)
    with BackupWriter(path) as writer:
        vitals = await dump.vitals()
        found = _Found(vitals.now)
        taken_at = vitals.now.isoformat(timespec="seconds")
        writer.head(
            Header(
                format=FORMAT,
                version=VERSION,
                taken_at=taken_at,
                hemostat=version,
                server=vitals.server,
                fence=vitals.fence,
                incidents=vitals.incidents,
            )
        )
        async for pieces in dump.everything():
            found.see(pieces)
            writer.add(pieces)
        # How far a scan has got means nothing to another server: it would go on, and miss keys.
        if (await dump.vitals()).server != vitals.server:
            raise errors.BackupFailed("another server has become the master meanwhile: repeat the backup")
        seal, size = writer.seal(
            keys=found.keys,
            incidents=found.incidents,
            open=found.open,
            fence=found.fence,
            clock_ms=found.clock_ms,
            paused=found.paused,
        )
    return BackedUp(
        path=str(path),
        taken_at=taken_at,
        keys=seal.keys,
        incidents=seal.incidents,
        open=seal.open,
        bytes=size,
        seconds=time.monotonic() - began,
        digest=seal.digest,
        unrecorded=await _noted(dump, "backup", path),
    )


async def restore(store: Store, path: Path, *, force: bool = False) -> Restored:
    """Fill the store from ``path`` and leave HemoStat paused.

    Raises: BackupFailed, BackupDamaged: before anything was written. RestoreFailed: a bridge is at work, the store is
    not empty and ``force`` was not given; or it went away in the middle, or does not hold afterwards what was written:
    then it stays paused, and another ``restore`` with ``force`` begins anew.
    """
    began = time.monotonic()
    with BackupReader(path) as reader:
        header, seal = reader.verified()
        dump = Dump(store)
        if await dump.worked_on():
            raise errors.RestoreFailed("a bridge is at work on this store: stop it, and restore then")
        if not force and not await dump.is_empty():
            raise errors.RestoreFailed("the store is not empty: --force replaces everything in it")
        unfinished = f"the restore of {path} is under way, or did not end well: repeat it with --force"
        fence = await dump.rebirth(why=unfinished, fence=seal.fence, clock_ms=seal.clock_ms)
        try:
            await dump.clear()
            await dump.load(reader.pieces())
        except errors.EdgeError as error:
            raise errors.RestoreFailed(
                f"the store is restored in part and paused ({error}): repeat it with --force"
            ) from error
    held = (await dump.digest()).text()
    if held != seal.digest:
        raise errors.RestoreFailed(
            f"the store does not hold what was restored (digest {held[:16]}…, not {seal.digest[:16]}…):"
            " something else writes to it; stop that, and repeat with --force. HemoStat stays paused"
        )
    await _readable(store)
    before = f"; paused before: {seal.paused}" if seal.paused else ""
    await dump.why_paused(
        f"restored from a backup of {header.taken_at}: what was done since is unknown; look, then resume{before}"
    )
    return Restored(
        path=str(path),
        taken_at=header.taken_at,
        keys=seal.keys,
        incidents=seal.incidents,
        open=seal.open,
        fence=fence,
        seconds=time.monotonic() - began,
        digest=held,
    )


async def drill(path: Path, *, now: datetime) -> Drilled:
    """Restore ``path`` into a server that is started for this and thrown away. Raises as ``restore`` does."""
    with tempfile.TemporaryDirectory(prefix="hemostat-drill-") as folder:
        server = EmbeddedStore(Path(folder) / "store")
        began = time.monotonic()
        store = Store(await server.start())
        try:
            await store.command("CONFIG", "SET", "appendonly", "no")  # it will be thrown away
            restored = await restore(store, path)
        finally:
            await store.close()
            await server.stop()
    return Drilled(
        path=restored.path,
        taken_at=restored.taken_at,
        age_seconds=(now - datetime.fromisoformat(restored.taken_at)).total_seconds(),
        keys=restored.keys,
        incidents=restored.incidents,
        open=restored.open,
        seconds=time.monotonic() - began,
        digest=restored.digest,
    )


async def newest(store: Store) -> Path:
    """The file of the last backup. Raises: BackupPathError: the store knows of none."""
    path = await Dump(store).newest_path()
    if path is None:
        raise errors.BackupPathError("the store knows of no backup: take one, or name a FILE")
    return Path(path)


async def note_drill(store: Store, path: Path) -> str:
    """Tell the store that a drill worked; gives why it could not be told, ``""`` if it was."""
    return await _noted(Dump(store), "drill", path)


async def _noted(dump: Dump, what: str, path: Path) -> str:
    try:
        await dump.note(what, str(path))
    except errors.EdgeError as error:  # a replica, for one, can be read from and not written to
        return str(error)
    return ""


async def _readable(store: Store) -> None:
    """Raises: RestoreFailed: this version does not understand an incident, so that it could not go on with it."""
    journal = StoredJournal(store, lease_seconds=LEASE_SECONDS)
    try:
        closed, _ = await journal.newest(IncidentQuery(state=State.CLOSED, limit=READ_AGAIN))
        for incident in closed:
            if incident.unreadable:
                raise errors.Unreadable(incident.id, incident.unreadable)
        for incident_id in await Dump(store).open_incidents():
            await journal.readable(incident_id)
    except errors.Unreadable as error:
        raise errors.RestoreFailed(
            f"an incident cannot be read by this version of HemoStat ({error.why}): restore with the version"
            " that made the backup. HemoStat stays paused"
        ) from error


class _Found:
    """What is counted and remembered of the pieces on their way into a file."""

    def __init__(self, now: datetime) -> None:
        self._now_ms = milliseconds(now)
        self.keys = self.incidents = self.open = self.fence = self.clock_ms = 0
        self.paused = ""

    def see(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self.keys += piece.before == 0
            self.incidents += names_incident(piece.name)
            match piece.name:
                case "open":
                    self.open += len(piece.values) // 2
                case "fence":
                    self.fence = int(piece.values[0])
                case "clock":
                    self.clock_ms = int(piece.values[0])
                case "pause":
                    fields = dict(zip(piece.values[::2], piece.values[1::2], strict=True))
                    if not fields.get("until") or int(fields["until"]) > self._now_ms:
                        self.paused = f"{fields.get('by', '')}: {fields.get('why', '')}"[:LONGEST_REASON]
