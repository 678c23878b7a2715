"""``GET /``: what is served and under which policy; and, in a real browser, that it shows everything as text and says
when it is not live."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from importlib import resources
from urllib.parse import urljoin

import pytest
from yarl import URL

from bridge.demo import parts
from bridge.model.alert import Alert
from bridge.model.incident import Outcome
from bridge.model.policy import Mode, Policy, Route, TargetPolicy
from bridge.web import events
from tests.browser import Chromium, Page
from tests.conftest import started
from tests.integration import outcomes
from tests.integration.desk import Desk, alert
from tests.integration.serving import TOKENS, Running, config_of
from tests.waiting import until

FILES = {entry.name: entry.read_text() for entry in resources.files("bridge").joinpath("ui").iterdir()}
NAMED = re.compile(r'(?:href|src)="([^"#]+)"|from "\./([^"]+)"')


def desk_of(running: Running) -> Desk:
    """The store behind it."""
    return Desk(running.parts.store, running.parts.journal, running.bridge._acceptor)


# ---- what is served ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", *(f"/ui/{name}" for name in sorted(FILES))])
async def test_every_file_comes_with_a_policy_that_lets_only_its_own_kind_in(
    start: Callable[..., Awaitable[Running]], path: str
) -> None:
    """Nothing inline, nothing from elsewhere, no framing, no markup out of text; without a token, for it holds nothing."""
    running = await start(tokens=TOKENS)
    async with running.client.get(path) as answer:
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"].split("; ")
        headers = answer.headers
    assert policy[0] == "default-src 'none'"
    assert {"script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(
        policy
    )
    assert {"base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"


async def test_a_file_that_is_known_already_is_not_sent_again(running: Running) -> None:
    """304 for its own ETag, the file for any other."""
    async with running.client.get("/ui/live.js") as answer:
        etag = answer.headers["ETag"]
    async with running.client.get("/ui/live.js", headers={"If-None-Match": f'"x", W/{etag}'}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", etag)
    async with running.client.get("/ui/live.css", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200


async def test_all_that_the_page_names_is_there_and_all_that_is_there_is_named(running: Running) -> None:
    """By relative addresses, so that it also works below a proxy's prefix."""
    inside = {f"/ui/{name}" for name in FILES if name != "index.html"}
    named = {urljoin("/", match[0]) for match in NAMED.findall(FILES["index.html"]) if match[0]}
    named |= {f"/ui/{match[1]}" for text in FILES.values() for match in NAMED.findall(text) if match[1]}
    assert not [match for match in NAMED.findall(FILES["index.html"]) if match[0].startswith(("/", "http"))]
    assert inside <= named
    for path in named - {"/api/v1/events"}:
        async with running.client.get(path) as answer:
            assert (path, answer.status) == (path, 503 if path == "/-/ready" else 200)
    assert {"/api/openapi.json", "/api/v1/events", "/metrics"} <= named


@pytest.mark.parametrize(
    "path",
    [
        "/ui/",
        "/ui/.",
        "/ui/../web/page.py",
        "/ui/..%2fweb%2fpage.py",
        "/ui/%2e%2e/schemas/openapi.json",
        "/ui/%2e%2e%2fschemas%2fopenapi.json",
        "/ui/..%5cschemas%5copenapi.json",
        "/ui//etc/passwd",
        "/ui/%2fetc%2fpasswd",
        "/ui/live.js%00.html",
        "/ui/live.js/",
        "/ui/LIVE.JS",
        "/ui/index.htm",
    ],
)
async def test_nothing_else_is_served(running: Running, path: str) -> None:
    """No name becomes a path."""
    async with running.client.get(URL(path, encoded=True)) as answer:
        assert answer.status == 404
        assert "error" in await answer.json()


def test_the_page_is_free_of_what_the_policy_forbids_and_of_addresses_elsewhere() -> None:
    """The browser would refuse it at three in the morning; a reader refuses it now."""
    for name, text in FILES.items():
        elsewhere = re.findall(
            r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", text.replace("http://www.w3.org/2000/svg", "")
        )
        assert not elsewhere, name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text
        ), name
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", FILES["index.html"])


# ---- how it stands -----------------------------------------------------------------------------------------------


