"""``hemostat eval``: scenarios in, a table out. 0 good, 1 a bound is broken, 2 bad usage or a bad scenario."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge import cli
from bridge.cli import printing
from bridge.errors import ScenarioError
from bridge.triage.wording import count

if TYPE_CHECKING:
    from bridge.evaluation.providers import Provider
    from bridge.evaluation.report import Bound
    from bridge.evaluation.scenario import Scenario
    from bridge.model.secret import Secret
    from bridge.settings import Settings

PROVIDERS = ("rules", "baseline", "scripted", "anthropic", "openai", "always-restart", "always-escalate")
SETS = ("core", "recorded", "adversarial")
"""What is asked about unless a set is named. The held-out set is for the last look, not for every one."""


def describe(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    parser.add_argument("--provider", choices=PROVIDERS, default="rules", help="who judges (default rules)")
    parser.add_argument(
        "--model", default="", help="the model; for scripted: always-<verdict>, simulated-80, or a file"
    )
    parser.add_argument("--base-url", default="", help="another server that speaks the provider's protocol")
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        metavar="SET",
        help=f"a file, a folder, or a name; may be repeated (default {' '.join(SETS)})",
    )
    parser.add_argument("--repeat", type=_positive, default=1, metavar="N", help="ask each so often")
    parser.add_argument("--concurrency", type=_positive, default=4, metavar="N", help="so many at once")
    parser.add_argument("--max-usd", type=float, default=1.0, help="what a model may cost (default 1)")
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar="WHO",
        help="side by side: providers, as provider or provider:model, or files that --output json wrote",
    )
    parser.add_argument("-o", "--output", choices=["text", "json", "markdown"], default="text")
    parser.add_argument(
        "--fail-under",
        nargs="+",
        action="extend",
        default=[],
        metavar="METRIC=VALUE",
        help="exit 1 if a figure is worse than this, such as act_precision=1 forbidden=0; of a model's own answers also "
        "schema_valid, refusals, right_when_high and brier (evals/README.md lists all)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def evaluate(options: argparse.Namespace) -> int:
    """Exit 1 if a bound is broken or the money ran out; 2 for a scenario, a set or a provider that cannot be used."""
    from bridge.evaluation import report
    from bridge.evaluation.reading import read_sets

    bounds = [report.bound_of(text) for text in options.fail_under]
    scenarios = read_sets(options.sets or SETS)
    if options.compare:
        return _compare(options, scenarios, bounds)
    name = f"{options.provider}:{options.model}" if options.model else options.provider
    values, lines, broken = asyncio.run(_asked(options, name, scenarios, bounds))
    if options.output == "json":
        printing.as_json(values)
    elif options.output == "markdown":
        print("\n".join(report.as_markdown(report.table([values]))))
    else:
        print(f"{_sets(options)}: {count(len(scenarios), 'scenario')}\n")
        print("\n".join(report.as_text(report.table([values]))))
        if lines:
            print("\nnot as wanted:")
            print("\n".join(f"  {line}" for line in lines))
    return _told(broken)


def _sets(options: argparse.Namespace) -> str:
    return ", ".join(options.sets or SETS)


def _told(broken: Sequence[str]) -> int:
    for line in broken:
        print(f"hemostat: {line}", file=sys.stderr)
    return cli.NO if broken else cli.GOOD


def _compare(options: argparse.Namespace, scenarios: Sequence[Scenario], bounds: Sequence[Bound]) -> int:
    from bridge.evaluation import report

    if len(options.compare) < 2:
        raise ScenarioError(["--compare: name at least two"])
    outcomes, broken = [], []
    for name in options.compare:
        if Path(name).is_file():
            outcomes.append(_read(Path(name)))
            continue
        values, _, found = asyncio.run(_asked(options, name, scenarios, bounds))
        outcomes.append(values)
        broken += [f"{name}: {line}" for line in found]
    lines = [line for other in outcomes[1:] for line in report.differences(outcomes[0], other)]
    if options.output == "json":
        printing.as_json({"outcomes": outcomes, "differences": lines})
    elif options.output == "markdown":
        print("\n".join(report.as_markdown(report.table(outcomes))))
    else:
        print(f"{_sets(options)}: {count(len(scenarios), 'scenario')}\n")
        print("\n".join(report.as_text(report.table(outcomes))))
        print("\ndifferences:")
        print("\n".join(f"  {line}" for line in lines) or "  none")
    return _told(broken)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError([f"{path}: cannot be read as JSON: {error}"]) from None
    if not isinstance(found, dict) or "metrics" not in found:
        raise ScenarioError([f"{path}: is not what --output json writes"])
    return found


async def _asked(
    options: argparse.Namespace, name: str, scenarios: Sequence[Scenario], bounds: Sequence[Bound]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The outcome for machines, its misses, and what is not good enough."""
    from bridge import logs
    from bridge.evaluation import report, running
    from bridge.evaluation.consulting import Asked

    logs.set_up(level="ERROR", style="text")
    provider = _provider(options, name)
    try:
        outcome = await running.run(
            provider, scenarios, repeat=options.repeat, concurrency=options.concurrency
        )
    finally:
        if isinstance(provider, Asked):
            await provider.close()
    broken = [line for bound in bounds if (line := bound.broken_by(outcome.score)) is not None]
    lines = list(report.misses(outcome))
    if isinstance(provider, Asked):
        if provider.unpaid:
            asked = count(provider.unpaid, "question")
            broken.append(f"--max-usd {options.max_usd:g} did not suffice: {asked} left to the rules")
        lines += [
            f"no opinion, {count(often, 'time')}: {why}" for why, often in provider.problems.most_common(5)
        ]
    command = {"sets": options.sets or SETS, "repeat": options.repeat}
    return report.as_values(outcome, command=command), lines, broken


