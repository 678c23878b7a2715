"""The commands and their flags. What a command does is its own file's."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any, TypeAlias

from bridge import metrics
from bridge.cli import asking, evaluating, offline, recovering, serving
from bridge.model.duration import parse_duration

Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"

URL = "http://127.0.0.1:9095"


class _Parser(argparse.ArgumentParser):
    """Takes no flag that is cut short: it would be another one once there is a second of that beginning, and
    ``--token SECRET`` would be the name of a file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})


def parser() -> argparse.ArgumentParser:
    """For every command its flags, and what carries it out as ``command``."""
    root = _Parser(
        prog="hemostat",
        description="From a firing Prometheus alert to a verified repair of a container, or to a page for a human.",
        epilog="Exit codes: 0 good, 1 the answer is no, 2 bad usage or configuration.",
    )
    root.add_argument("--version", action="version", version=f"hemostat {metrics.VERSION}")
    commands = root.add_subparsers(metavar="command", required=True)
    _serve(commands)
    _offline(commands)
    _asking(commands)
    _answering(commands)
    _pausing(commands)
    _recovery(commands)
    _evaluating(commands)
    _demo(commands)
    commands.add_parser(
        "exporter", help="export a Docker host's containers to Prometheus (own --help)", add_help=False
    )
    return root


def _serve(commands: Commands) -> None:
    serve = commands.add_parser("serve", help="run the bridge")
    _configured(serve)
    serve.add_argument(
        "--web.listen-address", dest="listen_address", metavar="HOST:PORT", help="where to listen"
    )
    serve.add_argument(
        "--web.insecure",
        dest="insecure",
        action="store_true",
        help="listen beyond loopback although no token is configured: whoever reaches the port can cause repairs",
    )
    serve.add_argument(
        "--roles",
        default="web,worker",
        metavar="ROLE,…",
        help="what this process does: web takes in webhooks and answers the API, worker repairs (default both); any number "
        "of processes share the work of one Redis",
    )
    serve.set_defaults(command=serving.serve)


def _offline(commands: Commands) -> None:
    check = commands.add_parser("check-config", help="say everything that is wrong with a configuration file")
    check.add_argument("config_file", metavar="FILE", type=Path)
    check.set_defaults(command=offline.check_config)

    doctor = commands.add_parser("doctor", help="ask every neighbour once, and say what to do")
    _configured(doctor)
    _output(doctor)
    _ask_model(doctor, "ask the configured model one small question, which costs a fraction of a cent")
    doctor.set_defaults(command=offline.doctor)

    simulate = commands.add_parser(
        "simulate", help="what would be decided for this webhook now; acts on nothing"
    )
    simulate.add_argument("payload", metavar="PAYLOAD.json", help="a webhook's body; - reads standard input")
    _configured(simulate)
    _output(simulate)
    _ask_model(simulate, "ask the configured model, too, within its budget; else the rules decide alone")
    simulate.set_defaults(command=offline.simulate)

    backtest = commands.add_parser(
        "backtest", help="judge past incidents again by today's rules, and say what would differ; reads only"
    )
    backtest.add_argument(
        "--since", metavar="DURATION", type=_duration, help="not older than this, such as 7d"
    )
    backtest.add_argument(
        "--limit", type=_number, default=1000, help="at most this many, newest first (default 1000)"
    )
    _configured(backtest)
    _output(backtest)
    backtest.set_defaults(command=offline.backtest)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _asking(commands: Commands) -> None:
    incidents = commands.add_parser("incidents", help="what happened, newest first")
    incidents.add_argument("--state", help="open, waiting, judged, reserved, acting, verifying, closed")
    incidents.add_argument(
        "--outcome", help="healed, not_healed, relapsed, unverified, refused, no_action, …"
    )
    incidents.add_argument("--target", help="host/name, or a name")
    incidents.add_argument("--since", help="for how long, such as 2h; or an RFC 3339 time, or Unix seconds")
    incidents.add_argument("--limit", type=_number, default=20, help="at most this many (default 20)")
    _output(incidents)
    _bridge(incidents)
    incidents.set_defaults(command=asking.incidents)

    explain = commands.add_parser(
        "explain", help="one incident whole: evidence, verdict, every guard, what was done"
    )
    explain.add_argument("id", metavar="ID")
    explain.add_argument(
        "--replay",
        action="store_true",
        help="judge the same evidence again by the rules of today; exit 1 if the verdict differs",
    )
    _output(explain)
    _bridge(explain)
    explain.set_defaults(command=asking.explain)