async def test_the_status_says_what_it_may_do_and_what_is_not_well(running: Running, redis_url: str) -> None:
    """Docker does not exist here and no worker runs; other modes of routes are not kept quiet."""
    status, told = await running.get("/api/v1/status")
    assert (status, told["mode"], told["route_modes"], told["ready"]) == (200, "auto", [], False)
    assert told["parts"]["store"] is None
    assert {name for name, trouble in told["parts"].items() if trouble} == {"worker", "docker/local"}
    watched = Route(matchers=(), policy=TargetPolicy(mode=Mode.OBSERVE))
    policy = Policy(root=TargetPolicy(mode=Mode.APPROVE), routes=(replace(watched, routes=(watched,)),))
    running.bridge._load = lambda: replace(config_of(redis_url), policy=policy)
    assert not await running.bridge.reload()
    _, told = await running.get("/api/v1/status")
    assert (told["mode"], told["route_modes"]) == ("approve", ["observe"])


# ---- in a browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """One browser for all pages."""
    browser = started(Chromium)
    yield browser
    browser.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)


async def shown(page: Page, running: Running, place: str = "") -> None:
    """The page, at this place in it."""
    await page.visit(f"{running.client.make_url('/')}{place}")


async def test_every_outcome_is_shown_in_words_of_its_own(running: Running, chromium: Chromium) -> None:
    """Also without colours; and of all, only what healed looks like what healed."""
    ids = await outcomes.write(desk_of(running))
    async with chromium.page() as page:
        await shown(page, running)
        text = await page.shows("shop-healed-1")
        assert await page.shows("live", at="#live") == "live"
        words = await page.value(
            "[...document.querySelectorAll('tbody .word')].map(w => [w.innerText, w.className])"
        )
        assert [word for word, _ in words] == [
            outcome.value.replace("_", " ") for outcome in reversed(Outcome)
        ]
        assert [word for word, kind in words if "good" in kind] == ["healed"]
        for why in outcomes.WHY.values():
            assert why in text
        await shown(page, running, "#/incidents?outcome=refused")
        await until_rows(page, 1)
        assert await page.value("document.getElementById('which').value") == "outcome=refused"
        await shown(page, running, f"#/incident/{ids[4]}")
        text = await page.shows("Timeline")
        for told in (
            "refused",
            "cooldown: repaired less than its cooldown ago",
            "opted_in",
            "unhealthy_hang",
            "judged",
        ):
            assert told in text
        await shown(page, running, "#/targets")
        assert "budget free" in await page.shows("local/shop-healed-1")
        assert page.complaints == []


async def until_rows(page: Page, count: int) -> None:
    """So many rows are shown."""
    await until(
        lambda: page.value("document.querySelectorAll('tbody tr').length"), lambda found: found == count
    )


async def test_what_the_outside_wrote_is_text_and_nothing_but_text(
    running: Running, chromium: Chromium
) -> None:
    """As a container's name, a log line, a label and an annotation; the page could not do otherwise if it wanted."""
    desk = desk_of(running)
    (told,) = await outcomes.write(desk, [Outcome.ESCALATED], name=outcomes.HOSTILE)
    async with chromium.page() as page:
        await shown(page, running)
        await page.shows(outcomes.HOSTILE, at="tbody")
        await shown(page, running, f"#/incident/{told}")
        text = await page.shows("Timeline", at="main")
        assert text.count(outcomes.HOSTILE) >= 4
        assert "\u202e" not in text
        await shown(page, running, "#/targets")
        await page.shows(outcomes.HOSTILE, at="tbody")
        assert await page.value("[document.images.length, document.scripts.length]") == [0, 1]
        assert await page.value("document.title") == "HemoStat"
        assert page.complaints == []
        markup = "try { document.body.innerHTML = 'x'; 'taken' } catch (error) { error.name }"
        assert await page.value(markup) == "TypeError"


