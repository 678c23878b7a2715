"""The running bridge: what the HTTP interface asks of it, and its life from start to stop.

Start: store, then work, then the door. Stop: the door first, then the work, the store last. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiohttp import web as http

from bridge import delivery, errors, logs, settings, web
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.dump import last_success
from bridge.edges.store.episodes import StoredEpisodes
from bridge.edges.store.queue import StoredQueue
from bridge.edges.store.transitions import StoredTransitions
from bridge.event_watch import EventWatch
from bridge.judgement import Replayed, replay
from bridge.model.channel import Channel
from bridge.model.incident import Answer, Target
from bridge.model.policy import narrowed
from bridge.model.share import Population, Share, ShareScope
from bridge.model.storm import Storm
from bridge.path_watch import PathWatch
from bridge.reconciliation import Reconciler
from bridge.redaction import Redactor
from bridge.roles import Answered, AnswerResult, BudgetState, Pause
from bridge.storm_watch import StormWatch
from bridge.web.server import runner_of
from bridge.wiring import Parts, consultant_of, model_of, parts_of, ruleset_of
from bridge.worker import Worker

log = logging.getLogger("hemostat.app")

PRUNE_SECONDS = 3600.0
READINESS_SECONDS = 2.0
"""How long one look at the neighbours serves everybody who asks ``/-/ready``."""

STORE_RETRY_SECONDS = 1.0


class Duty(StrEnum):
    """What a process does of the bridge's work; replicas on one Redis may share it out."""

    WEB = "web"
    """Takes in webhooks and answers the API."""
    WORKER = "worker"
    """Walks incidents; of the HTTP interface it answers only what whoever runs it asks."""


EVERYTHING = frozenset(Duty)


