"""`python -m tests.torture [--long] [name…]`: what is promised of crashes, counted, each beside its control.

Needs root (a Docker Engine of its own), redis-server, dockerd. Ends with 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Protocol

from bridge.demo import parts
from tests.torture import accept, cut, failover, race, recovery, walk


class Told(Protocol):
    """What an experiment gives."""

    @property
    def holds(self) -> bool:
        """Nothing went wrong with the product, and something with its control."""
        ...

    def told(self) -> str:
        """The counts."""
        ...


Experiment = Callable[[], Iterable[Told]]

SHORT: Mapping[str, Experiment] = {
    "accept": lambda: [accept.run(kills=50, control_kills=10)],
    "walk": lambda: [walk.deaths(deaths=50, control_deaths=8)],
    "pause": lambda: [walk.pauses(pauses=4, control_pauses=4)],
    "race": lambda: [race.run(calls=20_000, control_calls=3_000)],
    "cut": lambda: [cut.run(cuts=100, control_cuts=20)],
    "recovery": lambda: [recovery.run(rounds=2)],
    "drain": lambda: [recovery.drain(rounds=1)],
    "failover": lambda: [failover.run(kills=1, splits=1)],
}
LONG: Mapping[str, Experiment] = {
    "accept": lambda: [accept.run(kills=1_000, control_kills=50)],
    "walk": lambda: [walk.deaths(deaths=1_000, control_deaths=50)],
    "pause": lambda: [walk.pauses(pauses=40, control_pauses=12)],
    "race": lambda: [race.run(calls=400_000, control_calls=40_000)],
    "cut": lambda: [cut.run(cuts=1_000, control_cuts=200)],
    "recovery": lambda: [recovery.run(rounds=35)],
    "drain": lambda: [recovery.drain(rounds=20)],
    "failover": lambda: [failover.run(kills=10, splits=10)],
}


def main() -> int:
    """0: everything holds; 1: something does not; 2: something that is needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the full numbers: about an hour")
    parser.add_argument("name", nargs="*", metavar="name", help=f"of {', '.join(SHORT)}; all of them")
    options = parser.parse_args()
    if unknown := set(options.name) - set(SHORT):
        parser.error(f"no such experiment: {', '.join(sorted(unknown))}")
    experiments = LONG if options.long else SHORT
    print(circumstances(), flush=True)
    well = True
    for name in options.name or experiments:
        began = time.monotonic()
        try:
            results = list(experiments[name]())
        except parts.PartMissing as missing:
            print(missing, file=sys.stderr)
            return 2
        for result in results:
            print(result.told(), flush=True)
            well &= result.holds
            if not result.holds:
                print(f"{name:<9} DOES NOT HOLD", flush=True)
        print(f"{'':<9} {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return 0 if well else 1


def circumstances() -> str:
    """What the counts were made on."""
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "redis-py": metadata.version("redis"),
        "redis": _version("redis-server", "--version"),
        "docker": _version("dockerd", "--version"),
    }
    return " · ".join(f"{name} {value}" for name, value in told.items())


def _version(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "missing"
    numbers = (word.strip("v=,") for word in said.split())
    return next((number for number in numbers if number[:1].isdigit()), "unknown")


if __name__ == "__main__":
    sys.exit(main())