async def test_what_happens_is_shown_without_a_reload_and_a_cut_is_not_kept_quiet(
    start: Callable[..., Awaitable[Running]],
    start_redis: Callable[..., parts.RedisServer],
    chromium: Chromium,
) -> None:
    """First the store goes and comes back, then the process goes: each time the page says since when it is not live."""
    server = start_redis()
    running = await start(url=server.url)
    async with chromium.page() as page:
        await shown(page, running)
        await page.shows("No incident is on record")
        await desk_of(running).take(new("shop-new-1"))
        await page.shows("shop-new-1")
        assert not await page.value("document.body.classList.contains('stale')")
        server.kill()
        await page.shows("Not live since")
        assert await page.value("document.body.classList.contains('stale')")
        server.start()
        await page.shows("live", at="#live.on")
        assert "Not live" not in await page.text("body")
        await running.client.server.close()
        text = await page.shows("Not live since")
        assert "shop-new-1" in text
        assert "What is shown is as of" in text
        await page.shows("HemoStat cannot be reached")
        assert await page.value("document.title") == "not live · HemoStat"
        await page.value("location.hash = '#/targets'")
        assert "shop-new-1" not in await page.shows("Not known", at="main")


def new(name: str) -> Alert:
    """An alert about a container of this name."""
    return alert(name, fingerprint=name)


async def test_a_token_is_asked_for_kept_in_the_tab_and_taken_back_when_it_is_refused(
    start: Callable[..., Awaitable[Running]], chromium: Chromium
) -> None:
    """One of the wrong role is as good as none; it is never in the address."""
    running = await start(tokens=TOKENS)
    await desk_of(running).take(new("shop-new-1"))
    async with chromium.page() as page:
        await shown(page, running)
        await page.shows("HemoStat asks for a token")
        for token, told in (
            ("no such token", "no token looks like that"),
            ("receiver-0123456789abcdef", "receiver"),
        ):
            await give(page, token)
            await page.shows(told, at="#door-why")
        assert await page.text("main") == ""
        await give(page, "viewer-0123456789abcdef")
        await page.shows("shop-new-1")
        await page.shows("live", at="#live.on")
        assert "viewer" not in await page.value("location.href + document.cookie + localStorage.length")
        await page.command("Page.reload")
        await page.shows("shop-new-1")
        assert await page.text("#door") == ""


async def test_a_late_no_to_the_token_before_does_not_take_back_the_one_given_since(
    start: Callable[..., Awaitable[Running]], chromium: Chromium
) -> None:
    """Several questions are under way with each token; the first no asks for another."""
    running = await start(tokens=TOKENS)
    await desk_of(running).take(new("shop-new-1"))
    async with chromium.page() as page:
        await shown(page, running)
        await page.shows("HemoStat asks for a token")
        await page.value(HOLD_INCIDENTS)
        await give(page, "receiver-0123456789abcdef")
        await page.shows("receiver", at="#door-why")
        await until(lambda: page.value("held.length"), lambda count: count == 1)
        await give(page, "viewer-0123456789abcdef")
        await page.value("held.forEach((go) => go())")
        await page.shows("shop-new-1")
        await page.shows("live", at="#live.on")


async def test_a_late_no_does_not_hide_what_was_said_of_the_token_given_since(
    start: Callable[..., Awaitable[Running]], chromium: Chromium
) -> None:
    """Several questions are under way without a token; the first no asks for one, and somebody is quick to answer."""
    running = await start(tokens=TOKENS)
    async with chromium.page() as page:
        await page.command("Page.addScriptToEvaluateOnNewDocument", source=HOLD_INCIDENTS)
        await shown(page, running)
        await page.shows("HemoStat asks for a token")
        await until(lambda: page.value("held.length"), lambda count: count == 1)
        await give(page, "no such token")
        await page.shows("no token looks like that", at="#door-why")
        await page.value("held.forEach((go) => go())")
        await until(lambda: page.value("read"), lambda count: count == 1)
        assert "no token looks like that" in await page.text("#door-why")


HOLD_INCIDENTS = """
(() => {
  const reached = window.fetch;
  window.held = [];
  window.read = 0;
  window.fetch = async (path, how) => {
    const answer = await reached(path, how);
    if (path.startsWith("api/v1/incidents") && [401, 403].includes(answer.status)) {
      await new Promise((go) => held.push(go));
      const json = answer.json.bind(answer);
      answer.json = () => json().finally(() => setTimeout(() => read++)); // once it was acted on
    }
    return answer;
  };
})()
"""


async def give(page: Page, token: str) -> None:
    """Type it and send it."""
    await page.value(f"document.getElementById('token').value = {token!r}")
    await page.value("document.querySelector('#door button').click()")
