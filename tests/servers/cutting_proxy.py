"""A proxy before Redis that lets a command be carried out, and then drops the answer and the connection.

Source of the fault: what Temporal calls "execute and time out".
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from importlib import resources

from bridge.demo import parts
from bridge.edges.store.connection import _source
from tests.servers.tcp_proxy import TcpProxy

NOTHING = (b"*-1\r\n", b"_\r\n", b"-")
"""How an answer begins that says that nothing came, or that nothing was carried out."""


class CuttingProxy(TcpProxy):
    """Lost are `share` of the answers to scripts, a fifth of that of the answers to plain commands, and the next one to
    each script in `next_of`."""

    def __init__(self, redis_port: int, *, share: float = 0.0) -> None:
        super().__init__(redis_port)
        self.url = f"redis://{parts.LOOPBACK}:{self.port}"
        self.share = share
        self.next_of: set[str] = set()
        self.more: dict[str, float] = {}
        """By how much the share of a script's or a command's answers is higher."""
        self.cut: Counter[str] = Counter()
        """What was carried out and not answered: names of our scripts, or of commands."""
        self._scripts = _scripts()

    @property
    def cuts(self) -> int:
        """How many answers were lost so far."""
        return sum(self.cut.values())

    @property
    def cuts_of_scripts(self) -> int:
        """How many of them to scripts of ours, which bear small letters."""
        return sum(count for name, count in self.cut.items() if name.islower())

    async def _goes_on(self, asked: bytes, answer: bytes) -> bool:
        name = self._named(asked)
        share = self.share * self.more.get(name, 1.0 if name.islower() else 0.2)
        lost = name in self.next_of or random.random() < share
        if not lost or answer.startswith(NOTHING):
            return True
        self.next_of.discard(name)
        self.cut[name] += 1
        return False

    def _named(self, request: bytes) -> str:
        words = _words(request)
        name = words[0].decode(errors="replace").upper() if words else "?"
        if name == "EVALSHA" and len(words) > 1:
            return self._scripts.get(words[1].decode(errors="replace"), "a script")
        if name == "EVAL" and len(words) > 1:
            return self._scripts.get(hashlib.sha1(words[1], usedforsecurity=False).hexdigest(), "a script")
        return name


def _words(request: bytes) -> list[bytes]:
    """The first two words of a request. Source: Redis' protocol: `*count`, then `$length` and the word, each."""
    words: list[bytes] = []
    rest = request.partition(b"\r\n")[2]
    while len(words) < 2 and rest.startswith(b"$"):
        length, _, rest = rest[1:].partition(b"\r\n")
        words.append(rest[: int(length)])
        rest = rest[int(length) + 2 :]
    return words


def _scripts() -> dict[str, str]:
    """The names of our scripts by the SHA-1 under which the server knows them."""
    folder = resources.files("bridge.edges.store").joinpath("lua")
    names = (file.name.removesuffix(".lua") for file in folder.iterdir() if file.name.endswith(".lua"))
    return {_source(name)[1]: name for name in names if not name.endswith("prelude")}
