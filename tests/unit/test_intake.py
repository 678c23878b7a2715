"""A webhook's body becomes alerts or one line that says what is wrong; labels name a subject or nothing."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import PayloadError
from bridge.intake import MAX_VALUE_CHARS, read_webhook, redacted, subject_of
from bridge.model.alert import AlertStatus, Subject, SubjectKind
from bridge.redaction import HARMLESS_CHARS, HARMLESS_TEXTS, Redactor

PAYLOADS = Path(__file__).parents[1] / "payloads"
LEGACY = "grafana-7.5-legacy-alerting-test.json"
DEPTH = 1_000_000
"""Python 3.14 bounds nesting by the stack that is left, which holds some hundred thousand; before, by a number."""
ALERT = {
    "status": "firing",
    "labels": {"alertname": "A"},
    "startsAt": "2026-11-20T20:32:01Z",
    "fingerprint": "ab12",
}


def body(**changes: object) -> bytes:
    """A webhook of one alert, with these keys of the alert changed."""
    return json.dumps({"version": "4", "alerts": [{**ALERT, **changes}]}).encode()


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_every_captured_webhook_is_read_whole(path: Path) -> None:
    """What Alertmanager and Grafana really send is accepted, with as many alerts as it holds."""
    raw = path.read_bytes()
    if path.name == LEGACY:
        with pytest.raises(PayloadError, match="legacy"):
            read_webhook(raw)
        return
    sent = json.loads(raw)
    webhook = read_webhook(raw)
    assert [alert.fingerprint for alert in webhook.alerts] == [
        alert["fingerprint"] for alert in sent["alerts"]
    ]
    assert [alert.labels for alert in webhook.alerts] == [alert["labels"] for alert in sent["alerts"]]
    assert webhook.truncated == sent.get("truncatedAlerts", 0)


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_captured_sequence_is_read(path: Path) -> None:
    """Each request of a captured sequence is accepted."""
    for line in path.read_text().splitlines():
        recorded = json.loads(line)["body"]
        raw = recorded if isinstance(recorded, str) else json.dumps(recorded)
        assert read_webhook(raw.encode()).alerts


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \n", "empty", id="white space"),
        pytest.param(b"null", "got `null`", id="null"),
        pytest.param(b"[]", "got `array`", id="a list"),
        pytest.param(b'"alerts"', "got `str`", id="a text"),
        pytest.param(b"{}", "missing required field `alerts`", id="no alerts"),
        pytest.param(b'{"alerts": {}}', r"\$\.alerts", id="alerts is an object"),
        pytest.param(b'{"alerts": [1]}', r"\$\.alerts\[", id="an alert is a number"),
        pytest.param(b'{"alerts": [{}]}', r"\$\.alerts\[", id="an empty alert"),
        pytest.param(
            body(status="pending"),
            r"Expected `firing` or `resolved` - at `\$\.alerts\[0\]\.status`$",
            id="unknown status",
        ),
        pytest.param(body(labels={"a": 1}), r"\$\.alerts\[.*labels", id="a label is a number"),
        pytest.param(body(labels=None), "labels", id="labels is null"),
        pytest.param(body(startsAt="yesterday"), "startsAt", id="no time"),
        pytest.param(
            body(startsAt="0001-01-01T00:00:00Z"), r"alerts\[0\]\.startsAt is not set", id="zero time"
        ),
        pytest.param(
            body(startsAt="1970-01-01T00:00:00Z"),
            r"alerts\[0\]\.startsAt is not set",
            id="no seconds since 1970",
        ),
        pytest.param(
            body(fingerprint="../../x y"), r"alerts\[0\]\.fingerprint", id="fingerprint is no fingerprint"
        ),
        pytest.param(body(fingerprint="a" * 65), r"alerts\[0\]\.fingerprint", id="fingerprint too long"),
        pytest.param(b'{"alerts": [{"labels": {"a": NaN}}]}', "not valid JSON", id="NaN"),
        pytest.param(b'{"alerts": [', "not valid JSON", id="cut off"),
        pytest.param(b"\xff\xfe{}", "not valid JSON", id="not UTF-8"),
        pytest.param(
            b'{"alerts":[{"status":"firing","labels":{"a":"\xff"}}]}',
            "not valid JSON",
            id="a label is not UTF-8",
        ),
        pytest.param(b"[" * DEPTH, "array", id="depth bomb"),
        pytest.param(b'{"x":' * DEPTH, "too deeply", id="depth bomb of objects"),
        pytest.param(
            b'{"alerts":[],"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}", "too deeply", id="depth bomb aside"
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(raw: bytes, says: str) -> None:
    """A body that will never be acceptable names the place and the reason, on one short line."""
    with pytest.raises(PayloadError, match=says) as caught:
        read_webhook(raw)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("quote", ["", "'", '"', "'\""])
def test_what_is_wrong_repeats_nothing_that_was_sent(quote: str) -> None:
    """It is answered to whoever sends, and logged there."""
    said = f"x - at `$` {quote}password=hunter2\u202e"
    with pytest.raises(PayloadError, match=r"status") as caught:
        read_webhook(body(status=said))
    assert "hunter2" not in str(caught.value)


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=300)
def test_no_bytes_raise_anything_but_a_payload_error(raw: bytes) -> None:
    """Whatever arrives is alerts or a PayloadError."""
    try:
        read_webhook(raw)
    except PayloadError:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["status", "labels", "startsAt", "endsAt", "fingerprint", "x"]), json_values
    )
)
@settings(deadline=None, max_examples=300)
def test_no_json_raises_anything_but_a_payload_error(changes: dict[str, object]) -> None:
    """Wrong types anywhere in an alert are a PayloadError."""
    try:
        read_webhook(body(**changes))
    except PayloadError:
        return


def test_the_zero_time_of_a_firing_alert_means_that_it_has_not_ended() -> None:
    """Go's year 1, which no western time zone can express, becomes None."""
    (alert,) = read_webhook(body(endsAt="0001-01-01T00:00:00Z")).alerts
    assert alert.ends_at is None


