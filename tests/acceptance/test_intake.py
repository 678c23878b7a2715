"""What the webhook accepts, refuses and ignores, and who may come in at all."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.conftest import StartService
from tests.acceptance.stack import HOST, ROOT, Bridge, firing, resolved, webhook

PAYLOADS = ROOT / "tests/payloads"
GOOD = webhook(firing("shop"))


def without(key: str) -> dict[str, Any]:
    alert = {name: value for name, value in firing("shop").items() if name != key}
    return {**GOOD, "alerts": [alert]}


MALFORMED = {
    "empty": b"",
    "blank": b"  \n",
    "not-json": b"{alerts: oops",
    "cut-off": json.dumps(GOOD).encode()[:-20],
    "not-utf8": b'{"alerts": [{"status": "\xff\xfe"}]}',
    "null": b"null",
    "a-list": json.dumps([GOOD]).encode(),
    "a-number": b"42",
    "no-alerts": json.dumps({**GOOD, "alerts": None}).encode(),
    "alerts-no-list": json.dumps({**GOOD, "alerts": {"0": firing("shop")}}).encode(),
    "alert-no-object": json.dumps({**GOOD, "alerts": ["shop"]}).encode(),
    "no-labels": json.dumps(without("labels")).encode(),
    "no-status": json.dumps(without("status")).encode(),
    "no-start": json.dumps(without("startsAt")).encode(),
    "odd-status": json.dumps({**GOOD, "alerts": [{**firing("shop"), "status": "burning"}]}).encode(),
    "odd-start": json.dumps({**GOOD, "alerts": [{**firing("shop"), "startsAt": "yesterday"}]}).encode(),
    "odd-fingerprint": json.dumps({**GOOD, "alerts": [{**firing("shop"), "fingerprint": "a b"}]}).encode(),
    "labels-no-text": json.dumps({**GOOD, "alerts": [{**firing("shop"), "labels": {"name": 7}}]}).encode(),
    "deeply-nested": b'{"alerts": ' + b"[" * 100_000,
    "grafana-legacy": (PAYLOADS / "grafana-7.5-legacy-alerting-test.json").read_bytes(),
    "second-alert-bad": json.dumps({**GOOD, "alerts": [firing("shop"), {"status": "firing"}]}).encode(),
}


def test_what_is_malformed_is_refused_for_good_and_leaves_nothing(bridge: Bridge) -> None:
    """4xx with one line of why, never 5xx (Alertmanager would repeat it for ever); not even its good half is stored."""
    answers = {
        name: bridge.request(
            "POST", "/api/v1/alerts", data=body, headers={"Content-Type": "application/json"}
        )
        for name, body in MALFORMED.items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(MALFORMED, 400)
    messages = {name: answer.json()["error"]["message"] for name, answer in answers.items()}
    assert all(message and "\n" not in message for message in messages.values()), messages
    assert bridge.incidents() == []
    assert bridge.metric("hemostat_webhook_requests_total", code="400") == len(MALFORMED)
    assert "Traceback" not in bridge.log_text()


def test_what_is_no_webhook_at_all_is_refused_for_good(bridge: Bridge) -> None:
    """A wrong content type, method or path, or a body beyond the limit: never a redirect and never a 5xx."""
    told = {"Content-Type": "application/json"}
    answers = [
        bridge.request("POST", "/api/v1/alerts", data=b"hello", headers={"Content-Type": "text/plain"}),
        bridge.request("PUT", "/api/v1/alerts", GOOD),
        bridge.request("POST", "/api/v2/alerts", GOOD),
        bridge.request("POST", "/api/v1/alerts//", GOOD),
        bridge.request("POST", "/api/v1/alerts", data=b" " * (16 * 1024 * 1024 + 1), headers=told),
    ]
    assert [answer.status_code for answer in answers] == [415, 405, 404, 404, 413]
    assert not any(answer.history for answer in answers)
    assert bridge.incidents() == []


def test_every_name_of_the_webhook_accepts(bridge: Bridge) -> None:
    """Each path that was ever documented takes an alert, with or without a slash at its end."""
    paths = ["/api/v1/alerts", "/api/v1/alerts/", "/alerts", "/webhook", "/webhook/", "/"]
    answers = [bridge.request("POST", path, webhook(firing("shop")), role="receiver") for path in paths]
    assert [answer.status_code for answer in answers] == [202] * len(paths)
    assert len({answer.json()["incidents"][0] for answer in answers}) == 1  # the same episode each time


def test_recorded_webhooks_are_accepted(bridge: Bridge) -> None:
    """What real Alertmanagers and Grafana sent is accepted whole, one incident per container that it names."""
    recorded = {
        "firing-single.json": 1,
        "firing-group-60.json": 60,
        "mixed-group-5-two-resolved.json": 5,
        "firing-odd-labels.json": None,
        "firing-truncated-10-of-60.json": 10,
        "alertmanager-0.34-shape.synthetic.json": None,
        "grafana-unified-v1-firing.synthetic.json": None,
        "resolved-group-60.json": 60,
    }
    for name, alerts in recorded.items():
        body = json.loads((PAYLOADS / name).read_text())
        answer = bridge.request("POST", "/api/v1/alerts", body, role="receiver")
        assert (name, answer.status_code) == (name, 202)
        assert alerts is None or answer.json()["accepted"] == alerts


def test_resolved_never_acts(bridge: Bridge, start_service: StartService) -> None:
    """A resolved alert opens nothing, however sick the container is."""
    shop = start_service().fall_sick()
    assert bridge.accept(resolved(firing(shop.name))) == []
    assert bridge.incidents() == []
    marker = bridge.repair(firing("nowhere"))  # by now the worker has had its turn
    assert [incident["id"] for incident in bridge.incidents()] == [marker["id"]]
    assert shop.boots == 1


def test_an_alert_that_is_sent_again_joins_its_incident(bridge: Bridge, start_service: StartService) -> None:
    """`repeat_interval` re-sends what fires; during the cooldown this opens no second incident."""
    shop = start_service().fall_sick()
    alert = firing(shop.name)
    incident = bridge.repair(alert)
    assert incident["outcome"] == "healed"
    assert bridge.accept(alert) == [incident["id"]]
    assert len(bridge.incidents(target=shop.name)) == 1
    assert shop.boots == 2


ACCESS = [
    # method, path, body, then the answer to nobody, receiver, viewer, operator
    ("POST", "/api/v1/alerts", webhook(), (401, 202, 403, 202)),
    ("GET", "/api/v1/incidents", None, (401, 403, 200, 200)),
    ("GET", f"/api/v1/targets/{HOST}/nowhere", None, (401, 403, 404, 404)),
    ("GET", "/api/v1/pause", None, (401, 403, 200, 200)),
    ("PUT", "/api/v1/pause", {"for": "1s"}, (401, 403, 403, 200)),
    ("DELETE", "/api/v1/pause", None, (401, 403, 403, 200)),
    ("POST", f"/api/v1/targets/{HOST}/nowhere/reset", None, (401, 403, 403, 404)),
    ("POST", "/-/reload", None, (401, 403, 403, 200)),
    ("GET", "/-/healthy", None, (200, 200, 200, 200)),
    ("GET", "/metrics", None, (200, 200, 200, 200)),
]


def test_each_role_may_do_its_part_and_no_more(bridge: Bridge) -> None:
    """401 without a valid token, 403 with the wrong role: who posts alerts can read nothing, who reads changes nothing."""
    roles = (None, "receiver", "viewer", "operator")
    answered = {
        (method, path): tuple(bridge.request(method, path, body, role=role).status_code for role in roles)
        for method, path, body, _ in ACCESS
    }
    assert answered == {(method, path): wanted for method, path, _, wanted in ACCESS}


def test_a_wrong_token_is_as_good_as_none(bridge: Bridge) -> None:
    """Nothing but a configured bearer token opens the door, and neither answer nor log repeats what was presented."""
    for header in ("Bearer wrong-token-of-the-tests", "Basic b3BlcmF0b3I6eA==", "Bearer", "Bearer "):
        answer = bridge.request("GET", "/api/v1/incidents", role=None, headers={"Authorization": header})
        assert (header, answer.status_code) == (header, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "wrong-token" not in answer.text + bridge.log_text()
