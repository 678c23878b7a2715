"""`docker-compose.yml` brought up as it is, by a real Compose on a real Engine, and a container healed by it.

One stack for all tests, in their order: what the alert and the repair take time for goes on while the others look around.
"""

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from bridge import settings
from bridge.demo import parts
from tests.compose.stack import PORTS, ROOT, Json, Stack

pytestmark = pytest.mark.timeout(600)

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = [name for name, service in COMPOSE["services"].items() if "profiles" not in service]
SICK = {"demo-web": "kill -STOP $(cat /tmp/pid)", "demo-worker": "kill -USR1 1"}
"""What makes which container sick."""

HEAL_SECONDS = 150
"""Seen after 10 s, held for 30 s, grouped for 5 s, restarted, well for 30 s, and no longer alerted."""

NO_CAPABILITY = "0000000000000000"
REFUSED, NOBODY = 403, 65534


@pytest.fixture(scope="module", autouse=True)
def broken(stack: Stack) -> None:
    """Two containers of the demo are made sick before the first test, and looked at in the last ones."""
    for name, fault in SICK.items():
        stack.run_in(name, "sh", "-c", fault)  # its exit code may be that of a container that has ended


def test_every_service_runs_and_is_healthy(stack: Stack) -> None:
    found = stack.containers()
    assert set(found) == set(COMPOSE["services"])
    for name in SERVICES:
        assert found[name].attrs["State"]["Health"]["Status"] == "healthy", name


def test_compose_itself_says_so(stack: Stack) -> None:
    running = stack.compose("ps", "--services", "--filter", "status=running").split()
    assert set(running) >= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_must(stack: Stack, name: str) -> None:
    container = stack.containers()[name].attrs
    host, config = container["HostConfig"], container["Config"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert config["Labels"]["hemostat.enable"] == "false"
    status = Path(f"/proc/{container['State']['Pid']}/status").read_text()
    said = dict(line.split(":\t", 1) for line in status.splitlines())
    assert said["Uid"].split()[0] != "0"
    assert {said["CapEff"], said["CapPrm"], said["CapBnd"]} == {NO_CAPABILITY}
    assert said["NoNewPrivs"] == "1"


def test_the_exporter_is_nobody_with_two_mounts_that_it_can_only_read(stack: Stack) -> None:
    container = stack.containers()["exporter"].attrs
    assert container["Config"]["User"] == f"{NOBODY}:{NOBODY}"
    mounts = {mount["Source"]: mount["RW"] for mount in container["Mounts"]}
    assert mounts == {"/proc": False, "/sys/fs/cgroup": False}


def test_only_the_proxies_hold_the_socket(stack: Stack) -> None:
    holders = {
        name
        for name, container in stack.containers().items()
        if any(mount["Source"] == str(stack.engine.socket) for mount in container.attrs["Mounts"])
    }
    assert holders == {"socket-proxy", "socket-proxy-readonly"}


def test_ports_are_published_on_loopback_only(stack: Stack) -> None:
    published: dict[str, set[str]] = {}
    for name, container in stack.containers().items():
        for bindings in (container.attrs["HostConfig"]["PortBindings"] or {}).values():
            published.setdefault(name, set()).update(binding["HostIp"] for binding in bindings)
    assert published == {name: {"127.0.0.1"} for name in PORTS}


def test_each_proxy_is_seen_by_its_client_alone(stack: Stack) -> None:
    networks: dict[str, set[str]] = {}
    for name in SERVICES:
        for network in stack.containers()[name].attrs["NetworkSettings"]["Networks"]:
            networks.setdefault(network.partition("_")[2], set()).add(name)
    assert networks["engine-repair"] == {"bridge", "socket-proxy"}
    assert networks["engine-read"] == {"exporter", "socket-proxy-readonly"}
    for proxy in ("socket-proxy", "socket-proxy-readonly"):
        code, said = stack.run_in("prometheus", "wget", "-T", "3", "-O", "-", f"http://{proxy}:2375/_ping")
        assert code != 0, said


def test_secrets_stand_in_no_environment_and_no_command_line_and_no_log(stack: Stack) -> None:
    folder = stack.checkout / "deploy/compose/secrets"
    secrets = [
        word for file in folder.iterdir() if file.name != ".gitignore" for word in file.read_text().split()
    ]
    long = [word for word in secrets if len(word) > 20]
    assert len(long) == 5
    for name in SERVICES:
        told = json.dumps(stack.containers()[name].attrs) + stack.logs(name)
        pid = stack.containers()[name].attrs["State"]["Pid"]
        told += Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
        assert not [word for word in long if word in told], name


def test_redis_asks_for_a_password_keeps_everything_and_writes_at_once(stack: Stack) -> None:
    assert "NOAUTH" in stack.run_in("redis", "redis-cli", "ping")[1]
    shell = 'export REDISCLI_AUTH="$(cat /run/secrets/redis_password)"; for name in {}; do redis-cli config get $name; done'
    names = "appendonly appendfsync maxmemory-policy maxmemory dir"
    said = stack.run_in("redis", "sh", "-c", shell.format(names))[1].split()
    assert dict(zip(said[::2], said[1::2], strict=True)) == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(256 * 1024 * 1024),
        "dir": "/data",
    }


