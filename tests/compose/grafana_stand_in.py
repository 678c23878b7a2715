"""In the place of Grafana, whose image cannot be pulled here: reads the provisioning as Grafana would, refuses to start on
what Grafana would refuse, and answers the few paths of its API that the test asks. Runs inside a container.

Source: Grafana, "Provision Grafana"; HTTP API: health, data source, search, dashboard.
"""

import base64
import hmac
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

PROVISIONING = Path("/etc/grafana/provisioning")
PORT = 3000
PASSWORD_FILE = "GF_SECURITY_ADMIN_PASSWORD__FILE"

Json = dict[str, Any]
Answer = tuple[int, Any]
"""Status and body."""


class Unfit(Exception):
    """Grafana would not start, or would show nothing, with this."""


def provisioned(kind: str) -> Iterator[Json]:
    """The documents of one kind, variables of the environment put in."""
    for file in sorted((PROVISIONING / kind).glob("*.y*ml")):
        document = expanded(yaml.safe_load(file.read_text()))
        if document.get("apiVersion") != 1:
            raise Unfit(f"{file}: apiVersion must be 1")
        yield document


def expanded(value: Any) -> Any:
    """As Grafana does it: $NAME and ${NAME}, in values only; one that is not set becomes empty."""
    if isinstance(value, dict):
        return {key: expanded(content) for key, content in value.items()}
    if isinstance(value, list):
        return [expanded(content) for content in value]
    if not isinstance(value, str):
        return value
    text = os.path.expandvars(value)
    return "" if text.startswith("$") else text


def data_sources() -> dict[str, Json]:
    """By uid. Raises Unfit: one is incomplete, or not exactly one is the default."""
    found: dict[str, Json] = {}
    for document in provisioned("datasources"):
        for source in document["datasources"]:
            if not (source.get("name") and source.get("type") and source.get("url", "").startswith("http")):
                raise Unfit(f"data source {source.get('name')!r} is incomplete: {source}")
            found[source["uid"]] = source
    if [source.get("isDefault", False) for source in found.values()].count(True) != 1:
        raise Unfit("not exactly one data source is the default")
    return found


def dashboards() -> dict[str, Json]:
    """By uid, of all providers. Raises Unfit: a folder is not there or empty, or two have one uid."""
    found: dict[str, Json] = {}
    for document in provisioned("dashboards"):
        for provider in document["providers"]:
            files = sorted(Path(provider["options"]["path"]).rglob("*.json"))
            if provider["type"] != "file" or not files:
                raise Unfit(f"provider {provider['name']!r} provides nothing")
            for file in files:
                dashboard = json.loads(file.read_text())
                if not dashboard.get("title") or not dashboard.get("uid") or dashboard["uid"] in found:
                    raise Unfit(f"{file}: needs a title, and a uid that no other has")
                found[dashboard["uid"]] = dashboard
    return found


SOURCES = data_sources()
DASHBOARDS = dashboards()
CREDENTIALS = b"admin:" + Path(os.environ[PASSWORD_FILE]).read_bytes().strip()


class Api(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(*self.answered())

    def do_POST(self) -> None:
        if not self.known():
            self.answer(401, {"message": "Invalid username or password"})
            return
        drawn = {"id": len(ANNOTATIONS) + 1, **self.body()}
        ANNOTATIONS.append(drawn)
        self.answer(200, {"id": drawn["id"], "message": "Annotation added"})

    def do_PATCH(self) -> None:
        if not self.known():
            self.answer(401, {"message": "Invalid username or password"})
            return
        ANNOTATIONS[int(self.path.rpartition("/")[2]) - 1].update(self.body())
        self.answer(200, {"message": "Annotation patched"})

    def body(self) -> Json:
        sent: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return sent

    def known(self) -> bool:
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        return hmac.compare_digest(given, CREDENTIALS)

    def answer(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answered(self) -> Answer:
        if self.path == "/api/health":
            return 200, {"database": "ok", "version": "stand-in"}
        if not self.known():
            return 401, {"message": "Invalid username or password"}
        if self.path.startswith("/api/annotations"):
            return 200, ANNOTATIONS
        if self.path == "/api/datasources":
            return 200, list(SOURCES.values())
        if self.path == "/api/search":
            return 200, [{"uid": uid, "title": one["title"]} for uid, one in DASHBOARDS.items()]
        if self.path.startswith("/api/dashboards/uid/"):
            found = DASHBOARDS.get(self.path.rpartition("/")[2])
            return (200, {"dashboard": found}) if found else (404, {"message": "Dashboard not found"})
        if self.path.startswith("/api/datasources/proxy/uid/"):
            uid, _, rest = self.path.removeprefix("/api/datasources/proxy/uid/").partition("/")
            return proxied(SOURCES[uid]["url"], rest)
        return 404, {"message": "Not found"}


def proxied(url: str, rest: str) -> Answer:
    """What the data source answers."""
    try:
        with urllib.request.urlopen(f"{url}/{rest}", timeout=5) as answer:  # noqa: S310  # a provisioned URL
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {"message": str(error)}


ANNOTATIONS: list[Json] = []
ThreadingHTTPServer(("", PORT), Api).serve_forever()
