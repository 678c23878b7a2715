"""What `hemostat backup`, `restore` and `drill` say when they cannot, and that they leave nothing half done."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge import cli
from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from tests.integration.desk import Desk, alert
from tests.integration.store.content import content
from tests.servers.small_disk import small_disk

TMPFS_BYTES = 64 * 1024


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


class Operator:
    """Who types commands, and what is in the store they are about."""

    def __init__(self, url: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._url, self._config, self._capsys = url, config, capsys
        config.write_text(json.dumps({"redis": {"url": url.removesuffix("/0")}}))

    def says(self, *words: str | Path) -> Said:
        """One command with the configuration of this store."""
        code = cli.main([*map(str, words), "--config.file", str(self._config)])
        out, err = self._capsys.readouterr()
        return Said(code, out, err)

    def fill(self, alerts: int) -> None:
        """With as many open incidents, of which no two are alike."""

        async def take() -> None:
            store = Store(self._url)
            names = [f"{number}-{os.urandom(40).hex()}" for number in range(alerts)]
            desk = Desk(store, StoredJournal(store, lease_seconds=1), Acceptor(store, backlog_limit=10**6))
            await desk.take(*(alert(name, fingerprint=name[:64]) for name in names))
            await store.close()

        asyncio.run(take())

    def content(self) -> dict[str, Any]:
        """All that is in the store."""
        return asyncio.run(content(self._url))


@pytest.fixture
def operator(redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    """On an empty store."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    folder = tmp_path / "configuration"
    folder.mkdir()
    yield Operator(redis_url, folder / "hemostat.yml", capsys)
    root.handlers[:], root.level = handlers, level


def test_what_cannot_be_done_is_one_line_and_leaves_nothing(operator: Operator, tmp_path: Path) -> None:
    """Exit code 2 for a path that cannot be, 1 for an answer of no; each names the file and what to do."""
    good, cut, foreign = tmp_path / "good", tmp_path / "cut", tmp_path / "dump.rdb"
    unknown = operator.says("drill")
    assert (unknown.code, "knows of no backup" in unknown.err) == (2, True)
    operator.fill(3)
    assert operator.says("backup", good).code == 0
    cut.write_bytes(good.read_bytes()[:-30])
    foreign.write_bytes(b"REDIS0011")
    listed, stored = sorted(os.listdir(tmp_path)), operator.content()
    cases: list[tuple[list[str | Path], int, str]] = [
        (["backup", tmp_path / "nowhere/backup"], 2, "No such file or directory"),
        (["backup", tmp_path], 2, "no regular file"),
        (["backup", "/dev/full"], 2, "no regular file"),
        (["restore", tmp_path / "nothing"], 2, "No such file or directory"),
        (["restore", tmp_path], 2, "no regular file"),
        (["restore", cut], 1, "cut off"),
        (["restore", foreign], 1, "no backup of HemoStat"),
        (["restore", good], 1, "not empty: --force"),
        (["drill", cut], 1, "cut off"),
        (["drill", foreign], 1, "no backup of HemoStat"),
    ]
    for words, code, why in cases:
        said = operator.says(*words)
        assert (said.code, said.out) == (code, ""), (words, said)
        assert why in said.err
        assert len(said.err.splitlines()) == 1, said.err
    assert sorted(os.listdir(tmp_path)) == listed
    assert operator.content() == stored


def test_what_was_done_is_told_for_people_and_for_machines(operator: Operator, tmp_path: Path) -> None:
    """Seconds, counts and digest; the same digest from each; and that HemoStat is paused now."""
    operator.fill(3)
    file = tmp_path / "backup"
    told = [operator.says("backup", file), operator.says("drill"), operator.says("restore", file, "--force")]
    assert [said.code for said in told] == [0, 0, 0]
    assert all("3 incidents (3 open)" in said.out and " s" in said.out for said in told)
    assert "PAUSED" in told[-1].out
    machines = [
        json.loads(operator.says(*words, "--output", "json").out)
        for words in (("backup", file), ("drill", file), ("restore", file, "--force"))
    ]
    assert len({answer["digest"] for answer in machines}) == 1
    assert all(answer["incidents"] == 3 and answer["seconds"] > 0 for answer in machines)


def test_a_drill_needs_no_store_of_ours(
    operator: Operator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On another machine the file is proven all the same; that no store could be told of it is said, and is no failure."""
    operator.fill(3)
    assert operator.says("backup", tmp_path / "backup").code == 0
    nowhere = f"redis://{parts.LOOPBACK}:{parts.free_port()}"
    said = Operator(nowhere, tmp_path / "elsewhere.yml", capsys).says("drill", tmp_path / "backup")
    assert said.code == 0
    assert "gives back 3 incidents" in said.out
    assert "could not be told" in said.err


def test_a_backup_that_fills_the_disk_leaves_the_earlier_one(operator: Operator, tmp_path: Path) -> None:
    """No space left: exit code 1 and one line; the last good backup is still there, whole, and nothing beside it."""
    operator.fill(1)
    with small_disk(tmp_path / "disk", TMPFS_BYTES) as disk:
        file = disk / "backup"
        assert operator.says("backup", file).code == 0
        before = file.read_bytes()
        (disk / "ballast").write_bytes(bytes(TMPFS_BYTES - 3 * 4096))
        operator.fill(1000)
        said = operator.says("backup", file)
        assert said.code == 1
        assert "No space left on device" in said.err
        assert len(said.err.splitlines()) == 1
        assert file.read_bytes() == before
        assert sorted(os.listdir(disk)) == ["backup", "ballast"]
        assert operator.says("drill", file).code == 0
