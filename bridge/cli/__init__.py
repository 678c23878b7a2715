"""The command line: arguments in, exit codes out. 0 good, 1 the answer is no, 2 bad usage or configuration.

No traceback reaches a user: what is expected to go wrong becomes one line that says what to do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from bridge import errors

GOOD, NO, BAD = 0, 1, 2
BY_SIGNAL = 128
"""Added to the number of a signal, as a shell tells how a command ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["exporter"]:  # its flags are its own, and it must not pay for our imports
        return _exporter(arguments[1:])
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Unicode shows \u2026
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _written():
            return _run(arguments)
    except KeyboardInterrupt:  # also while the modules are loaded, which takes a second on a busy machine
        return BY_SIGNAL + signal.SIGINT
    except BrokenPipeError:  # whoever read it has seen enough, as with `| head`
        return BY_SIGNAL + signal.SIGPIPE
    except OSError as error:
        print(f"hemostat: {error}", file=sys.stderr)
        return NO


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """What was printed is out at the end. Raises: OSError: it is not, and Python must not try again as it exits."""
    try:
        yield
    finally:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def _run(arguments: Sequence[str]) -> int:
    from bridge.cli.arguments import parser

    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except errors.SettingsError as error:
        where = getattr(options, "config_file", None) or "hemostat"
        for problem in error.problems:
            print(f"{where}: {problem}", file=sys.stderr)
        return BAD
    except errors.ScenarioError as error:
        for line in error.problems:
            print(f"hemostat: {line}", file=sys.stderr)
        return BAD
    except (errors.StoreBusy, errors.BackupPathError) as error:
        print(f"hemostat: {error}", file=sys.stderr)
        return BAD
    except errors.BridgeError as error:
        print(f"hemostat: {error}", file=sys.stderr)
        return NO


def _exporter(arguments: Sequence[str]) -> int:
    """In place of this process: the exporter knows nothing of the bridge, and needs none of its memory."""
    os.execv(sys.executable, [sys.executable, "-m", "exporters.docker", *arguments])  # noqa: S606  # our own module
