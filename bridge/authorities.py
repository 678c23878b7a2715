"""Whose certificates are taken: the same on every Python, and the same as by Prometheus, Alertmanager, Docker and curl."""

from __future__ import annotations

import ssl

REFUSED_BY_DEFAULT = ssl.VERIFY_X509_STRICT
"""Set by default from Python 3.13 on. It refuses an authority without ``keyUsage``: what ``openssl req -x509`` makes, and
with it the steps in Docker's own documentation. It adds form, no trust: names, dates and signatures are checked without."""


def taken(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context itself, which takes such authorities from now on."""
    context.verify_flags &= ~REFUSED_BY_DEFAULT
    return context
