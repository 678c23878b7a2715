"""A password matches its hash, and nothing else does."""

import base64
import hashlib

import pytest

from exporters.docker import passwords
from exporters.docker.errors import UsageError

KNOWN_BCRYPT = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
"""Of `U*U`. Source: the test vectors of Openwall's crypt_blowfish."""


def pbkdf2(password: str, *, rounds: int = 1000, salt: str = "c2FsdA") -> str:
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), rounds)
    return f"pbkdf2_sha256${rounds}${salt}${base64.b64encode(made).decode()}"


@pytest.mark.parametrize(
    ("password", "hashed"), [("U*U", KNOWN_BCRYPT), ("sesame", pbkdf2("sesame")), ("ü☃", pbkdf2("ü☃"))]
)
def test_the_right_password_matches_and_others_do_not(password: str, hashed: str) -> None:
    passwords.check_usable(hashed)
    assert passwords.matches(password.encode(), hashed)
    assert not passwords.matches(b"", hashed)
    assert not passwords.matches((password + "x").encode(), hashed)
    assert not passwords.matches((password + "\0x").encode(), hashed)


def test_a_pbkdf2_hash_of_another_length_matches_nothing() -> None:
    assert not passwords.matches(b"sesame", "pbkdf2_sha256$1000$salt$AAAA=====")


@pytest.mark.parametrize(
    "hashed",
    ["", "secret", "$2y$10$short", "pbkdf2_sha256$x$salt$AAAA", "pbkdf2_sha256$1000$$AAAA", "{SHA}x"],
)
def test_what_is_no_hash_is_refused(hashed: str) -> None:
    with pytest.raises(UsageError):
        passwords.check_usable(hashed)
