"""Reads one mapping of the configuration key by key. What is wrong is noted and its default stands in, so that one
run finds every problem. The document's shape was checked before: an unspoiled value has the schema's type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TypeVar

from bridge.model.duration import parse_duration
from bridge.model.secret import Secret
from bridge.settings.findings import Findings, Path, shown
from bridge.settings.notation import is_placeholder

MAX_FILE_BYTES = 256 * 1024
"""A secret is short; a bundle of CA certificates may have a few hundred KiB."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One mapping of the file. ``folder`` is where relative paths begin: the file's own directory."""

    values: dict[str, object]
    path: Path
    folder: FilePath
    findings: Findings

    def has(self, key: str) -> bool:
        """Whether the key is given, right or wrong."""
        return key in self.values

    def gives(self, key: str) -> bool:
        """Whether the key is given and nothing was wrong with it so far."""
        return self._sound(key) is not None

    def note(self, key: str, message: str) -> None:
        """Note a problem of this key; ``""`` means the section itself."""
        self.findings.add((*self.path, key) if key else self.path, message)

    def text(self, key: str, default: T) -> str | T:
        """A text, or the default."""
        value = self._sound(key)
        return value if isinstance(value, str) else default

    def whole(self, key: str, default: T) -> int | T:
        """A whole number, or the default."""
        value = self._sound(key)
        return int(value) if isinstance(value, int | float) else default

    def number(self, key: str, default: T) -> float | T:
        """A number, or the default."""
        value = self._sound(key)
        return float(value) if isinstance(value, int | float) else default

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false, or the default."""
        value = self._sound(key)
        return value if isinstance(value, bool) else default

    def seconds(self, key: str, default: float, *, least: float = 0.0) -> float:
        """A duration, in seconds; shorter than ``least`` is a problem."""
        seconds = self.parsed(key, parse_duration, default)
        if seconds < least and (*self.path, key) not in self.findings.spoiled and self.has(key):
            self.note(key, f"must be at least {least:g}s")
            return default
        return seconds

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """A text's meaning; what ``parse`` raises as ``ValueError`` is the problem's message."""
        text = self.text(key, None)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.note(key, str(error))
            return default

    def parsed_items(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """The meaning of every sound element of a list of texts (or numbers), each problem noted at its element."""
        found = []
        for index, item in self._items(key):
            try:
                found.append(parse(str(item)))
            except ValueError as error:
                self.findings.add((*self.path, key, index), str(error))
        return tuple(found)

    def section(self, key: str) -> Section:
        """The section below this key; empty where it is not given."""
        value = self._sound(key)
        values = value if isinstance(value, dict) else {}
        return Section(values=values, path=(*self.path, key), folder=self.folder, findings=self.findings)

    def sections(self, key: str) -> list[Section]:
        """The sound mappings of a list, each with its own path."""
        return [
            Section(values=item, path=(*self.path, key, index), folder=self.folder, findings=self.findings)
            for index, item in self._items(key)
            if isinstance(item, dict)
        ]

    def file(self, key: str) -> FilePath | None:
        """A file that can be read, or ``None`` where none is named."""
        name = self.text(key, None)
        if name is None:
            return None
        return self.folder / name if self._content(key, self.folder / name) is not None else None

    def secret(self, key: str) -> Secret | None:
        """What ``key`` holds, or the file named by ``key_file`` without surrounding white space."""
        file_key = f"{key}_file"
        if self.has(key) and self.has(file_key):
            self.note(file_key, f"only one of {key} and {file_key} may be given")
            return None
        name = self.text(file_key, None)
        if name is None:
            return self._written_secret(key)
        content = self._content(file_key, self.folder / name)
        if content is None:
            return None
        if not content.strip():
            self.note(file_key, f"{shown(name)} is empty")
            return None
        return Secret(content.strip())

    def required_secret(self, key: str) -> Secret | None:
        """As ``secret``; that neither way is given is a problem."""
        if not self.has(key) and not self.has(f"{key}_file"):
            self.note(key, f"is missing: give {key} or {key}_file")
        return self.secret(key)

    def _written_secret(self, key: str) -> Secret | None:
        """A secret that stands in the file itself. A placeholder is known to whoever has seen the template."""
        value = self.text(key, None)
        if value is not None and is_placeholder(value):
            self.note(
                key, f"is a placeholder that nobody filled in: give {key}_file; this file knows no variables"
            )
            return None
        return None if value is None else Secret(value)

    def _content(self, key: str, path: FilePath) -> str | None:
        """A small file's text; the message names the file and never what stands in it."""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            if len(content) <= MAX_FILE_BYTES:
                return content.decode("utf-8")
            why = f"is larger than {MAX_FILE_BYTES // 1024} KiB"
        except OSError as error:
            why = (error.strerror or "unreadable").lower()
        except UnicodeDecodeError:
            why = "is not UTF-8"
        except ValueError:
            why = "is not a file name"
        self.note(key, f"cannot read {shown(str(path))}: {why}")
        return None

    def _sound(self, key: str) -> object:
        return None if (*self.path, key) in self.findings.spoiled else self.values.get(key)

    def _items(self, key: str) -> list[tuple[int, object]]:
        value = self._sound(key)
        items = enumerate(value) if isinstance(value, list) else ()
        return [
            (index, item) for index, item in items if (*self.path, key, index) not in self.findings.spoiled
        ]
