"""A Redis whose authority was renewed: the file is read anew when we connect anew, without a restart of ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.connection import Store
from tests.certificates import Certificates
from tests.waiting import until


def made(folder: Path) -> Path:
    folder.mkdir()
    return Certificates(folder).directory


def server_of(folder: Path, port: int) -> parts.RedisServer:
    pair = ("--tls-cert-file", f"{folder}/server.crt", "--tls-key-file", f"{folder}/server.key")
    more = ("--tls-ca-cert-file", f"{folder}/ca.crt", "--tls-auth-clients", "no", "--tls-port", str(port))
    server = parts.RedisServer(extra=(*pair, *more))
    server.start()
    return server


async def test_a_renewed_authority_counts_from_the_next_connection(tmp_path: Path) -> None:
    before, after, trusted = made(tmp_path / "before"), made(tmp_path / "after"), tmp_path / "ca.pem"
    shutil.copy(before / "ca.crt", trusted)
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
        shutil.copy(after / "ca.crt", trusted)

        async def answers() -> bool:
            try:
                return bool(await store.command("PING"))
            except errors.EdgeUnavailable:
                return False

        await until(answers)
    finally:
        second.stop()
        await store.close()
