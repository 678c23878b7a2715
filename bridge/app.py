"""The running bridge: what the HTTP interface asks of it, and what runs beside. Nothing is decided here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bridge import delivery, errors, evidence, logs, settings, web
from bridge.condition import Condition
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.episodes import StoredEpisodes
from bridge.edges.store.queue import StoredQueue
from bridge.edges.store.transitions import StoredTransitions
from bridge.event_watch import EventWatch
from bridge.judgement import Replayed, replay
from bridge.model.channel import Channel
from bridge.model.evidence import ContainerFacts
from bridge.model.identity import target_of
from bridge.model.incident import Answer, Target
from bridge.model.policy import narrowed
from bridge.model.share import Population, Share
from bridge.model.storm import Storm
from bridge.path_watch import PathWatch
from bridge.reconciliation import Reconciler
from bridge.redaction import Redactor
from bridge.roles import Answered, AnswerResult, BudgetState, Pause
from bridge.storm_watch import StormWatch
from bridge.wiring import Certificates, Parts, consultant_of, model_of, read_of, ruleset_of
from bridge.worker import Worker

log = logging.getLogger("hemostat.app")

PRUNE_SECONDS = 3600.0
STORE_RETRY_SECONDS = 1.0

TARGETS_SECONDS = 4.0
"""How long Docker is waited for, for all targets that are shown together; then they are shown without its word."""

TARGETS_AT_ONCE = 4
"""Asked about at once: the walk needs the same Engine, which is asked eight things at once at most."""


class Duty(StrEnum):
    """What a process does of the bridge's work; replicas on one Redis may share it out."""

    WEB = "web"
    """Takes in webhooks and answers the API."""
    WORKER = "worker"
    """Walks incidents; of the HTTP interface it answers only what whoever runs it asks."""


EVERYTHING = frozenset(Duty)


