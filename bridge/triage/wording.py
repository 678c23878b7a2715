"""Numbers and codes as people read them in a verdict's reason. Nothing here takes untrusted text."""

from __future__ import annotations

from bridge.model.evidence import ContainerFacts

EXIT_CODES: dict[int, str] = {
    1: "it ended with an error",
    2: "it ended with an error or a wrong argument",
    125: "Docker could not run it",
    126: "its command cannot be executed",
    127: "its command was not found",
    128: "it could not be started",
    129: "hung up (SIGHUP)",
    130: "interrupted (SIGINT)",
    132: "illegal instruction (SIGILL)",
    133: "trap (SIGTRAP)",
    134: "aborted (SIGABRT)",
    135: "bus error (SIGBUS)",
    136: "arithmetic error (SIGFPE)",
    137: "killed (SIGKILL)",
    139: "segmentation fault (SIGSEGV)",
    141: "broken pipe (SIGPIPE)",
    143: "told to end (SIGTERM)",
    159: "forbidden system call (SIGSYS)",
}


def code(facts: ContainerFacts) -> str:
    """Its exit code in brackets, explained if the code is a known one; nothing if it is unknown."""
    if facts.exit_code is None:
        return ""
    meaning = EXIT_CODES.get(facts.exit_code)
    return f" (exit code {facts.exit_code}: {meaning})" if meaning else f" (exit code {facts.exit_code})"


def up(facts: ContainerFacts) -> str:
    """For how long it is up, in brackets; nothing if that is unknown."""
    return "" if facts.uptime_seconds is None else f" (up {span(facts.uptime_seconds)})"


def count(number: int, thing: str) -> str:
    """A number of things, in the singular where it is one."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def share(of_one: float) -> str:
    """A share of 1 in per cent, without pretending to more digits than matter."""
    return f"{of_one * 100:.0f} %" if abs(of_one) >= 0.1 else f"{of_one * 100:.1f} %"


def span(seconds: float) -> str:
    """A time span in the one unit that reads best; a negative one is zero."""
    seconds = max(seconds, 0.0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"
