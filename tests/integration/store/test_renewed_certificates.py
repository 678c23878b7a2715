"""A Redis whose authority was renewed: the file is read anew when we connect anew, without a restart of ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.connection import Store
from tests.waiting import until


def made(folder: Path) -> Path:
    """A certificate of its own authority for loopback, and its key."""
    folder.mkdir()
    openssl = parts.find_program("openssl", package="openssl")
    words = "req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    out = ["-out", str(folder / "tls.pem"), "-keyout", str(folder / "tls.key")]
    subprocess.run([openssl, *words.split(), *out], check=True, capture_output=True)
    return folder


def server_of(folder: Path, port: int) -> parts.RedisServer:
    pair = ("--tls-cert-file", f"{folder}/tls.pem", "--tls-key-file", f"{folder}/tls.key")
    more = ("--tls-ca-cert-file", f"{folder}/tls.pem", "--tls-auth-clients", "no", "--tls-port", str(port))
    server = parts.RedisServer(extra=(*pair, *more))
    server.start()
    return server


async def test_a_renewed_authority_counts_from_the_next_connection(tmp_path: Path) -> None:
    before, after, trusted = made(tmp_path / "before"), made(tmp_path / "after"), tmp_path / "ca.pem"
    shutil.copy(before / "tls.pem", trusted)
    port = parts.free_port()
    store = Store(f"rediss://{parts.LOOPBACK}:{port}/0?ssl_ca_certs={trusted}")
    first = server_of(before, port)
    try:
        assert await store.command("PING") is True
    finally:
        first.stop()
    second = server_of(after, port)
    try:
        with pytest.raises(errors.EdgeUnavailable):
            await store.command("PING")
        shutil.copy(after / "tls.pem", trusted)

        async def answers() -> bool:
            try:
                return bool(await store.command("PING"))
            except errors.EdgeUnavailable:
                return False

        await until(answers)
    finally:
        second.stop()
        await store.close()