class HemoStat:
    """The running bridge, as ``web.Bridge`` sees it. ``load`` reads the configuration anew for a reload, ``certificates``
    are those of its HTTPS.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        load: Callable[[], settings.Settings],
        duties: frozenset[Duty] = EVERYTHING,
        certificates: Certificates | None = None,
    ) -> None:
        self.metrics = parts.metrics
        self._duties = duties
        self._aside: set[asyncio.Task[object]] = set()
        self._parts = parts
        self._load = load
        self._config = parts.config
        self._certificates = certificates
        self._acceptor = Acceptor(
            parts.store,
            backlog_limit=parts.config.store.backlog_limit,
            storm=parts.config.policy.limits.storm,
        )
        consumer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        lease = parts.config.worker.lease_seconds
        self._queue = StoredQueue(parts.store, consumer=consumer, lease_seconds=lease)
        self.worker = Worker(
            queue=self._queue,
            claims=parts.journal,
            walk=parts.pipeline.walk,
            stumbled=parts.pipeline.stumbled,
            deadman=parts.deadman,
            metrics=parts.metrics,
            concurrency=parts.config.worker.concurrency,
            lease_seconds=lease,
            crowded=lambda: self._acceptor.crowded,
        )
        transitions = StoredTransitions(parts.store)
        episodes = StoredEpisodes(parts.store)
        path = PathWatch(episodes=episodes, metrics=self.metrics)
        condition = Condition(
            parts,
            worker=self.worker if Duty.WORKER in duties else None,
            queue=self._queue,
            path=path,
        )

        # What ``web.Bridge`` asks of one part alone, under the name that it has there.
        self.hosts = parts.docker.hosts
        self.accept = self._acceptor.accept
        self.heard = path.heard
        self.incidents = parts.journal.newest
        self.alert_names = parts.journal.alert_names
        self.incident = parts.journal.read
        self.deliveries = parts.backlog.state
        self.paused = parts.budgets.paused
        self.now = parts.journal.now
        self.newest_event = transitions.newest
        self.events_after = transitions.after
        self.readiness = condition.readiness
        self.status = condition.status
        self.gauges = condition.gauges

        self.reconciler = self._reconciler_of(parts, episodes, consumer)
        self.event_watch = EventWatch(engines=parts.docker, history=parts.history, metrics=self.metrics)
        self.storm_watch = StormWatch(storms=parts.storms, judge=parts.judge)
        posts = any(sink.channel is Channel.ALERTMANAGER for sink in parts.sinks)
        self.metrics.posts_alerts.set(1 if posts else 0)
        self._loaded_well(True)

    def _reconciler_of(self, parts: Parts, episodes: StoredEpisodes, owner: str) -> Reconciler | None:
        upstream = parts.config.alertmanager
        if parts.alertmanager is None or upstream is None or upstream.reconcile_interval_seconds == 0:
            return None
        return Reconciler(
            alertmanager=parts.alertmanager,
            episodes=episodes,
            storms=parts.storms,
            budgets=parts.budgets,
            accept=self.accept,
            hosts=self.hosts,
            redactor=lambda: self.redactor,
            metrics=self.metrics,
            owner=owner,
            interval_seconds=upstream.reconcile_interval_seconds,
            receiver=upstream.receiver,
        )

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of text, as configured now."""
        return self._parts.judge.ruleset.redactor

    def tokens(self) -> Sequence[web.Token]:
        """Who may come in, as configured now."""
        return [
            web.Token(name=token.name, access=web.Access(token.role.value), secret=token.token)
            for token in self._config.web.tokens
        ]

    async def replay(self, incident_id: str) -> Replayed | None:
        """What the rules of today make of what was known then."""
        record = await self.incident(incident_id)
        return None if record is None else replay(record, self._parts.judge.ruleset)

    async def targets(self) -> Sequence[BudgetState]:
        """Every target that was ever looked at, with its budget; one that was known by several names once."""
        until, free = _soon(), asyncio.Semaphore(TARGETS_AT_ONCE)

        async def one(target: Target) -> BudgetState:
            async with free:
                return await self._budget(target, await self._seen(target, until))

        states = await asyncio.gather(*map(one, await self._parts.journal.known_targets()))
        return list({state.target: state for state in states}.values())

    async def target(self, target: Target) -> BudgetState | None:
        """One target, known to the journal or to Docker."""
        seen = await self._seen(target, _soon())
        if seen is None and target not in await self._parts.journal.known_targets():
            return None
        return await self._budget(target, seen)

    async def _seen(self, target: Target, until: float) -> ContainerFacts | None:
        """The container that is called so, as far as Docker says so by then (on the loop's clock)."""
        if target.host not in self.hosts() or asyncio.get_running_loop().time() >= until:
            return None
        with contextlib.suppress(errors.EdgeError, TimeoutError):
            async with asyncio.timeout_at(until):
                return await evidence.called(self._parts.docker, self._parts.judge.census.of, target)
        return None

    async def _budget(self, target: Target, facts: ContainerFacts | None) -> BudgetState:
        """Under the policy that a container-level alert would get, narrowed by the container's labels if it answers.

        ``target`` is any name of it; the answer has the one that budgets are kept by.
        """
        populations: Sequence[Population] = ()
        if facts is not None:
            with contextlib.suppress(errors.EdgeUnavailable, TimeoutError):
                async with asyncio.timeout(TARGETS_SECONDS):
                    populations = await self._parts.judge.census.around(facts)
        policy = self._parts.judge.ruleset.policy
        return await self._parts.budgets.state(
            target_of(facts) if facts else target,
            policy=narrowed(policy.root, facts.labels if facts else {}),
            limits=policy.limits,
            facts=facts,
            populations=populations,
        )

    async def reset(self, target: Target, *, by: str) -> bool:
        """Forget a target's cooldown, caps and breaker; gives whether anybody knows it."""
        seen = await self._seen(target, _soon())
        if seen is not None:
            target = target_of(seen)
        elif target not in await self._parts.journal.known_targets():
            return False
        await self._parts.budgets.reset(target, facts=seen)
        log.warning("target_reset", extra={"target": target.key, "by": by})
        return True

    async def answer(self, incident_id: str, answer: Answer, *, by: str) -> Answered:
        """Answer what an incident asks, as an operator."""
        answered = await self._parts.approvals.answer(incident_id, answer, by=by)
        if answered.result is AnswerResult.DONE:
            log.info("answered", extra={"incident": incident_id, "answer": answer.value, "by": by})
        return answered

    async def slack_interaction(self, body: bytes, headers: Mapping[str, str]) -> bool | None:
        """A click in Slack, sent over HTTP."""
        clicks, signatures = self._parts.clicks, self._parts.signatures
        if clicks is None or signatures is None:
            return None
        return clicks.take_signed(body, headers, signatures)

    async def retry_deliveries(self, channel: Channel, *, by: str) -> int | None:
        """Try what a sink did not take again."""
        count = await self._parts.backlog.retry(channel)
        if count is not None:
            log.info("deliveries_retried", extra={"channel": channel.value, "by": by, "incidents": count})
        return count

    async def pause(self, *, by: str, why: str, until: datetime | None) -> Pause:
        """Pull the kill switch."""
        paused = await self._parts.budgets.pause(by=by, why=why, until=until)
        log.warning("paused", extra={"by": by, "why": why, "until": until})
        return paused

    async def resume(self, *, by: str) -> None:
        """Release the kill switch."""
        await self._parts.budgets.resume()
        log.warning("resumed", extra={"by": by})

    async def storm(self) -> tuple[Storm | None, Sequence[Share]]:
        """The storm that is on, and the populations of which too many are sick."""
        return await self._parts.storms.now(), await self._parts.storms.suspects()

    async def reload(self) -> Sequence[errors.Problem]:
        """Everything fallible first; the old configuration stays alive if the new one cannot be used whole."""
        try:
            config = await asyncio.to_thread(self._load)  # reading and checking a large file takes a second
            ruleset = ruleset_of(config)
            if fixed := self._config.restart_only_differences(config):
                told = f"can only change with a restart: {', '.join(fixed)}"
                raise errors.SettingsError([errors.Problem("", 0, told)])
            shown = await asyncio.to_thread(read_of, config.web.tls) if config.web.tls is not None else None
            # In a thread, since the SDK of a model that was not asked before takes a second to import.
            model = await asyncio.to_thread(model_of, config) if Duty.WORKER in self._duties else None
        except errors.SettingsError as error:
            self._loaded_well(False)
            for problem in error.problems:
                log.error("reload_refused", extra={"problem": str(problem)})
            return error.problems
        # From here on nothing can fail.
        self._config = config
        if self._certificates is not None and shown is not None:
            self._certificates.take(shown)
        judge, before = self._parts.judge, self._parts.judge.consultant
        judge.ruleset = ruleset
        judge.consultant = consultant_of(config, model, store=self._parts.store, metrics=self.metrics)
        if before is not None:  # what it was asked before the reload it may still answer
            self.beside(before.close(finish=True), name="close-model")
        logs.change(level=config.log.level.value, style=config.log.format.value, redactor=ruleset.redactor)
        self._acceptor.storm = config.policy.limits.storm
        self._loaded_well(True)
        log.info("reloaded")
        return []

    def beside(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Do this beside everything else; nobody waits for it."""
        task = asyncio.create_task(work, name=name)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def watch_certificates(self) -> None:
        """Show renewed certificates as soon as they are there; without HTTPS there are none."""
        if self._certificates is not None:
            await self._certificates.watch(changed=self._show_how_loaded)

    def _loaded_well(self, well: bool) -> None:
        self._config_well = well
        if well:
            self.metrics.reload_timestamp.set_to_current_time()
        self._show_how_loaded()

    def _show_how_loaded(self) -> None:
        trouble = self._certificates is not None and self._certificates.trouble
        self.metrics.reload_successful.set(1 if self._config_well and not trouble else 0)

    async def note_birth(self) -> None:
        """Tell the store when it began to count, as soon as it answers."""
        while True:
            try:
                await self._parts.budgets.open()
            except errors.EdgeError:
                await asyncio.sleep(STORE_RETRY_SECONDS)
            else:
                return

    async def listen(self) -> None:
        """Hear clicks in Slack over Socket Mode, where that is configured."""
        slack = self._parts.config.slack
        if self._parts.clicks is not None and slack is not None and slack.app_token is not None:
            await self._parts.clicks.listen()

    async def tell(self) -> None:
        """Tell every configured sink what moves."""
        backlog = self._parts.backlog
        await delivery.tell(
            self._parts.sinks,
            backlog=backlog,
            metrics=self.metrics,
            redactor=lambda: self.redactor,
            lease_seconds=backlog.lease_seconds,
        )

    async def prune(self) -> None:
        """Forget closed incidents older than their retention, and workers that are gone, once an hour."""
        while True:
            try:
                await self._queue.forget_workers(idle_seconds=PRUNE_SECONDS)
                gone = await self._parts.journal.prune(
                    older_than=timedelta(seconds=self._config.store.retention_seconds)
                )
                if gone:
                    log.info("pruned", extra={"incidents": gone})
            except errors.EdgeError as error:
                log.warning("prune_failed", extra={"error": str(error)})
            await asyncio.sleep(PRUNE_SECONDS)


def _soon() -> float:
    """On the loop's clock."""
    return asyncio.get_running_loop().time() + TARGETS_SECONDS
