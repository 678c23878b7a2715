"""Compressed bodies, unfolded here and not while they arrive: what is refused or too large would cost all of it.

The server must leave them as they are (``auto_decompress``).
"""

from __future__ import annotations

import zlib

from aiohttp import web

from bridge.web.answers import Refused

STEP_BYTES = 64 * 1024

_GZIP, _ZLIB, _BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


def unfolded(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body that its ``Content-Encoding`` stands for (``""``: none), of ``most`` bytes.

    Raises: Refused: 400; HTTPRequestEntityTooLarge.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, _GZIP, most)
        case "deflate":  # RFC 9110 means zlib's frame; some clients send none
            return _inflated(body, _ZLIB if body[:1] and body[0] & 0xF == zlib.DEFLATED else _BARE, most)
        case _:
            told = "its Content-Encoding is not understood: gzip and deflate are understood"
            raise Refused(400, "bad_request", told)


def _inflated(body: bytes, wbits: int, most: int) -> bytes:
    unpacker, found, at = zlib.decompressobj(wbits), bytearray(), 0
    try:
        while at < len(body) and not unpacker.eof:
            given, at = body[at : at + STEP_BYTES], at + STEP_BYTES
            # In steps: memory for all of a large body at once is memory that the process would not give back.
            while piece := unpacker.decompress(given, STEP_BYTES):
                given = unpacker.unconsumed_tail
                found += piece
                if len(found) > most:
                    raise web.HTTPRequestEntityTooLarge(most, len(found))
        if not unpacker.eof or unpacker.unused_data or at < len(body):
            raise zlib.error
        return bytes(found)
    except zlib.error as error:
        told = "the body is not what its headers say: cut off, or not decodable"
        raise Refused(400, "bad_payload", told) from error
    finally:
        found.clear()
