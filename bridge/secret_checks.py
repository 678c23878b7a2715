"""Whether what looks like a secret is one: asked about each match of ``bridge.secret_kinds``. Pure.

A word, a placeholder, a path or a number stays; what is left out here is shown.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re

MARKER = re.compile(r"\[REDACTED:[a-z0-9_]{1,40}\]")
"""What stands where a secret was."""

_IN_A_MARKER = re.compile(r"\[REDACTED:[a-z0-9_]{0,40}$")
"""What stands before a name that is a marker's own: ``credential`` in ``[REDACTED:credential]=``."""

_CLOSED_MARKER = re.compile(r"\[REDACTED:[a-z0-9_]{1,40}\][\])}>]*")

_DIGIT = re.compile(r"[0-9]")

_WORDS = frozenset(
    "a an and are as at authentication authorization bad been blank but by can cannot changed connected contains could denied "
    "disabled does doesn't empty enabled enter error expected expires expired failed failure field file for found from "
    "given has have header hidden in incorrect invalid is issued it length malformed masked may mismatch missing must "
    "new nil no none not null of off ok old on only open or optional policy please provided read redacted refresh refreshed "
    "rejected removed required reset revoked rotated set should success the this to too true false undefined unknown "
    "unable unset update updated use used user using valid value verification verified was were will with wrong yes you your "
    "falsch fehlt ung\u00fcltig incorrecta incorrecto inv\u00e1lida".split()
)
"""What stands after "password:" in a sentence about a password. Whoever uses one of these as a password shows it."""

_REFERENCE = re.compile(
    r"\$\{.*|\$[A-Z_][A-Z0-9_]*|\{\{.*|%\(?\w+\)?s?|<[^<>]*>|\{\w*\}|\(\w*\)|(?:vault|env|file|secretref):.*"
)
_PATH = re.compile(r"\.{0,2}/[\w./@-]*")
_OBJECT = re.compile(r"[a-z][a-z0-9\-]{0,62}/[a-z][a-z0-9.\-]{0,252}")
"""Of Kubernetes: a secret by its name, with its namespace."""

_SORT = re.compile(r"[A-Za-z_]{1,19}|0x[0-9a-fA-F]{1,8}")
"""What a parser calls its tokens, or a log a reason: random ones of letters alone are longer."""

_ALONE = frozenset(("", " ", "\t", "\n", "("))
"""What stands before a word of a sentence: not a quote, the rest of a longer name, or a query's ``?``."""

_NO_WORD = re.compile(r"[\W_]*|[xX]+")

_ABOUT = re.compile(
    r"[_.\-]?(?:s?[_.\-]?(?:encrypt|stdin|per|count|limit|type|file|path|name|ref|keyref|arn|url|uri|ttl|age|length|len|size|expir|"
    r"expiry|issue|valid|version|policy|required|manager|store|rotation|reset|changed|updated|field|header|endpoint|"
    r"bucket|budget|usage|used|prompt|input|output|total|less|based|algorithm|alg|scope|status|enabled|source|provider|"
    r"format|encoder|hint|strength)|id$)",
    re.IGNORECASE,
)
"""A name that goes on like this is about a secret, not one: ``token_type``, ``password_file``, ``access_key_id``."""


def of_an_assignment(match: re.Match[str]) -> bool:
    """What stands under a name of secrets: a value, and the name not one about a secret."""
    name, suffix = match["name"].lower(), match["suffix"]
    value = match["secret"].strip()
    if _IN_A_MARKER.search(match.string[max(0, match.start("name") - 60) : match.start("name")]):
        return False
    counted = name.startswith("token") and suffix.lower() in {"s", "ized", "izer", "ize"}
    if (_ABOUT.match(suffix) and not (name == "secret" and suffix.lower() in {"_id", "id"})) or counted:
        return False
    alone = match.string[max(0, match.start("name") - 1) : match.start("name")] in _ALONE
    if alone and name.startswith(("token", "credential")) and _SORT.fullmatch(value):
        return False
    if alone and name == "secret" and not suffix and _OBJECT.fullmatch(value):
        return False
    return _is_value(name, value)


def _is_value(name: str, value: str) -> bool:
    if _CLOSED_MARKER.fullmatch(value) or _NO_WORD.fullmatch(value) or _REFERENCE.fullmatch(value):
        return False
    if value.lower().rstrip(".,:;!?)") in _WORDS:
        return False
    if name in {"sid", "sessionid", "session_id", "phpsessid", "jsessionid", "sig", "signature"}:
        return len(value) >= 16
    if name == "pwd" or name.endswith("key"):
        return _PATH.fullmatch(value) is None and (name == "pwd" or len(value) >= 6)
    if name.startswith(("token", "secret", "credential")):
        return len(value) >= 4 and not value.replace(".", "").isdigit() and _PATH.fullmatch(value) is None
    return not (value.isdigit() and len(value) < 4) or name in {"cvv", "cvv2", "cvc"}


def with_digit(match: re.Match[str]) -> bool:
    """Words have none; a random token has, or is long."""
    return _DIGIT.search(match["secret"]) is not None or len(match["secret"]) >= 40


def mixed(match: re.Match[str]) -> bool:
    """A hash has no capital letters, a word no digits."""
    secret = match["secret"]
    return with_digit(match) and secret != secret.lower() and secret != secret.upper()


def on_the_next_line(match: re.Match[str]) -> bool:
    """A lone word there with a digit in it: what follows a prompt or a heading has none, or is a sentence."""
    return _DIGIT.search(match["secret"]) is not None and of_an_assignment(match)


