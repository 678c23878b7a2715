"""Certificates made for a test, by openssl."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Certificates:
    """An authority of one's own, as a plain `openssl req -x509` makes it, a server's certificate for 127.0.0.1, and a
    client's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        openssl = shutil.which("openssl")
        if openssl is None:
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail("openssl is not on PATH", pytrace=False)
            pytest.skip("openssl is not on PATH")
        self._openssl = openssl
        self.make("ca")
        self.make("server", "-addext", "subjectAltName=IP:127.0.0.1", by="ca")
        self.make("client", by="ca")

    def make(self, name: str, *extra: str, by: str | None = None) -> None:
        signer = ["-CA", f"{by}.crt", "-CAkey", f"{by}.key"] if by else []
        key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            f"{name}.key",
        ]
        command = [
            self._openssl,
            "req",
            "-x509",
            *key,
            "-out",
            f"{name}.crt",
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
        ]
        subprocess.run([*command, *extra, *signer], cwd=self.directory, check=True, capture_output=True)
