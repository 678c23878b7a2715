"""What is wrong with a configuration, collected while it is read: every problem with its path and line."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.errors import Problem

Path = tuple[str | int, ...]
"""Where a value stands: ``("policy", "caps", 0, "per")``."""


def dotted(path: Path) -> str:
    """``policy.caps[0].per``."""
    text = ""
    for step in path:
        if isinstance(step, str) and not step.isprintable():
            step = repr(step)
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(value: object) -> str:
    """A value for a message, cut. Never to be called with what may hold a secret."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


@dataclass(slots=True)
class Findings:
    """Problems so far, and the lines of the values they may be about."""

    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)

    def add(self, path: Path, message: str, *, line: int | None = None) -> None:
        """Note a problem of this value; from now on it counts as absent. ``line`` where it is not the value's own."""
        self.spoiled.add(path)
        self.problems.append(Problem(dotted(path), self._line(path) if line is None else line, message))

    def add_environment(self, name: str, message: str) -> None:
        """Note a problem of an environment variable."""
        self.problems.append(Problem(f"${name}", 0, message))

    def in_order(self) -> list[Problem]:
        """All problems, those of the file by line, then those of the environment."""
        return sorted(self.problems, key=lambda problem: (problem.line == 0, problem.line, problem.path))

    def _line(self, path: Path) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)
