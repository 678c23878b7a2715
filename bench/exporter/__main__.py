"""Measures everything in turn and prints a table."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time

import bench.exporter
from bench.exporter.cost import beside_the_floor, idle, quiet_requests, scrapes
from bench.exporter.fleet import fleet
from bench.exporter.growth import growth, repeated, simulated
from bench.exporter.reaction import reaction
from bench.exporter.subject import Exporter
from bench.exporter.trouble import churn, hung
from bench.exporter.turns import checkout, turns
from bench.figures import Figure, table
from bridge.demo import parts


def main() -> int:
    """0: measured, whatever came out; 2: something that is needed is missing."""
    options = _arguments().parse_args()
    if options.repeat:
        print(json.dumps(repeated(options.docker, options.repeat)))
        return 0
    begun = time.monotonic()
    load = os.getloadavg()[0]
    try:
        found = measure(options)
    except parts.PartMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    print(table(found))
    print(
        f"\ncontainers {options.containers} · Engine {_engine_version()} · cores {os.cpu_count()} · "
        f"load before {load:.2f} · {time.strftime('%F')} · took {time.monotonic() - begun:.0f} s"
    )
    print(" ".join(["python -m bench.exporter", *sys.argv[1:]]))
    return 0


def measure(options: argparse.Namespace) -> list[Figure]:
    found: list[Figure] = []
    with fleet(options.containers) as engine:
        if options.turns:
            return turns(
                engine,
                options.turns,
                count=options.containers,
                rounds=options.rounds,
                churn_seconds=options.churn,
            )
        with Exporter(engine.url) as exporter:
            exporter.wait_for(options.containers)
            found += scrapes(exporter, engine, options.containers, rounds=options.rounds)
            found += beside_the_floor(exporter, rounds=options.rounds)
            found.append(idle(exporter))
            found += reaction(exporter, engine, times=options.reactions)
            found += churn(exporter, engine, seconds=options.churn)
            found += hung(exporter, engine, seconds=options.hang)
        found.append(quiet_requests(engine, options.containers))
        found += growth(engine)
    found += simulated(options.simulated)
    return found


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.exporter", description=(bench.exporter.__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--containers", type=int, default=300, help="size of the fleet (300)")
    parser.add_argument("--rounds", type=int, default=40, help="scrapes of each kind (40)")
    parser.add_argument("--reactions", type=int, default=20, help="containers started and killed (20)")
    parser.add_argument("--churn", type=float, default=60, help="seconds of containers coming and going (60)")
    parser.add_argument(
        "--hang", type=float, default=60, help="seconds for which the Engine stands still (60)"
    )
    parser.add_argument(
        "--simulated", type=int, default=5000, help="containers of the scripted Engine (5000)"
    )
    parser.add_argument(
        "--turns",
        type=checkout,
        metavar="CHECKOUT",
        help="nothing but scrapes, quiet and in churn, in turns with the exporter of another checkout of this project",
    )
    parser.add_argument("--repeat", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--docker", default="", help=argparse.SUPPRESS)
    return parser


def _engine_version() -> str:
    told = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version ([\d.]+)", told)
    return found[1] if found else "unknown"


if __name__ == "__main__":
    sys.exit(main())
