"""`python -m bench [intake|steady|reaction|evidence|triage|deliveries|rest|restore]`: the figures in the docs, measured again. Prints; writes only if told to."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict

from bench import deliveries, evidence, figures, intake, reaction, recovery, rest, steady, triage
from bench.figures import Figure
from bridge.demo import parts


def main() -> int:
    """0: measured, whatever came out; 2: something that is needed is missing."""
    options = _arguments().parse_args()
    measures: Mapping[str, Callable[[], list[Figure]]] = {
        "intake": lambda: intake.measure(rounds=options.rounds, seconds=options.seconds),
        "steady": lambda: steady.measure(rounds=1),
        "reaction": lambda: reaction.measure(incidents=3 * options.rounds),
        "evidence": lambda: evidence.measure(looks=40 * options.rounds),
        "triage": lambda: triage.measure(incidents=20 * options.rounds),
        "deliveries": lambda: deliveries.measure(outcomes=8 * options.rounds, incidents=200 * options.rounds),
        "rest": lambda: rest.measure(seconds=10 * options.seconds),
        "restore": lambda: recovery.measure(incidents=options.incidents),
    }
    chosen = [options.what] if options.what else list(measures)
    try:
        about = figures.circumstances(_redis_version())
        found = [figure for name in chosen for figure in measures[name]()]
    except parts.PartMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    command = " ".join(["python -m bench", *sys.argv[1:]])
    if options.output == "json":
        told = {"command": command, **about, "figures": [asdict(figure) for figure in found]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(figures.table(found))
        print("\n" + " · ".join(f"{name} {value}" for name, value in about.items()))
        print(command)
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["intake", "steady", "reaction", "evidence", "triage", "deliveries", "rest", "restore"],
        help="all of them",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="alternating rounds; 3 incidents each, of evidence 40, of triage 20 (5)",
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="length of one load; rest takes ten times it (3)"
    )
    parser.add_argument(
        "--incidents", type=int, default=100_000, help="in the store that is restored (100000)"
    )
    parser.add_argument("--output", choices=["table", "json"], default="table")
    return parser


def _redis_version() -> str:
    program = parts.find_program("redis-server", "valkey-server", package="redis-server")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word.removeprefix("v=") for word in told.split() if word.startswith("v=")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
