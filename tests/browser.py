"""A headless Chromium and a page in it, by the DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bridge.demo import parts
from tests.waiting import until

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # of the browser against its pages, which root has none of; the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
)


class Chromium(parts.Process):
    """A browser without a window."""

    def __init__(self, directory: Path | None = None) -> None:
        program = parts.find_program("chromium", "google-chrome", package="chromium")
        port = parts.free_port()
        directory = parts.private_directory("chromium", directory)
        super().__init__(
            [
                program,
                *FLAGS,
                f"--remote-debugging-port={port}",
                f"--user-data-dir={directory}",
                "about:blank",
            ],
            name="chromium",
            directory=directory,
            url=f"http://{parts.LOOPBACK}:{port}",
            ready_path="/json/version",
            env={"HOME": str(directory)},
        )

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab, closed afterwards."""
        status, body = parts.http_request("PUT", f"{self.url}/json/new", seconds=10)
        assert status == http.client.OK, body
        target = json.loads(body)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as connection,
        ):
            page = Page(connection)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.command(f"{domain}.enable")
            yield page
            await page.command("Page.close")


class Page:
    """One tab. ``complaints``: what the browser reported, violations of the page's policy among it."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection, self._numbers = connection, itertools.count(1)
        self.complaints: list[str] = []

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """One command's result; events that come before it are looked through."""
        number = next(self._numbers)
        await self._connection.send_json({"id": number, "method": method, "params": params})
        while (told := await self._connection.receive_json(timeout=20)).get("id") != number:
            self._noted(told)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def _noted(self, told: dict[str, Any]) -> None:
        if told.get("method") == "Runtime.exceptionThrown":
            details = told["params"]["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        if told.get("method") == "Log.entryAdded" and told["params"]["entry"]["source"] in (
            "security",
            "javascript",
        ):
            self.complaints.append(told["params"]["entry"]["text"])

    async def visit(self, url: str) -> None:
        """Go there; a change of the hash alone loads nothing."""
        await self.command("Page.navigate", url=url)

    async def value(self, script: str) -> Any:
        """What an expression gives, promises waited for."""
        told = await self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def text(self, selector: str) -> str:
        """What can be read there; "" where nothing is, or it is hidden."""
        node = f"document.querySelector({json.dumps(selector)})"
        return str(await self.value(f"{node}?.checkVisibility() ? {node}.innerText : ''"))

    async def shows(self, text: str, *, at: str = "body", seconds: float = 20) -> str:
        """What can be read there, once this is part of it. Raises TimeoutError: never in time."""
        return await until(lambda: self.text(at), lambda found: text in found, seconds=seconds)

    async def picture(self, *, width: int, height: int, dark: bool = False) -> bytes:
        """A screenshot as PNG."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.command("Emulation.setEmulatedMedia", features=scheme)
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        taken = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(taken["data"])
