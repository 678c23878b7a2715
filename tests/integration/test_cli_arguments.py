"""What people type is understood by a bridge, whatever their terminal made of it."""

from __future__ import annotations

import asyncio

import pytest

from bridge import cli
from tests.integration.serving import Running

LATIN_1 = "St\udcf6rung"
"""As Python gives an argument that is not in the encoding of its terminal."""


def asked(running: Running, *words: str) -> asyncio.Future[int]:
    """The exit code."""
    url = str(running.client.make_url("/"))
    return asyncio.ensure_future(asyncio.to_thread(cli.main, [*words, "--url", url]))


async def test_the_kill_switch_is_pulled_in_the_words_of_any_terminal(running: Running) -> None:
    """An operator whose terminal speaks Latin-1 was told that the body is no JSON."""
    assert await asked(running, "pause", "--why", LATIN_1, "--by", LATIN_1) == cli.GOOD
    _, paused = await running.get("/api/v1/pause")
    assert (paused["paused"], paused["why"], paused["by"]) == (True, "St\ufffdrung", "St\ufffdrung")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("incidents", "--target", LATIN_1), cli.GOOD),
        (("incidents", "--since", LATIN_1), cli.NO),
        (("explain", LATIN_1), cli.NO),
        (("approve", LATIN_1), cli.NO),
    ],
    ids=["target", "since", "explain", "approve"],
)
async def test_what_is_not_utf_8_is_asked_for_all_the_same(
    running: Running, words: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asked(running, *words) == code
    assert len(capsys.readouterr().err.splitlines()) == (code == cli.NO)


async def test_an_empty_time_is_not_for_ever(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """As a script passes it whose variable is not set."""
    assert await asked(running, "pause", "--for", "") == cli.BAD
    assert capsys.readouterr().err.startswith("hemostat: --for: is empty")
    assert (await running.get("/api/v1/pause"))[1] == {"paused": False}
