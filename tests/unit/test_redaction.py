"""What is secret goes, what is not stays, and no text, however hostile, takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.redaction import (
    KINDS,
    TEXT_LIMIT,
    UNSETTLED,
    OwnPattern,
    Redactor,
    clean,
    shortened,
    without_half_a_token,
)
from bridge.secret_shapes import Kind
from bridge.settings.pattern_cost import MOST_WAYS, ways
from tests.unit.redaction.corpus import HARMLESS, SECRETS, Specimen

REDACTOR = Redactor([OwnPattern(name="customer", pattern=re.compile(r"CUST-[0-9]{4,8}"))])

PIECES = [
    *(piece for specimen in SECRETS for piece in re.split(r"(?<=[=:@ ])", specimen.text)),
    *(
        "[REDACTED:email]",
        "[REDACTED:",
        "CUST-1234",
        '"',
        "'",
        "\\",
        "\n",
        ")",
        "password",
        "token=",
        "://",
        "@",
        "x1",
    ),
]
SHARDS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)
"""Text made of broken secrets, markers and punctuation: where one replacement may make the next."""


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(SECRETS) >= 60
    assert len(HARMLESS) >= 40
    assert {specimen.kind for specimen in SECRETS} == set(KINDS) - {"custom", "unsettled"}


@pytest.mark.parametrize("specimen", SECRETS, ids=lambda s: f"{s.kind} {s.text[:24]!r}")
def test_a_secret_goes_and_is_counted_once_by_its_kind(specimen: Specimen) -> None:
    redacted = Redactor().text(specimen.text)
    for piece in specimen.pieces:
        assert piece not in redacted.text
    assert redacted.counts == {specimen.kind: 1}
    assert f"[REDACTED:{specimen.kind}]" in redacted.text
    assert redacted.text.count("\n") == specimen.text.count("\n")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text).text == text


@pytest.mark.parametrize("specimen", SECRETS, ids=lambda s: f"{s.kind} {s.text[:24]!r}")
def test_invisible_characters_and_colours_hide_no_secret(specimen: Specimen) -> None:
    middle = [(piece, len(piece) // 2) for piece in specimen.pieces]
    text = specimen.text
    for piece, at in middle:
        text = text.replace(piece, f"{piece[:at]}\u200b\x1b[31m{piece[at:]}")
    plain = Redactor().plain(text, limit=10_000)
    assert all(piece not in plain.text for piece in specimen.pieces)


@given(SHARDS)
@example("x=CUST-123CUST-12344")
def test_redacting_again_changes_nothing(text: str) -> None:
    once = REDACTOR.text(text)
    again = REDACTOR.text(once.text)
    assert again.text == once.text
    assert again.counts == {}


@given(SHARDS)
def test_lines_stay_lines(text: str) -> None:
    assert REDACTOR.text(text).text.count("\n") == text.count("\n")


@given(st.text())
@example("\x1b[31mred\x1b[0m \x9b1m \x1b]8;;http://x\x07link\x1b]8;;\x07")
@example("a\u2028b\x85c\rd\x00e\ufefff\u202eg\ud800")
def test_clean_text_is_printable_and_stays_so(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.replace("\n", "").replace("\t", "").isprintable()
    assert clean(cleaned) == cleaned


def test_cleaning_keeps_what_people_read() -> None:
    assert (
        clean("\x1b[1;31mERROR\x1b[0m Größe 10 µs, 東京, naïve\tok\n")
        == "ERROR Größe 10 µs, 東京, naïve\tok\n"
    )
    assert clean("10%\r20%\r\nfor\u200bged") == "10% 20%\nforged"


@pytest.mark.parametrize(
    ("struck", "seen"),
    [
        pytest.param("p\bpa\bas\bss\bsw\bwo\bor\brd\bd=hunter2", "password=hunter2", id="bold"),
        pytest.param("_\bp_\ba_\bs_\bs_\bw_\bo_\br_\bd=hunter2", "password=hunter2", id="underlined"),
        pytest.param("p\b_a\b_s\b_s\b_w\b_o\b_r\b_d\b_=hunter2", "password=hunter2", id="underlined after"),
        pytest.param("passX\bword=hunter2", "password=hunter2", id="a letter replaced"),
        pytest.param("\x1b[1mtoXX\b\b\x1b[0mken=hun\u200bter22", "token=hunter22", id="with colours between"),
        pytest.param("10%\b\b\b20%\b\nold", "20%\nold", id="a progress"),
        pytest.param("\b\ba\r\n\bb\tc", "a\nb\tc", id="not beyond its line"),
    ],
)
def test_what_is_struck_over_is_read_as_a_terminal_shows_it(struck: str, seen: str) -> None:
    assert clean(struck) == seen
    assert "hunter" not in Redactor().plain(struck, limit=99).text


@pytest.mark.parametrize("label", ["CERTIFICATE", "PUBLIC KEY"])
def test_what_is_public_of_a_key_stays(label: str) -> None:
    """A whole one, and one of which only the end is left."""
    body = next(s for s in SECRETS if s.text.endswith(" and more")).text.removesuffix(" and more")
    for text in (f"-----BEGIN {label}-----\n{body}\n-----END {label}-----", f"{body}\n-----END {label}-----"):
        assert Redactor().text(text).text == text


def test_a_cut_halves_neither_token_nor_marker() -> None:
    long = "x" * 90 + " password=hunter2" + " tail" * 10
    for limit in range(80, 130):
        shown = Redactor().plain(long, limit=limit).text
        assert "hunter" not in shown
        assert len(shown) <= limit
        assert shown.count("[REDACTED") == shown.count("]")
    assert shortened("short", 5) == "short"
    assert without_half_a_token("login with ghp_0123456789abc") == "login with "
    assert without_half_a_token("y" * 2000) == "y" * 1488


def test_of_a_text_that_never_settles_nothing_is_shown_but_its_lines() -> None:
    """Each replacement makes the next: taken out one by one, the last ones would stay."""
    next_one = Kind(name="step", hints=(), pattern=re.compile(r"^(?:\[REDACTED:step\])*(?P<secret>a)"))
    redacted = Redactor(kinds=[next_one]).text("a" * 20 + "\n")
    assert (redacted.text, redacted.counts) == (f"[REDACTED:{UNSETTLED}]\n", {UNSETTLED: 1})


def test_a_text_beyond_the_limit_ends_before_what_may_be_half_a_secret() -> None:
    text = "a " * (TEXT_LIMIT // 2 - 10) + "password=hunter2hunter2hunter2hunter2"
    assert "hunter" not in Redactor().text(text).text


def test_labels_are_redacted_by_value_and_by_name() -> None:
    labels = {
        "hemostat.enable": "true",
        "hemostat.cooldown": "10m",
        "com.docker.compose.project": "shop",
        "db.password": 'hun"ter2',
        "owner": "ada@example.org",
        "build_token": "abcd1234",
        "secret.name": "db-creds",
        "password": "",
    }
    plain, counts = Redactor().mapping(labels, limit=100)
    assert plain == {
        **labels,
        "db.password": "[REDACTED:credential]",
        "owner": "[REDACTED:email]",
        "build_token": "[REDACTED:credential]",
    }
    assert counts == {"credential": 2, "email": 1}


def test_an_operators_pattern_is_found_in_long_lines_and_named_in_the_text() -> None:
    text = "x" * 1990 + "CUST-123456" + "y" * 990 + "CUST-7654321\nCUST-11111"
    redacted = REDACTOR.text(text)
    assert (
        redacted.text
        == "x" * 1990 + "[REDACTED:customer]" + "y" * 990 + "[REDACTED:customer]\n[REDACTED:customer]"
    )
    assert redacted.counts == {"customer": 3}


def test_an_operators_pattern_may_say_which_part_is_the_secret() -> None:
    redactor = Redactor([OwnPattern(name="pin", pattern=re.compile("pin of (?P<secret>[0-9]{4})"))])
    assert redactor.text("pin of 1234 entered").text == "pin of [REDACTED:pin] entered"


@pytest.mark.parametrize(
    "seed",
    [
        "://a",
        "a:a",
        "a@a.",
        "password='",
        'token="',
        "--token ",
        "4111 ",
        "</",
        "cookie: a=b;",
        "authorization: digest a=b,",
        "-----BEGIN PRIVATE KEY-----\n",
        "A" * 40 + "\n",
        "a.webhook",
        "aws 'aaaa",
        "curl -u",
        "\x1b]",
        "[REDACTED:",
        "Aa1" * 22 + "\n",
        "Aa1" * 21 + "A x ",
        f"{'Aa1' * 21}A\n{'x ' * 60}",
        "password&#61;&quot;",
        "token\\u0022:\\u0022",
        "&amp;" * 4,
        "&lt;token &gt;",
        "&lt;token a\\u003e",
        "db:5432:a:",
        "*:",
        "a\b",
        "=,a",
        "eyJaaaaaaaaa.",
        "<password ",
        'password Value: "',
        "docker login a ",
        "kennwort: ",
        '"auth" "',
        "password[0]",
        "LS0tLS1CRUdJTi",
        "DB_PASS: ",
        "token a",
        "[REDACTED:credential]=",
    ],
)
def test_hostile_text_takes_no_longer_than_its_length_allows(seed: str) -> None:
    """Quadratic time on 128 KiB would take minutes; the test's own deadline says no."""
    text = seed * (TEXT_LIMIT // len(seed))
    REDACTOR.plain(text, limit=100)


@pytest.mark.parametrize(
    ("pattern", "may"),
    [
        ("(?i)licen[cs]e .*expired", True),
        (r"CUST-\d+", True),
        (r"\d+-\d{2,4}", True),
        ("(ab?c){3}", True),
        ("[]*+]{1,50}|x?", True),
        (r"\(a\)+[(]+", False),
        ("(a+)+b", False),
        ("(a|aa)+b", False),
        ("a*b*", False),
        ("(?:a?){30}", False),
        (r"(\w{1,50}\s?){1,20}!", False),
        ("(?=a+)b+", False),
    ],
)
def test_a_pattern_that_could_search_for_ever_is_known_by_its_text(pattern: str, may: bool) -> None:
    re.compile(pattern)
    assert (ways(pattern) <= MOST_WAYS) is may


@given(st.text(alphabet="ab(|)[]{},*+?\\.^$:=!<>P#13-", max_size=14))
def test_any_pattern_can_be_looked_at(pattern: str) -> None:
    assert ways(pattern) >= 1


def test_a_label_is_plain_in_its_name_as_well() -> None:
    labels = {"\x1b[31mteam\u202e": "shop", "https://ada:hunter2x@h/": "x", "team.name": "a"}
    plain, counts = Redactor().mapping(labels, limit=100)
    assert plain == {"team": "shop", "https://[REDACTED:url_userinfo]@h/": "x", "team.name": "a"}
    assert counts == {"url_userinfo": 1}
