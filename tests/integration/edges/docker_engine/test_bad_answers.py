"""An Engine that refuses or talks nonsense: told apart by what can be done about it, in few words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bridge import errors
from bridge.edges.docker_engine import DockerEngine, DockerHost
from tests.integration.edges.docker_engine.containers import IDLE, RunContainer, full_id
from tests.servers.docker_engine import DockerEngineProxy


async def test_refusals_are_told_apart(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("refused", IDLE))
    body = b'{"message": "' + b"x" * 5000 + b'"}'
    kinds = {
        500: errors.EdgeUnavailable,
        503: errors.EdgeUnavailable,
        409: errors.EdgeRejected,
        403: errors.EdgeRejected,
    }
    for status, kind in kinds.items():
        rule = proxy.answer(lambda request: request.is_action("restart"), status=status, body=body)
        with pytest.raises(errors.EdgeError) as refused:
            await through.restart("here", known)
        assert type(refused.value) is kind
        assert f"restart of {known} on here: answered {status} xxx" in str(refused.value)
        assert len(str(refused.value)) < 450
        proxy.forgive(rule)


NONSENSE = [b"", b"<html>", b"[]", b"null", b"7", b'{"Id": 1}', b"\xff\xfe", b"[7]", b'[{"Id": "x"}]']


@pytest.mark.parametrize(
    ("path", "look", "bodies"),
    [
        ("/containers/sane/json", lambda edge, _: edge.inspect("here", "sane"), NONSENSE),
        ("/containers/json", lambda edge, _: edge.list("here"), [body for body in NONSENSE if body != b"[]"]),
        (
            "/events",
            lambda edge, known: edge.events("here", known, seconds=9),
            [body for body in NONSENSE if body],
        ),
        ("/logs", lambda edge, known: edge.log_tail("here", known, lines=5), [b"no frames", b"\x09" * 20]),
        ("/version", lambda edge, _: edge.ping("here"), [body for body in NONSENSE if body]),
    ],
    ids=["inspect", "list", "events", "logs", "version"],
)
async def test_nonsense_is_unavailable(
    through: DockerEngine,
    proxy: DockerEngineProxy,
    run_container: RunContainer,
    path: str,
    look: Callable[[DockerEngine, str], Awaitable[object]],
    bodies: list[bytes],
) -> None:
    known = full_id(run_container("sane", IDLE, stop_signal="KILL"))
    for body in bodies:
        rule = proxy.answer(lambda request: request.path.endswith(path), body=body)
        with pytest.raises(errors.EdgeUnavailable):
            await look(through, known)
        proxy.forgive(rule)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"ApiVersion": "newest"}', b'{"ApiVersion": null}'])
async def test_a_host_that_is_no_engine_is_unavailable(body: bytes) -> None:
    with DockerEngineProxy() as proxy:
        proxy.answer(lambda request: True, body=body)
        edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=1)])
        with pytest.raises(errors.EdgeUnavailable):
            await edge.list("here")
        await edge.close()