def test_times_are_instants_whatever_their_zone_and_digits() -> None:
    """Nine fractional digits and a foreign offset are read; comparison is by instant."""
    (alert,) = read_webhook(body(startsAt="2026-11-20T22:42:01.123456789+02:00")).alerts
    expected = datetime(2026, 11, 20, 22, 42, 1, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert abs(alert.starts_at - expected) < timedelta(microseconds=2)
    assert alert.starts_at.tzinfo is UTC


def test_unknown_keys_are_ignored() -> None:
    """Newer senders add keys; a closed schema would break on their upgrade."""
    raw = json.dumps(
        {"alerts": [{**ALERT, "values": {"A": 1}}], "notification_reason": "x", "orgId": 1}
    ).encode()
    assert [alert.status for alert in read_webhook(raw).alerts] == [AlertStatus.FIRING]


def test_a_value_of_any_length_does_not_cost_its_neighbours() -> None:
    """A huge annotation is cut; the webhook is accepted."""
    (alert,) = read_webhook(body(annotations={"a": "x" * 1_000_000})).alerts
    assert len(alert.annotations["a"]) == MAX_VALUE_CHARS


def test_a_missing_fingerprint_is_made_from_the_labels_alone() -> None:
    """The same labels in another order are the same alert."""
    one = read_webhook(body(fingerprint=None, labels={"a": "1", "b": "2"})).alerts[0]
    two = read_webhook(body(fingerprint=None, labels={"b": "2", "a": "1"}, annotations={"x": "y"})).alerts[0]
    other = read_webhook(body(fingerprint=None, labels={"a": "1", "b": "3"})).alerts[0]
    assert one.fingerprint == two.fingerprint != other.fingerprint


HEX = "4f1c0ffee0ab" * 5 + "abcd"


@pytest.mark.parametrize(
    ("labels", "subject"),
    [
        pytest.param({"name": "web"}, ("container", "local", "web", ""), id="name"),
        pytest.param({"container": "web"}, ("container", "local", "web", ""), id="container"),
        pytest.param(
            {"container_name": "a", "container": "b", "name": "c"},
            ("container", "local", "a", ""),
            id="order",
        ),
        pytest.param({"name": "/web"}, ("container", "local", "web", ""), id="leading slash"),
        pytest.param({"container_id": HEX}, ("id", "local", "", HEX), id="id alone"),
        pytest.param(
            {"container_id": HEX, "name": "web"}, ("container", "local", "web", HEX), id="id with name"
        ),
        pytest.param({"container_id": f"docker://{HEX}"}, ("id", "local", "", HEX), id="id with its scheme"),
        pytest.param({"docker_host": "b", "name": "web"}, ("container", "b", "web", ""), id="host"),
        pytest.param({"service_name": "shop_web"}, ("service", "local", "shop_web", ""), id="swarm service"),
        pytest.param(
            {"name": "web;rm -rf /"}, ("unknown", "local", None, ""), id="no container has such a name"
        ),
        pytest.param({"name": "../../containers/x"}, ("unknown", "local", None, ""), id="a path is no name"),
        pytest.param({"name": ""}, ("unknown", "local", None, ""), id="empty"),
        pytest.param({"instance": "10.0.0.5:8080"}, ("unknown", "local", None, ""), id="nothing named"),
    ],
)
def test_labels_name_a_subject(labels: dict[str, str], subject: tuple[str, str, str | None, str]) -> None:
    """container_id, then a container's name, then a service; a value no container can bear counts as absent."""
    found = subject_of(labels, hosts=["local"])
    kind, host, name, container_id = subject
    assert (found.kind, found.host, found.container_id) == (SubjectKind(kind), host, container_id)
    assert name is None or found.name == name


def test_without_a_host_label_the_host_is_open_where_several_are_configured() -> None:
    """Only a single configured host is meant by an alert that names none."""
    assert subject_of({"name": "web"}, hosts=["a", "b"]).host == ""


def test_alerts_without_a_target_are_different_subjects_unless_their_labels_agree() -> None:
    """Two alerts that name nothing must not join one incident by accident."""
    one, same, other = (
        subject_of(labels, hosts=["local"]) for labels in ({"x": "1"}, {"x": "1"}, {"x": "2"})
    )
    assert one.key == same.key != other.key


def test_a_subject_is_one_key_whatever_hints_came_with_it() -> None:
    """The id beside a name is a hint; the same container from two rules is one subject."""
    bare = Subject(kind=SubjectKind.CONTAINER, host="local", name="web")
    hinted = Subject(kind=SubjectKind.CONTAINER, host="local", name="web", container_id=HEX)
    assert bare.key == hinted.key


@pytest.mark.parametrize(
    "labels", [{"alertname": "A", "note": "password=hunter2"}, {"alertname": "A", "password": "hunter2"}]
)
def test_a_secret_goes_whatever_harmless_webhooks_came_before(labels: dict[str, str]) -> None:
    redactor = Redactor()
    before = read_webhook(body(labels={"alertname": "A", "note": "hunter2"}))
    assert redacted(before, redactor) is before
    assert redacted(before, redactor) is before
    after = redacted(read_webhook(body(labels=labels)), redactor)
    assert "hunter2" not in str(after.alerts[0].labels)


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_a_value_that_was_cut_shows_no_half_of_a_secret(part: str) -> None:
    """The half that is left is a token that no pattern knows."""
    padding = "word " * (MAX_VALUE_CHARS // 5 - 1)
    said = {"alertname": "A", "said": f"{padding}ghp_{'a1B2' * 9}"}
    (alert,) = redacted(read_webhook(body(**{part: said})), Redactor()).alerts
    shown = (alert.labels if part == "labels" else alert.annotations)["said"]
    assert shown.startswith("word word")
    assert "ghp" not in shown


def test_what_is_remembered_of_harmless_texts_is_bounded() -> None:
    redactor = Redactor()
    for count in (1, HARMLESS_TEXTS, HARMLESS_TEXTS + 1, 2 * HARMLESS_TEXTS):
        assert not redactor.suspects_any({f"n{each:o}n" for each in range(count)})
        assert 0 <= len(redactor.harmless) <= HARMLESS_TEXTS
    assert not redactor.suspects_any({"x" * (HARMLESS_CHARS + 1), "short"})
    assert redactor.harmless == {"short"}