_BASE64_AS_A = bytes(
    ord("a") if chr(char).isascii() and (chr(char).isalnum() or char in b"+/") else ord(" ")
    for char in range(256)
)


_LONG_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64}")


def has_long_base64(text: str) -> bool:
    """Whether a line of a key could be in it: cheap, and certain where it says no."""
    if len(text) <= 2 * 64 or b"a" * 64 not in text.encode(errors="replace").translate(_BASE64_AS_A):
        return False
    return any(
        _random(found[0]) for found in _LONG_BASE64.finditer(text.replace("\\n", " ").replace("\\r", " "))
    )


def _random(line: str) -> bool:
    """Neither an id nor a fingerprint in hexadecimal."""
    return bool(re.search("[g-z]", line) and re.search("[G-Z]", line) and _DIGIT.search(line))


def of_pem_body(match: re.Match[str]) -> bool:
    """A key's, and not a certificate's, which is public, and whose label stands beside it."""
    text = match.string
    if not _random(match["secret"][:64]):
        return False
    begin = text.rfind("-----BEGIN ", max(0, match.start() - _LABEL_WITHIN), match.start())
    ended = text.find("-----END ", begin, match.start()) >= 0
    label = text[begin : begin + 64] if begin >= 0 and not ended else text[match.end() : match.end() + 64]
    return re.search("CERTIFICATE|PUBLIC KEY", label) is None


_LABEL_WITHIN = 16 * 1024
"""Characters before a key's line among which the label that it belongs to is looked for."""


def of_pgpass(match: re.Match[str]) -> bool:
    """A password, not a word about a connection; and no line of a compiler, which has a column for a database."""
    return _no_word_nor_number(match) and not (match["database"] or "").isdigit()


def of_an_option(match: re.Match[str]) -> bool:
    """A password after ``-p``, not a port, nor what goes on."""
    return _no_word_nor_number(match) and not match["secret"].startswith("-")


def _no_word_nor_number(match: re.Match[str]) -> bool:
    return no_marker(match) and match["secret"].lower() not in _WORDS and not match["secret"].isdigit()


def of_quoted(match: re.Match[str]) -> bool:
    """In single quotes, as SQL has it; or in double ones a single word that is none of a sentence."""
    secret = match["secret"]
    if match["quote"] == "'":
        return no_marker(match)
    return no_marker(match) and not re.search(r"\s", secret) and secret.lower() not in _WORDS


def of_encoded_key(match: re.Match[str]) -> bool:
    """A private key in base64, and not a certificate or a public key, which begin alike."""
    with contextlib.suppress(binascii.Error):
        return b"PRIVATE KEY" in base64.b64decode(match["secret"][:64])
    return False


def no_marker(match: re.Match[str]) -> bool:
    """Whatever is not gone already."""
    return MARKER.fullmatch(match["secret"]) is None


def of_header(match: re.Match[str]) -> bool:
    """A header's value, not a sentence about it."""
    return no_marker(match) and match["secret"].lower() not in _WORDS


def of_bare_header(match: re.Match[str]) -> bool:
    """The same without a scheme before it."""
    return of_header(match) and with_digit(match)


def of_basic(match: re.Match[str]) -> bool:
    """``Basic`` is followed by base64 of ``user:password``, not by "authentication"."""
    try:
        decoded = base64.b64decode(match["secret"], validate=True)
    except binascii.Error:
        return False
    return b":" in decoded and decoded.isascii()


def of_userinfo(match: re.Match[str]) -> bool:
    """``user:password``, or a token in the place of the user; ``git@`` is none."""
    user, colon, password = match["secret"].partition(":")
    if MARKER.fullmatch(match["secret"]):
        return False
    return bool(password) if colon else len(user) >= 16


def of_mail(match: re.Match[str]) -> bool:
    """``getty@tty1.service`` and ``git@github.com`` reach nobody."""
    local, _, domain = match["secret"].rpartition("@")
    unit = domain.rpartition(".")[2].lower() in {
        "service",
        "socket",
        "timer",
        "mount",
        "target",
        "slice",
        "scope",
    }
    return not unit and local.lower() != "git"


def of_encoded_userinfo(match: re.Match[str]) -> bool:
    """The same, percent-encoded."""
    return "%3a" in match["secret"].lower() or len(match["secret"]) >= 16


_BRANDS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)[0-9]*|3[47][0-9]{13}|3(?:0[0-5]|[68])[0-9]{12,13}"
    r"|6(?:011|5|4[4-9]|2)[0-9]*|35(?:2[89]|[3-8])[0-9]*"
)


_DIGITS_AS_ZERO = bytes(
    ord("0") if char in b"0123456789" else ord(" ") if char in b" -" else ord("x") for char in range(256)
)
_CARD_GROUPS = (b"0" * 13, b"0000 0000 0000", b"0000 000000 0000")


def has_card_groups(text: str) -> bool:
    """Whether a card's number could be in it, by its shortest runs of digits: cheap, and certain where it says no."""
    digits = text.encode(errors="replace").translate(_DIGITS_AS_ZERO)
    return any(group in digits for group in _CARD_GROUPS)


def of_card(match: re.Match[str]) -> bool:
    """A brand's prefix and length, and Luhn's check sum (ISO/IEC 7812-1)."""
    digits = re.sub(r"[ -]", "", match["secret"])
    if not 13 <= len(digits) <= 19 or not _BRANDS.fullmatch(digits) or len(set(digits)) < 2:
        return False
    if digits[0] in "2356" and digits[:2] not in {"34", "37", "30", "36", "38", "62"} and len(digits) != 16:
        return False
    total = sum(int(d) for d in digits[-1::-2]) + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return total % 10 == 0
