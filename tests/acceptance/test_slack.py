"""People hear of it in Slack, and decide there: on the real process, a real Engine and a Slack with Slack's limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import Bridge, Json, closed, events, firing, hemostat
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, Fault, Message, SlackServer

WITHIN = 20.0
ADA: dict[str, Any] = {"user": "U1", "name": "ada"}


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A Slack for one test; no message in it may break a rule of Slack's."""
    with SlackServer() as server:
        yield server
    assert server.broken_rules == []


def told_by(slack: SlackServer, **more: Any) -> Json:
    """The section `slack` of a bridge that tells it."""
    return {"bot_token": BOT_TOKEN, "channel": CHANNEL, "api_url": slack.api_url, **more}


def asking(slack: SlackServer) -> Json:
    """... and hears clicks of U1."""
    return told_by(slack, app_token=APP_TOKEN, approvers=["U1"])


def parent(slack: SlackServer, *, saying: str, within: float = WITHIN) -> Message:
    """The only message of the channel, once it says something."""
    assert parts.wait_until(
        lambda: any(saying in message.everything for message in slack.parents()), seconds=within, every=0.05
    ), [message.everything for message in slack.messages]
    (message,) = slack.parents()
    return message


def is_waiting(incident: Json) -> bool:
    """Whether it asks."""
    return incident["state"] == "waiting" and incident["proposal"] is not None


def test_a_repair_is_one_message_with_its_story_in_the_thread(
    start_bridge: StartBridge, start_service: StartService, slack: SlackServer
) -> None:
    """From the alert to the outcome; the evidence, the guards and the action in the thread."""
    shop = start_service().fall_sick()
    bridge = start_bridge(slack=told_by(slack))
    incident = bridge.repair(firing(shop.name))
    message = parent(slack, saying="healed, restarted")
    assert f"hemostat explain {incident['id']}" in message.everything
    assert parts.wait_until(
        lambda: any("Healed" in reply.everything for reply in slack.thread(message)), seconds=WITHIN
    )
    thread = " ".join(reply.everything for reply in slack.thread(message))
    for said in (
        f"Container {shop.name} is sick",
        "rule unhealthy: restart",
        "Nothing against it",
        "Done: restart",
    ):
        assert said in thread
    bridge.counts("hemostat_deliveries_total", channel="slack", result="delivered")


def test_killed_while_it_posts_there_is_one_message_in_the_end(
    start_bridge: StartBridge, start_service: StartService, slack: SlackServer
) -> None:
    """kill -9 between the POST and its record: the next one looks in Slack before it posts again."""
    shop = start_service().fall_sick()
    doomed = start_bridge(slack=told_by(slack))
    slack.always_fails("chat.postMessage", Fault(hang=True, late=True))
    [incident_id] = doomed.accept(firing(shop.name))
    assert parts.wait_until(lambda: len(slack.parents()) == 1, seconds=WITHIN, every=0.01)
    doomed.kill()
    slack.always_fails("chat.postMessage", None)
    heir = start_bridge(slack=told_by(slack))
    heir.await_incident(incident_id)
    message = parent(slack, saying=":large_green_circle:")
    assert message.metadata["event_payload"] == {"incident": incident_id}


def test_a_click_in_slack_lets_the_repair_happen(
    start_bridge: StartBridge, start_service: StartService, slack: SlackServer
) -> None:
    """Nothing is done before; a stranger's click does nothing; a second click is told who was faster."""
    shop = start_service().fall_sick()
    bridge = start_bridge(slack=asking(slack), policy={"mode": "approve"})
    [incident_id] = bridge.accept(firing(shop.name))
    message = parent(slack, saying="hemostat_approve")
    assert parts.wait_until(lambda: slack.connected() == 1, seconds=WITHIN, every=0.05)
    buttons = message.buttons()
    slack.click("hemostat_approve", buttons["hemostat_approve"], user="U666", name="eve")
    assert shop.boots == 1
    slack.click("hemostat_approve", buttons["hemostat_approve"], **ADA)
    incident = bridge.await_incident(incident_id)
    slack.click("hemostat_reject", buttons["hemostat_reject"], **ADA)
    assert (incident["outcome"], shop.boots) == ("healed", 2)
    assert incident["proposal"]["answered_by"] == "ada (U1)"
    assert parent(slack, saying="approved by ada").buttons() == {}
    assert parts.wait_until(lambda: len(slack.whispers) == 3, seconds=WITHIN, every=0.05)
    assert "not among slack.approvers" in slack.whispers[0]["text"]
    assert "already approved by ada" in slack.whispers[2]["text"]


def test_any_replica_may_hear_the_click(
    start_bridge: StartBridge, start_service: StartService, slack: SlackServer
) -> None:
    """Slack picks one of the connections; clicks on both at once are one decision."""
    shop = start_service().fall_sick()
    replicas = [start_bridge(slack=asking(slack), policy={"mode": "approve"}) for _ in range(2)]
    [incident_id] = replicas[0].accept(firing(shop.name))
    value = parent(slack, saying="hemostat_approve").buttons()["hemostat_approve"]
    assert parts.wait_until(lambda: slack.connected() == 2, seconds=WITHIN, every=0.05)
    clicks = [
        threading.Thread(
            target=slack.click, args=("hemostat_approve", value), kwargs={**ADA, "socket": number}
        )
        for number in range(2)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    incident = replicas[1].await_incident(incident_id)
    assert (incident["outcome"], shop.boots) == ("healed", 2)
    assert events(incident).count("approved") == 1


def answered(bridge: Bridge, verb: str, incident_id: str) -> tuple[int, str]:
    """One run of `hemostat approve` or `reject`."""
    said = hemostat(
        verb, incident_id, "--url", bridge.url, env={"HEMOSTAT_TOKEN": "operator-token-of-the-tests"}
    )
    return said.code, said.out + said.err


def test_the_command_line_decides_where_there_is_no_slack(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """It shows among the waiting incidents; 0 for an answer that counts, 1 for one that does not."""
    shop, other = start_service().fall_sick(), start_service().fall_sick()
    bridge = start_bridge(policy={"mode": "approve"})
    [wanted], [unwanted] = bridge.accept(firing(shop.name)), bridge.accept(firing(other.name))
    for incident_id in (wanted, unwanted):
        bridge.await_incident(incident_id, until=is_waiting)
    assert {incident["id"] for incident in bridge.incidents(state="waiting")} == {wanted, unwanted}
    code, said = answered(bridge, "approve", wanted)
    assert (code, said.startswith("Approved")) == (0, True)
    assert answered(bridge, "reject", unwanted)[0] == 0
    assert bridge.await_incident(wanted)["outcome"] == "healed"
    assert bridge.await_incident(unwanted)["outcome"] == "refused"
    code, said = answered(bridge, "approve", unwanted)
    assert code == 1
    assert "already rejected by operator" in said
    assert (shop.boots, other.boots) == (2, 1)


def test_what_nobody_approves_escalates(start_bridge: StartBridge, start_service: StartService) -> None:
    """A question must not become silence."""
    shop = start_service().fall_sick()
    bridge = start_bridge(policy={"mode": "approve", "approval_ttl": "2s"})
    [incident_id] = bridge.accept(firing(shop.name))
    incident = bridge.await_incident(incident_id, until=closed)
    assert (incident["outcome"], shop.boots) == ("escalated", 1)
    assert "asked" in events(incident)
    assert "nobody approved the restart within" in incident["reason"]