def _provider(options: argparse.Namespace, name: str) -> Provider:
    """Raises ScenarioError: there is none of this name, or it lacks something."""
    from bridge.evaluation import providers
    from bridge.model.verdict import VerdictKind
    from bridge.wiring import ruleset_of

    config = _settings(options)
    ruleset = ruleset_of(config)
    kind, _, model = name.partition(":")
    match kind:
        case "rules":
            return providers.Rules(thresholds=ruleset.thresholds)
        case "baseline":
            return providers.Baseline()
        case "always-restart":
            return providers.Always(kind=VerdictKind.REPAIR, name=kind)
        case "always-escalate":
            return providers.Always(kind=VerdictKind.ESCALATE, name=kind)
        case "scripted":
            return providers.scripted(model or "simulated-80", ruleset.thresholds, ruleset.on_failure)
        case "anthropic" | "openai":
            return _asked_model(options, config, kind, model)
        case _:
            raise ScenarioError(
                [f"there is no provider {name!r}: name one of {', '.join(PROVIDERS)}, or a file"]
            )


KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}


def _asked_model(options: argparse.Namespace, config: Settings, kind: str, model: str) -> Provider:
    """Raises ScenarioError: no key, or no model is named."""
    from bridge import settings
    from bridge.evaluation.consulting import Asked
    from bridge.settings.llm_values import DEFAULT_MODEL
    from bridge.wiring import model_of, redactor_of, ruleset_of, terms_of

    provider = settings.Provider(kind)
    configured = config.llm if config.llm.provider is provider else settings.Llm()
    key = configured.api_key or _key_of_environment(kind)
    base_url = options.base_url or configured.base_url
    if key is None and (kind == "anthropic" or not base_url):
        raise ScenarioError(
            [f"--provider {kind} needs a key: set ${KEYS[kind]}, or llm.api_key_file in --config.file"]
        )
    wanted = model or configured.model or DEFAULT_MODEL[provider]
    if not wanted:
        raise ScenarioError([f"--provider {kind} needs --model"])
    llm = replace(
        configured, provider=provider, model=wanted, base_url=base_url or None, api_key=key, enabled=True
    )
    if options.base_url:  # another server need not know the provider's other models
        llm = replace(llm, hard_model="")
    config = replace(config, llm=llm)
    edge = model_of(config)
    if edge is None:
        raise ScenarioError([f"--provider {kind} cannot be asked with this configuration"])
    ruleset, redactor = ruleset_of(config), redactor_of(config)
    return Asked(
        model=edge,
        terms=terms_of(config),
        thresholds=ruleset.thresholds,
        on_failure=ruleset.on_failure,
        max_usd=options.max_usd,
        redact=lambda text: redactor.text(text).text,
    )


def _key_of_environment(kind: str) -> Secret | None:
    from bridge.model.secret import Secret

    text = os.environ.get(KEYS[kind], "").strip()
    return Secret(text) if text else None


def _settings(options: argparse.Namespace) -> Settings:
    from bridge import settings

    return settings.load(options.config_file, environ=os.environ)