def _answering(commands: Commands) -> None:
    for verb, command, told in (
        ("approve", asking.approve, "let an incident do what it asks for"),
        ("reject", asking.reject, "say no to what an incident asks for"),
    ):
        answer = commands.add_parser(verb, help=told)
        answer.add_argument("id", metavar="ID")
        answer.add_argument(
            "--by", default=os.environ.get("USER", ""), help="who (default: you); a token's name wins"
        )
        _output(answer)
        _bridge(answer)
        answer.set_defaults(command=command)


def _pausing(commands: Commands) -> None:
    pause = commands.add_parser("pause", help="pull the kill switch: no repair begins until resume")
    pause.add_argument(
        "--for", dest="duration", metavar="DURATION", help="resume by itself after this, such as 2h"
    )
    pause.add_argument("--why", default="", help="for whoever asks why nothing happens")
    pause.add_argument(
        "--by", default=os.environ.get("USER", ""), help="who (default: you); a token's name wins"
    )
    _output(pause)
    _bridge(pause)
    pause.set_defaults(command=asking.pause)

    resume = commands.add_parser("resume", help="release the kill switch")
    _output(resume)
    _bridge(resume)
    resume.set_defaults(command=asking.resume)


def _recovery(commands: Commands) -> None:
    backup = commands.add_parser("backup", help="write all of the store to a file; the bridge may run")
    backup.add_argument("file", metavar="FILE", type=Path, help="replaced once the new backup is whole")
    _configured(backup)
    _output(backup)
    backup.set_defaults(command=recovering.backup)

    restore = commands.add_parser(
        "restore",
        help="fill an empty store from a backup, and leave HemoStat paused; the bridge must not run",
    )
    restore.add_argument("file", metavar="FILE", type=Path, help="what `hemostat backup` wrote")
    restore.add_argument("--force", action="store_true", help="replace what is in the store")
    _configured(restore)
    _output(restore)
    restore.set_defaults(command=recovering.restore)

    drill = commands.add_parser(
        "drill", help="restore a backup into a store made for this, and throw that away"
    )
    drill.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="default: the last backup that the store knows of"
    )
    _configured(drill)
    _output(drill)
    drill.set_defaults(command=recovering.drill)


def _evaluating(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "eval", help="put labelled scenarios to the rules or to a model, and say how good the verdicts are"
    )
    evaluating.describe(evaluate)
    evaluate.add_argument("--config.file", dest="config_file", metavar="FILE", type=Path, help="whose rules")
    evaluate.set_defaults(command=evaluating.evaluate)


def _demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="watch three sick containers, on real parts started for this")
    demo.add_argument("--keep", action="store_true", help="leave the stack up and print its addresses")
    demo.set_defaults(command=_run_demo)


def _run_demo(options: argparse.Namespace) -> int:
    from bridge.demo import show

    return show.run(keep=options.keep)


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config.file", dest="config_file", metavar="FILE", type=Path, help="hemostat.yml")
    parser.add_argument(
        "--storage.path", dest="storage_path", metavar="DIR", type=Path, help="the embedded store's directory"
    )
    parser.add_argument("--log.level", dest="log_level", choices=["debug", "info", "warn", "error"])
    parser.add_argument("--log.format", dest="log_format", choices=["text", "json"])


def _ask_model(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument("--ask-model", dest="ask_model", action="store_true", help=told)


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")


def _bridge(parser: argparse.ArgumentParser) -> None:
    url = os.environ.get("HEMOSTAT_URL") or URL
    parser.add_argument("--url", default=url, help=f"the bridge (default $HEMOSTAT_URL, else {URL})")
    parser.add_argument("--token-file", type=Path, help="bearer token (default $HEMOSTAT_TOKEN)")
    parser.add_argument(
        "--ca-file", type=Path, help="who signed the bridge's certificate, if no public authority"
    )
    parser.add_argument("--cert-file", type=Path, help="certificate to show it, where it asks for one")
    parser.add_argument("--key-file", type=Path, help="its key, if not in the same file")
