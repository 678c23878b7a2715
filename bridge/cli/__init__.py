"""The command line: arguments in, exit codes out. 0 good, 1 the answer is no, 2 bad usage or configuration.

No traceback reaches a user: what is expected to go wrong becomes one line that says what to do.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from bridge import errors

GOOD, NO, BAD = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["exporter"]:  # its flags are its own, and it must not pay for our imports
        return _exporter(arguments[1:])
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
    except (errors.BridgeError, OSError) as error:
        print(f"hemostat: {error}", file=sys.stderr)
        return NO
    except KeyboardInterrupt:
        return 130


def _exporter(arguments: Sequence[str]) -> int:
    """In place of this process: the exporter knows nothing of the bridge, and needs none of its memory."""
    os.execv(sys.executable, [sys.executable, "-m", "exporters.docker", *arguments])  # noqa: S606  # our own module
