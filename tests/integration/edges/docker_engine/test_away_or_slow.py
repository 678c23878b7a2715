"""An Engine that is away, hangs or drips: every call ends by its deadline, and in nobody else's way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.edges.docker_engine.connection import READS_AT_ONCE
from tests.integration.edges.docker_engine.containers import IDLE, RunContainer, full_id, inspected
from tests.servers.docker_engine import DockerEngineProxy

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    "url",
    ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "unix:///dev/null"],
    ids=["no-socket", "refused", "no-server"],
)
async def test_away(url: str) -> None:
    edge = DockerEngine([DockerHost(name="here", url=url, timeout_seconds=1)])
    for call in (
        edge.list("here"),
        edge.inspect("here", "web"),
        edge.restart("here", "a" * 64),
        edge.ping("here"),
    ):
        with pytest.raises(errors.EdgeUnavailable, match=r"^docker: .*here"):
            await call
    await edge.close()


async def test_comes_back_by_itself(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("returning", IDLE))
    assert (await inspected(through, "returning")).id == known
    with proxy.refusing_connections():
        with pytest.raises(errors.EdgeUnavailable):
            await through.inspect("here", "returning")
    facts = await inspected(through, "returning")
    assert facts.id == known
    assert facts.host_now is not None


async def test_a_hanging_host_delays_nobody_else(
    engine: parts.DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    run_container("unharmed", IDLE)
    held = proxy.hang()
    hosts = [
        DockerHost(name="sick", url=proxy.url, timeout_seconds=60),
        DockerHost(name="here", url=engine.url),
    ]
    edge = DockerEngine(hosts)
    waiting = [asyncio.create_task(edge.inspect("sick", "web")) for _ in range(30)]
    await asyncio.to_thread(proxy.wait_for_request, lambda request: True, seconds=15)
    assert (await inspected(edge, "unharmed")).running
    assert not any(task.done() for task in waiting)
    held.drop()
    await edge.close()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_calls_to_a_hanging_host_end_together_and_not_one_after_the_other(
    through: DockerEngine, proxy: DockerEngineProxy
) -> None:
    """What waits for a free place waits as long as a call may take, and is then never sent."""
    proxy.hang()
    waiting = [through.inspect("here", "web") for _ in range(30)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {errors.EdgeUnavailable}
    assert sum("not sent" in str(answer) for answer in answers) >= 30 - 2 * READS_AT_ONCE
    assert len(proxy.requests) <= 2 * READS_AT_ONCE


async def test_a_hanging_host_does_not_keep_the_process_from_ending(proxy: DockerEngineProxy) -> None:
    proxy.hang()
    script = (
        "import asyncio, sys\nfrom bridge.edges.docker_engine import DockerEngine, DockerHost\n"
        "async def main():\n"
        "    edge = DockerEngine([DockerHost(name='here', url=sys.argv[1], timeout_seconds=60)])\n"
        "    asyncio.create_task(edge.list('here')); await asyncio.to_thread(sys.stdin.read); await edge.close()\n"
        "asyncio.run(main())"
    )
    argv = [sys.executable, "-c", script, proxy.url]
    child = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, cwd=ROOT)
    await asyncio.to_thread(proxy.wait_for_request, lambda request: True, seconds=20)
    assert child.stdin is not None
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 20) == 0  # of the 60 s that the call has


async def test_dripping_answer_ends_at_the_deadline(through: DockerEngine, proxy: DockerEngineProxy) -> None:
    await through.ping("here")
    proxy.answer_slowly(lambda request: request.path == "/containers/json", piece=b" ", every_seconds=0.1)
    patient = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=60)])
    waiting = asyncio.create_task(patient.list("here"))
    with pytest.raises(errors.EdgeUnavailable):
        await through.list("here")
    assert not waiting.done()
    waiting.cancel()
    await patient.close()


async def test_a_log_takes_a_second_at_most(
    engine: parts.DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    container = run_container("slow-log", "echo one")
    edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=60)])
    await edge.ping("here")
    held = proxy.hang(lambda request: request.path.endswith(("/logs", "/containers/json")))
    waiting = asyncio.create_task(edge.list("here"))
    with pytest.raises(errors.EdgeUnavailable, match=r"no answer within 0\.8 s|read timeout=0\.[67]"):
        await edge.log_tail("here", full_id(container), lines=10)
    assert not waiting.done()
    held.drop()
    waiting.cancel()
    await edge.close()
