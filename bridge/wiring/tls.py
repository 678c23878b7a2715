"""The certificate that the interface shows, and whom it asks for one."""

from __future__ import annotations

import ssl
from pathlib import Path

from bridge import authorities, errors, settings

_VERIFY = {
    settings.ClientAuth.NONE: ssl.CERT_NONE,
    settings.ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    settings.ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}


class _Encrypted(Exception):
    """A key is asked for with a password, and nobody is there to type it."""


def tls_of(tls: settings.WebTls) -> ssl.SSLContext:
    """The server's TLS context. Raises SettingsError: a file cannot be used, by its key."""
    context = authorities.taken(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_nobody_types)
    except (OSError, _Encrypted) as error:
        raise _problem(*_fault_of(tls, error)) from error
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            raise _problem("client_ca_file", _said(error, "no PEM certificate is in it")) from error
    context.verify_mode = _VERIFY[tls.client_auth_type]
    return context


def _nobody_types() -> bytes:
    raise _Encrypted


def _fault_of(tls: settings.WebTls, error: Exception) -> tuple[str, str]:
    """Which of the two files it is about, and what is wrong with it. OpenSSL names neither."""
    if isinstance(error, _Encrypted):
        return "key_file", "is encrypted: nobody is there to type its password"
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "key_file", "is not the key of cert_file"
    if not _holds(tls.cert_file, b"BEGIN CERTIFICATE"):
        return "cert_file", _said(error, "no PEM certificate is in it")
    return "key_file", _said(error, "no PEM private key that fits is in it")


def _holds(file: Path, mark: bytes) -> bool:
    try:
        return mark in file.read_bytes()
    except OSError:
        return False


def _said(error: Exception, otherwise: str) -> str:
    """What the system says of a file; ``otherwise`` where it is OpenSSL that speaks, in words of its own source."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.strerror:
        return f"cannot be read: {error.strerror.lower()}"
    return otherwise


def _problem(key: str, told: str) -> errors.SettingsError:
    return errors.SettingsError([errors.Problem(f"web.tls_server_config.{key}", 0, told)])