ASK = """
import http.client, json, sys
for method, path in json.loads(sys.argv[2]):
    connection = http.client.HTTPConnection(sys.argv[1], 2375, timeout=10)
    connection.request(method, path, headers={"Content-Length": "0"})
    print(json.dumps([method, path, connection.getresponse().status]))
    connection.close()
"""
"""Runs inside a container: each request on a connection of its own, its path sent as it is."""


def asked(
    stack: Stack, client: str, proxy: str, requests: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """What the proxy answers its client."""
    code, said = stack.run_in(client, "python", "-c", ASK, proxy, json.dumps(requests))
    assert code == 0, said
    rows = [json.loads(line) for line in said.splitlines()]
    return {(method, path): status for method, path, status in rows}


def written(container_id: str) -> list[tuple[str, str]]:
    """Requests that change something, or show what is none of a client's business."""
    one, v = f"/v1.41/containers/{container_id}", "/v1.41"
    return [
        *(
            ("POST", f"{one}/{verb}")
            for verb in ("stop", "kill", "pause", "unpause", "exec", "rename", "update")
        ),
        *(("POST", f"{one}/{verb}") for verb in ("attach", "wait", "resize", "copy", "start/", "restart/x")),
        *(("DELETE", one), ("PUT", f"{one}/archive?path=/"), ("GET", f"{one}/archive?path=/etc/shadow")),
        *(
            ("GET", f"{one}/export"),
            ("GET", f"{one}/top"),
            ("GET", f"{one}/attach/ws"),
            ("GET", f"{one}/changes"),
        ),
        *(
            ("POST", f"{v}/containers/create"),
            ("POST", f"{v}/containers/prune"),
            ("POST", f"{v}/exec/1/start"),
        ),
        *(("POST", f"{v}/build"), ("POST", f"{v}/images/create?fromImage=x"), ("GET", f"{v}/images/json")),
        *(("DELETE", f"{v}/images/x"), ("POST", f"{v}/images/load"), ("POST", f"{v}/commit")),
        *(("GET", f"{v}/networks"), ("POST", f"{v}/networks/create"), ("GET", f"{v}/volumes")),
        *(
            ("POST", f"{v}/volumes/create"),
            ("GET", f"{v}/secrets"),
            ("GET", f"{v}/configs"),
            ("GET", f"{v}/nodes"),
        ),
        *(
            ("POST", f"{v}/swarm/init"),
            ("GET", f"{v}/services"),
            ("GET", f"{v}/plugins"),
            ("POST", f"{v}/auth"),
        ),
        *(
            ("POST", f"{v}/session"),
            ("POST", "/grpc"),
            ("GET", f"{v}/system/df"),
            ("GET", "/metrics"),
            ("GET", "/"),
        ),
        # Paths that one reads in one way and another in another.
        ("POST", f"{v}/containers/create/../{container_id}/kill"),
        ("POST", f"{v}/containers/{container_id}/restart/../kill"),
        ("POST", f"{v}/containers/create%3Fx=/{container_id}/restart"),
        ("POST", f"{v}/containers/{container_id}%2Fkill%3F/restart"),
        ("POST", f"/v1.41//containers/{container_id}/restart"),
        ("GET", f"{v}/containers/../images/json"),
        ("GET", f"{v}/containers/%2e%2e/images/json"),
        ("PATCH", "/_ping"),
        # Below API 1.24 a start takes mounts; without a version it could be any.
        ("POST", f"/v1.23/containers/{container_id}/start"),
        ("POST", f"/containers/{container_id}/start"),
        # A name, or part of an id, may come to mean another container.
        ("POST", f"{v}/containers/{container_id[:12]}/restart"),
        ("POST", f"{v}/containers/hemostat_redis_1/restart"),
        ("POST", f"{one}/restart?signal=SIGKILL"),
    ]


def test_the_bridge_reads_and_restarts_and_nothing_else(stack: Stack) -> None:
    known, unknown = str(stack.containers()["redis"].id), "0" * 64
    v = "/v1.41"
    reads = ["/_ping", f"{v}/_ping", "/version", f"{v}/version", f"{v}/info", f"{v}/containers/json?all=1"]
    reads += [
        f"{v}/containers/{known}/json",
        f"{v}/containers/{known}/logs?stdout=1&tail=1",
        "/containers/json",
    ]
    reads += [f"{v}/events?since=0&until=1"]
    allowed = [("GET", path) for path in reads]
    told = asked(stack, "bridge", "socket-proxy", allowed)
    assert told == dict.fromkeys(allowed, 200)

    # To an id that no container has: it is the Engine that answers.
    verbs = [("POST", f"{v}/containers/{unknown}/{verb}") for verb in ("restart", "start")]
    assert asked(stack, "bridge", "socket-proxy", verbs) == dict.fromkeys(verbs, 404)

    refused = [*written(known), ("GET", f"{v}/containers/{known}/stats?stream=false")]
    refused += [("GET", f"{v}/images/sha256:{unknown}/json")]
    assert asked(stack, "bridge", "socket-proxy", refused) == dict.fromkeys(refused, REFUSED)


def test_the_exporter_reads_and_nothing_else(stack: Stack) -> None:
    redis = stack.containers()["redis"]
    known, image = str(redis.id), redis.attrs["Image"]
    v = "/v1.41"
    reads = ["/_ping", "/containers/json?all=1", f"/containers/{known}/json", "/events?since=0&until=1"]
    reads += [f"/containers/{known}/stats?stream=false&one-shot=true", f"/images/{image}/json"]
    allowed = [("GET", path) for path in reads]
    assert asked(stack, "exporter", "socket-proxy-readonly", allowed) == dict.fromkeys(allowed, 200)
    refused = [
        *written(known),
        *(("POST", f"{v}/containers/{known}/{verb}") for verb in ("restart", "start")),
    ]
    refused += [("GET", f"{v}/containers/{known}/logs?stdout=1"), ("GET", f"{v}/info")]
    assert asked(stack, "exporter", "socket-proxy-readonly", refused) == dict.fromkeys(refused, REFUSED)


def test_the_doctor_finds_nothing(stack: Stack) -> None:
    code, said = stack.run_in("bridge", "hemostat", "doctor", "--config.file=/etc/hemostat/hemostat.yml")
    assert code == 0, said


def test_nobody_comes_in_without_a_token_and_alertmanager_s_is_for_alerts_only(stack: Stack) -> None:
    assert stack.ask("bridge", "/api/v1/incidents").status == 401
    assert stack.ask("bridge", "/api/v1/alerts", {}).status == 401
    assert stack.ask("bridge", "/api/v1/incidents", token="hemostat_receiver").status == 403
    assert stack.ask("bridge", "/api/v1/pause", token="hemostat_receiver", method="DELETE").status == 403
    assert stack.ask("bridge", "/api/v1/incidents", token="hemostat_operator").status == 200


def test_prometheus_sees_all_its_targets_and_has_all_the_rules(stack: Stack) -> None:
    def targets() -> dict[str, str]:
        found = stack.ask("prometheus", "/api/v1/targets").json()["data"]["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in found}

    jobs = {"docker", "hemostat", "alertmanager", "prometheus"}
    assert parts.wait_until(lambda: targets() == dict.fromkeys(jobs, "up"), seconds=30, every=1), targets()

    groups = stack.ask("prometheus", "/api/v1/rules").json()["data"]["groups"]
    loaded = {rule["name"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}
    files = (ROOT / "alert-rules").glob("*.yml")
    written_down = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert loaded == {rule["alert"] for group in written_down for rule in group["rules"] if "alert" in rule}

    managers = stack.ask("prometheus", "/api/v1/alertmanagers").json()["data"]
    assert [one["url"] for one in managers["activeAlertmanagers"]] == [
        "http://alertmanager:9093/api/v2/alerts"
    ]


def test_figures_of_every_container_come_from_the_kernel(stack: Stack) -> None:
    """Through the two mounts, not by asking the Engine again and again."""
    query = "/api/v1/query?query=docker_container_figures_source"
    found = stack.ask("prometheus", query).json()["data"]["result"]
    sources = {one["metric"]["compose_service"]: one["metric"]["source"] for one in found}
    assert {name: sources.get(name) for name in SERVICES} == dict.fromkeys(SERVICES, "kernel")


def test_grafana_has_its_data_source_and_the_exporter_s_dashboard(stack: Stack) -> None:
    def told(path: str) -> Json:
        answer = stack.ask("grafana", path, user="grafana_admin_password")
        assert answer.status == 200, answer.body
        return answer.json()

    assert stack.ask("grafana", "/api/datasources").status == 401
    (source,) = told("/api/datasources")
    assert (source["type"], source["url"], source["isDefault"]) == (
        "prometheus",
        "http://prometheus:9090",
        True,
    )
    up = told(f"/api/datasources/proxy/uid/{source['uid']}/api/v1/query?query=docker_up")
    assert [one["value"][1] for one in up["data"]["result"]] == ["1"]

    shipped = [json.loads(file.read_text()) for file in (ROOT / "grafana/dashboards").rglob("*.json")]
    wanted = {one["uid"]: one["title"] for one in shipped}
    assert {one["uid"]: one["title"] for one in told("/api/search")} == wanted
    assert any("docker_container_" in json.dumps(one) for one in shipped)


def test_what_the_stack_is_made_of_is_protected(stack: Stack) -> None:
    """By name and image as they are on this Engine; beside not having opted in."""
    policy = settings.load(stack.configuration(), environ={}).policy
    for name, container in stack.containers().items():
        pattern = policy.protects(str(container.name), container.attrs["Config"]["Image"])
        assert bool(pattern) == (name in SERVICES), name


def test_one_that_cannot_start_is_left_to_a_person(stack: Stack) -> None:
    """No restart cures it."""
    name = "demo-mailer"
    assert parts.wait_until(lambda: closed(stack, name), seconds=HEAL_SECONDS, every=0.5), stack.incidents(
        name
    )
    assert {one["outcome"] for one in stack.incidents(name)} == {"escalated"}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_container_is_healed(stack: Stack, name: str) -> None:
    assert parts.wait_until(lambda: closed(stack, name), seconds=HEAL_SECONDS, every=0.5), stack.incidents(
        name
    )
    (incident,) = stack.incidents(name)
    assert incident["outcome"] == "healed", stack.incident(incident["id"])

    state = stack.containers()[name].attrs["State"]
    assert state["Running"]
    assert state.get("Health", {}).get("Status", "healthy") == "healthy"
    boots = [line for line in stack.logs(name).splitlines() if line.startswith("boot:")]
    assert len(boots) == 2, "its own, and one repair"

    def drawn() -> list[Json]:
        told = stack.ask("grafana", "/api/annotations?tags=hemostat", user="grafana_admin_password").json()
        return [one for one in told if {f"container:{target}", "outcome:healed"} <= set(one["tags"])]

    target = str(stack.containers()[name].name)
    assert parts.wait_until(drawn, seconds=20, every=0.2), "a region in Grafana, with its outcome"
    (region,) = drawn()
    assert region["timeEnd"] > region["time"]


def test_a_part_of_the_stack_that_crashes_is_not_repaired(stack: Stack) -> None:
    """A crash that would be repaired in any other container. It ends Prometheus, so it comes last."""
    prometheus = stack.containers()["prometheus"]
    prometheus.update(restart_policy={"Name": "no"})  # type: ignore[arg-type]  # a policy its types do not know
    os.kill(prometheus.attrs["State"]["Pid"], signal.SIGQUIT)  # a Go program ends with 2

    def ended() -> bool:
        prometheus.reload()
        return bool(prometheus.status == "exited")

    assert parts.wait_until(ended, seconds=20, every=0.2)
    assert prometheus.attrs["State"]["ExitCode"] == 2
    alert = webhook(alertname="ContainerDown", name=str(prometheus.name))
    answer = stack.ask("bridge", "/api/v1/alerts", alert, token="hemostat_receiver")
    assert answer.status == 202, answer.body
    assert parts.wait_until(lambda: closed(stack, "prometheus"), seconds=20, every=0.2)
    (incident,) = stack.incidents("prometheus")
    whole = stack.incident(incident["id"])
    assert {"protected", "not_opted_in"} <= {one["reason"] for one in whole["decision"]["refusals"]}, whole
    assert whole["repair"] is None
    assert ended()


def webhook(**labels: str) -> Json:
    """One alert that fires, as Alertmanager would send it. Source: Alertmanager, webhook version 4."""
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "00000000000c0de5",
    }
    group = {
        "groupLabels": {},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "",
        "groupKey": "{}",
    }
    return {
        "version": "4",
        "receiver": "hemostat",
        "status": "firing",
        "truncatedAlerts": 0,
        "alerts": [alert],
        **group,
    }


def closed(stack: Stack, service: str) -> bool:
    """Whether there is an incident about it, and every one has an outcome."""
    found = stack.incidents(service)
    return bool(found) and all(one["outcome"] for one in found)
