"""What an operator writes as text and what it means: matchers and addresses."""

from __future__ import annotations

import pytest

from bridge.model.policy import Matcher, MatchOperator
from bridge.settings import parse_listen_address, parse_matcher


@pytest.mark.parametrize(
    ("text", "label", "operator", "value"),
    [
        pytest.param('a="b"', "a", "=", "b", id="equal"),
        pytest.param('a!="b"', "a", "!=", "b", id="not-equal"),
        pytest.param('a=~"b.*"', "a", "=~", "b.*", id="regex"),
        pytest.param('a!~"b|c"', "a", "!~", "b|c", id="not-regex"),
        pytest.param("a=b", "a", "=", "b", id="unquoted"),
        pytest.param("a=~web-.*", "a", "=~", "web-.*", id="unquoted-regex"),
        pytest.param(' a = "b" ', "a", "=", "b", id="white-space"),
        pytest.param("a=", "a", "=", "", id="empty-unquoted"),
        pytest.param('a=""', "a", "=", "", id="empty"),
        pytest.param('a="b,c={d}"', "a", "=", "b,c={d}", id="quoted-punctuation"),
        pytest.param(r'a="say \"hi\"\n\\"', "a", "=", 'say "hi"\n\\', id="escapes"),
        pytest.param(r'a=~"x\.y\d"', "a", "=~", r"x\.y\d", id="other-backslashes-stay"),
        pytest.param('service.name="x"', "service.name", "=", "x", id="dotted-name"),
    ],
)
def test_matchers_as_in_alertmanager(text: str, label: str, operator: str, value: str) -> None:
    assert parse_matcher(text) == Matcher(label=label, operator=MatchOperator(operator), value=value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "=b",
        '"a"="b"',
        'a="b',
        'a=b"',
        'a="b",c="d"',
        "a=b,c=d",
        "{a=b}",
        "a=b c",
        'a="b" c',
        "a=='b'",
        'a=~"("',
        "a==b",
    ],
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"matcher|regular expression"):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9095", "127.0.0.1", 9095),
        (":80", "", 80),
        ("[::1]:0", "::1", 0),
        ("web-1.lan:65535", "web-1.lan", 65535),
    ],
)
def test_listen_addresses(text: str, host: str, port: int) -> None:
    assert parse_listen_address(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "9095", "host", "host:", "host:x", ":65536", "::1:9095", "a b:1", "http://x:1", ":-1"]
)
def test_what_is_no_listen_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_listen_address(text)