class HemoStat:
    """The running bridge, as ``web.Bridge`` sees it. ``load`` reads the configuration anew for a reload."""

    def __init__(
        self, parts: Parts, *, load: Callable[[], settings.Settings], duties: frozenset[Duty] = EVERYTHING
    ) -> None:
        self.metrics = parts.metrics
        self._duties = duties
        self._aside: set[asyncio.Task[object]] = set()
        self._parts = parts
        self._load = load
        self._config = parts.config
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
        self._path = PathWatch(episodes=episodes, metrics=self.metrics)

        # What ``web.Bridge`` asks of one part alone, under the name that it has there.
        self.hosts = parts.docker.hosts
        self.accept = self._acceptor.accept
        self.heard = self._path.heard
        self.incidents = parts.journal.newest
        self.incident = parts.journal.read
        self.deliveries = parts.backlog.state
        self.paused = parts.budgets.paused
        self.now = parts.journal.now
        self.newest_event = transitions.newest
        self.events_after = transitions.after

        self.reconciler = self._reconciler_of(parts, episodes, consumer)
        self.event_watch = EventWatch(engines=parts.docker, history=parts.history, metrics=self.metrics)
        self.storm_watch = StormWatch(storms=parts.storms, judge=parts.judge)
        self._readiness: web.Readiness | None = None
        self._readiness_until = 0.0
        self._alertmanager: str | None = "not asked yet"
        self._alertmanager_until = 0.0
        self._started_at = datetime.now(UTC)
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

    # ---- as web.Bridge -------------------------------------------------------------------------------------------

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
        """Every target that was ever looked at, with its budget."""
        return [await self._budget(target) for target in await self._parts.journal.known_targets()]

    async def target(self, target: Target) -> BudgetState | None:
        """One target, known to the journal or to Docker."""
        known = target in await self._parts.journal.known_targets()
        if not known and target.host in self.hosts():
            with contextlib.suppress(errors.EdgeUnavailable):
                known = await self._parts.docker.inspect(target.host, target.name) is not None
        return await self._budget(target) if known else None

    async def _budget(self, target: Target) -> BudgetState:
        """Under the policy that a container-level alert would get, narrowed by the container's labels if it answers."""
        facts = None
        populations: Sequence[Population] = ()
        if target.host in self.hosts():
            with contextlib.suppress(errors.EdgeUnavailable):
                facts = await self._parts.docker.inspect(target.host, target.name)
                populations = await self._parts.judge.census.around(facts) if facts else ()
        policy = self._parts.judge.ruleset.policy
        return await self._parts.budgets.state(
            target,
            policy=narrowed(policy.root, facts.labels if facts else {}),
            limits=policy.limits,
            facts=facts,
            populations=populations,
        )

    async def reset(self, target: Target, *, by: str) -> None:
        """Forget a target's cooldown, caps and breaker."""
        await self._parts.budgets.reset(target)
        log.warning("target_reset", extra={"target": target.key, "by": by})

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

    async def readiness(self) -> web.Readiness:
        """Store, and for a worker its loop and every Docker host, looked at no more often than each READINESS_SECONDS."""
        if self._readiness is None or time.monotonic() > self._readiness_until:
            works = Duty.WORKER in self._duties
            hosts = self.hosts() if works else ()
            troubles = await asyncio.gather(
                self._trouble(self._parts.journal.writable()),
                *(self._trouble(self._parts.docker.ping(h)) for h in hosts),
            )
            parts: dict[str, str | None] = {"store": troubles[0]}
            if works:
                parts["worker"] = (
                    None if self.worker.alive() else "the worker loop gets no answer from the store"
                )
            parts |= {f"docker/{host}": trouble for host, trouble in zip(hosts, troubles[1:], strict=True)}
            self._readiness = web.Readiness(parts=parts)
            # A "no" is looked at again soon: whoever waits for a start should not wait for a cache.
            self._readiness_until = time.monotonic() + (READINESS_SECONDS if self._readiness.ready else 0.25)
        return self._readiness

    async def status(self) -> web.Status:
        """How it stands, with Alertmanager, for which nothing waits."""
        readiness, alertmanager = await asyncio.gather(self.readiness(), self._alertmanager_trouble())
        policy = self._parts.judge.ruleset.policy
        return web.Status(
            started_at=self._started_at,
            mode=policy.root.mode,
            route_modes=tuple(mode for mode in policy.modes() if mode is not policy.root.mode),
            ready=readiness.ready,
            parts={**readiness.parts, **alertmanager},
        )

    async def _alertmanager_trouble(self) -> Mapping[str, str | None]:
        """Empty where none is configured."""
        api = self._parts.alertmanager
        if api is None:
            return {}
        if time.monotonic() > self._alertmanager_until:
            self._alertmanager_until = time.monotonic() + READINESS_SECONDS
            self._alertmanager = await self._trouble(_said_ready(api))
        return {"alertmanager": self._alertmanager}

    @staticmethod
    async def _trouble(asked: Awaitable[object]) -> str | None:
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                await asked
        except TimeoutError:
            return f"no answer within {READINESS_SECONDS:g} s"
        except errors.EdgeError as error:
            return str(error)
        return None

    async def gauges(self) -> None:
        """Bring the gauges up to date; a store that does not answer leaves them as they were and says so."""
        try:
            async with asyncio.timeout(READINESS_SECONDS):
                depth, untold = await self._queue.depth(), await self._parts.backlog.depth()
                self.metrics.incidents_open.set(await self._parts.journal.open_count())
                self.metrics.paused.set(0 if await self.paused() is None else 1)
                await self._path.gauges()
                limits = self._parts.judge.ruleset.policy.limits
                self.metrics.fleet_actions.set(await self._parts.budgets.fleet_actions(limits))
                self.metrics.fleet_actions_allowed.set(limits.fleet.max)
                storm, suspects = await self.storm()
                self.metrics.storm.set(0 if storm is None else 1)
                for scope in ShareScope:
                    number = sum(share.population.scope is scope for share in suspects)
                    self.metrics.shares_suspect.labels(scope.value).set(number)
                backup, drill = await last_success(self._parts.store)
        except (TimeoutError, errors.EdgeError):
            self.metrics.store_up.set(0)
            return
        self.metrics.store_up.set(1)
        self.metrics.backup_success.set(backup)
        self.metrics.drill_success.set(drill)
        for queue, entries in depth.items():
            self.metrics.backlog.labels(queue).set(entries)
        for channel, waiting in untold.items():
            self.metrics.backlog.labels(f"deliver_{channel}").set(waiting)

    async def reload(self) -> Sequence[errors.Problem]:
        """Everything fallible first; the old configuration stays alive if the new one cannot be used whole."""
        try:
            config = await asyncio.to_thread(self._load)  # reading and checking a large file takes a second
            ruleset = ruleset_of(config)
            if fixed := self._config.restart_only_differences(config):
                told = f"can only change with a restart: {', '.join(fixed)}"
                raise errors.SettingsError([errors.Problem("", 0, told)])
            # In a thread, since the SDK of a model that was not asked before takes a second to import.
            model = await asyncio.to_thread(model_of, config) if Duty.WORKER in self._duties else None
        except errors.SettingsError as error:
            self._loaded_well(False)
            for problem in error.problems:
                log.error("reload_refused", extra={"problem": str(problem)})
            return error.problems
        # From here on nothing can fail.
        self._config = config
        judge, before = self._parts.judge, self._parts.judge.consultant
        judge.ruleset = ruleset
        judge.consultant = consultant_of(config, model, store=self._parts.store, metrics=self.metrics)
        if before is not None:  # what it was asked before the reload it may still answer
            self.beside(before.close(finish=True), name="close-model")
        logs.redact_with(ruleset.redactor)
        self._acceptor.storm = config.policy.limits.storm
        logging.getLogger().setLevel(config.log.level.value.upper())
        self._loaded_well(True)
        log.info("reloaded")
        return []

    def beside(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Do this beside everything else; nobody waits for it."""
        task = asyncio.create_task(work, name=name)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _loaded_well(self, well: bool) -> None:
        self.metrics.reload_successful.set(1 if well else 0)
        if well:
            self.metrics.reload_timestamp.set_to_current_time()

    # ---- background ----------------------------------------------------------------------------------------------

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


async def serve(
    config: settings.Settings,
    *,
    load: Callable[[], settings.Settings],
    on_listening: Callable[[str], None],
    duties: frozenset[Duty] = EVERYTHING,
) -> None:
    """Run the bridge, or a part of it, until SIGTERM or SIGINT, then stop within ten seconds.

    ``on_listening`` gets the real URL (the port may have been 0). Raises ``StoreBusy``, ``EdgeUnavailable`` and
    ``OSError`` (the address is taken) before anything was accepted.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with parts_of(config, with_model=Duty.WORKER in duties) as parts:
        hemostat = HemoStat(parts, load=load, duties=duties)
        loop.add_signal_handler(signal.SIGHUP, lambda: hemostat.beside(hemostat.reload(), name="reload"))
        interface = web.application if Duty.WEB in duties else web.operations
        app = interface(hemostat, tokens=hemostat.tokens, max_body_bytes=config.web.max_body_bytes)
        runner = runner_of(app)
        await runner.setup()
        host, port = config.web.address
        tls = tls_of(config.web.tls) if config.web.tls else None
        root = asyncio.create_task(_run(hemostat, parts, duties), name="root")
        try:
            site = http.TCPSite(runner, host or None, port, ssl_context=tls, backlog=1024)
            await site.start()
            real = runner.addresses[0]
            on_listening(f"{'https' if tls else 'http'}://{_shown(real[0])}:{real[1]}")
            waiting = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({root, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if root.done():  # a root task never ends by itself: what it raised ends the process
                raise _first(root.exception()) or RuntimeError("a root task ended")
            log.info("stopping")
        finally:
            # The door first: what was accepted is durable, what was not will be sent again.
            await runner.cleanup()
            root.cancel()
            await asyncio.gather(root, return_exceptions=True)


async def _run(hemostat: HemoStat, parts: Parts, duties: frozenset[Duty]) -> None:
    async with asyncio.TaskGroup() as group:
        if parts.server is not None:
            group.create_task(parts.server.until_exit(), name="embedded-store")
        group.create_task(parts.store.follow(), name="store-follow")
        group.create_task(hemostat.note_birth(), name="note-birth")
        if Duty.WORKER in duties:
            group.create_task(hemostat.worker.run(), name="worker")
            group.create_task(hemostat.tell(), name="tell")
            group.create_task(hemostat.listen(), name="listen")
            group.create_task(hemostat.prune(), name="prune")
            group.create_task(hemostat.storm_watch.run(), name="storm-watch")
            group.create_task(hemostat.event_watch.run(), name="event-watch")
            if hemostat.reconciler is not None:
                group.create_task(hemostat.reconciler.run(), name="reconcile")
        # A task that has done its work must not end the process; one that fails does.
        await asyncio.Event().wait()


async def _said_ready(api: AlertmanagerApi) -> None:
    """Raises EdgeUnavailable: it is there and says that it is not."""
    if not await api.ready():
        raise errors.EdgeUnavailable("alertmanager", "answers that it is not ready")


def _first(error: BaseException | None) -> BaseException | None:
    """The first of several errors that ended a task group together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def tls_of(tls: settings.WebTls) -> ssl.SSLContext:
    """The server's TLS context. Raises OSError or ssl.SSLError: a file cannot be read or does not fit."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_ca_file)
    context.load_cert_chain(tls.cert_file, tls.key_file)
    context.verify_mode = {
        settings.ClientAuth.NONE: ssl.CERT_NONE,
        settings.ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
        settings.ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
    }[tls.client_auth_type]
    return context


def loader(
    path: Path | None, environ: Mapping[str, str], change: Callable[[settings.Settings], settings.Settings]
) -> Callable[[], settings.Settings]:
    """Reads the same file again, with the same flags applied on top."""
    return lambda: change(settings.load(path, environ=environ))


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
