"""How a server of asyncio's is closed so that it leaves no connection behind."""

from __future__ import annotations

import asyncio
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Iterable


async def stop_accepting(listening: Iterable[socket.socket | TransportSocket]) -> None:
    """To be done before a server closes. Python 3.11 forgets a connection that is accepted in the turn of the loop in
    which its server closes (`Server._attach` fails): whoever tests next is blamed for a socket that nobody closed."""
    loop = asyncio.get_running_loop()
    for one in listening:
        loop.remove_reader(one)
    for _ in range(3):  # until what was accepted is connected, and who serves it has begun and can be ended
        await asyncio.sleep(0)
