"""What Prometheus is asked about a container, as PromQL. Pure.

Names are cAdvisor's, which HemoStat's exporter shares, the node exporter's, and the usual ones of HTTP servers. Whatever
is not there gives no series, and then there is no measure. Each expression is an aggregate without labels, so that
none can fail on what else is stored; all of them together are one query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.model.evidence import ContainerFacts, Measured
from bridge.model.identity import COMPOSE_SERVICE

RANGE_SECONDS = 1800
STEP_SECONDS = 60
LABEL = "measure"
"""The label that tells the answers of one query apart."""

_WINDOW = "3m"
"""Of a rate: at least two samples at the usual scrape intervals, up to one a minute."""

_RESTARTS_WINDOW = "10m"

_SHORT_ID = 12
_REQUESTS: Mapping[str, tuple[str, ...]] = {
    "http_requests_total": ("status", "code", "status_code"),
    "http_server_requests_seconds_count": ("status",),
    "http_request_duration_seconds_count": ("status", "code", "status_code"),
    "http_server_request_duration_seconds_count": ("http_response_status_code",),
}
"""Counters of requests (Prometheus' own clients, Spring, most middleware, OpenTelemetry) and where their status is."""

_DISKS = 'fstype!~"tmpfs|ramfs|devtmpfs|overlay|squashfs|nsfs|iso9660|fuse.*"'


def query_of(container: ContainerFacts, *, only_host: bool) -> str:
    """All questions about a container as one expression; each answer says in the label ``measure`` what it is.

    CPU comes in cores and memory in bytes. ``only_host``: the container's host is the only one there is, so a host's
    figures that belong to no other are its own.
    """
    return " or ".join(
        f'label_replace({expression}, "{LABEL}", "{name.value}", "", "")'
        for name, expression in _questions(container, only_host=only_host).items()
    )


def _questions(container: ContainerFacts, *, only_host: bool) -> dict[Measured, str]:
    requests, errors = _of_requests(container)
    periods = "container_cpu_cfs_periods_total"
    throttled = "container_cpu_cfs_throttled_periods_total"
    disk = f"(1 - node_filesystem_avail_bytes{{{_DISKS},$}} / node_filesystem_size_bytes{{{_DISKS},$}})"
    return {
        Measured.CPU_SHARE: _of(
            container,
            f"max(sum by (job, instance) (rate(container_cpu_usage_seconds_total{{$}}[{_WINDOW}])))",
        ),
        Measured.MEMORY_SHARE: _of(container, "max(container_memory_working_set_bytes{$})"),
        Measured.THROTTLED_SHARE: _of(
            container,
            f"max(sum by (job, instance) (rate({throttled}{{$}}[{_WINDOW}]))"
            f" / sum by (job, instance) (rate({periods}{{$}}[{_WINDOW}])))",
        ),
        Measured.RESTARTS: _of(
            container, f"max(changes(container_start_time_seconds{{$}}[{_RESTARTS_WINDOW}]))"
        ),
        Measured.REQUESTS: requests,
        Measured.ERRORS_SHARE: f"(({errors}) or ({requests}) * 0) / ({requests})",
        Measured.HOST_CPU_PRESSURE: _of_host(container, _pressure("cpu"), only_host=only_host),
        Measured.HOST_MEMORY_PRESSURE: _of_host(container, _pressure("memory"), only_host=only_host),
        Measured.HOST_IO_PRESSURE: _of_host(container, _pressure("io"), only_host=only_host),
        Measured.HOST_DISK_SHARE: _of_host(container, disk, only_host=only_host),
    }


def quoted(text: str) -> str:
    """A string of PromQL. Source: https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _of(container: ContainerFacts, template: str) -> str:
    """``$`` becomes the labels of the container: by its id, else by its name where series have no id."""
    by_id = f"id=~{quoted(f'.*[/-]{re.escape(container.id[:_SHORT_ID])}[0-9a-f]*([.]scope)?')}"
    by_name = f'id="",name={quoted(container.name)}'
    return f"({template.replace('$', by_id)} or {template.replace('$', by_name)})"


def _of_requests(container: ContainerFacts) -> tuple[str, str]:
    """Requests and failed requests a second, of the first kind of counter that there is for this container."""
    names = "|".join(
        re.escape(name)
        for name in dict.fromkeys((container.name, container.labels.get(COMPOSE_SERVICE, "")))
        if name
    )
    whose = (
        f"instance=~{quoted(f'({names})(:[0-9]+)?')}",
        f"container={quoted(container.name)}",
        f"name={quoted(container.name)}",
    )
    total, failed = [], []
    for metric, statuses in _REQUESTS.items():
        for one in whose:
            total.append(f"sum(rate({metric}{{{one}}}[{_WINDOW}]))")
            failed += [f'sum(rate({metric}{{{one},{status}=~"5.."}}[{_WINDOW}]))' for status in statuses]
    return " or ".join(total), " or ".join(failed)


def _pressure(resource: str) -> str:
    return f"rate(node_pressure_{resource}_waiting_seconds_total{{$}}[{_WINDOW}])"


def _of_host(container: ContainerFacts, template: str, *, only_host: bool) -> str:
    """The figure of the container's host: of the series that bear its name in the label ``docker_host``, else of those
    scraped from where the container's own series come from (the host part of ``instance``), else of the only node."""
    by_label = f"max({template.replace('$', f'docker_host={quoted(container.host)}')})"
    everywhere = template.replace("$", "")
    here = 'label_replace({}, "hemostat_host", "$1", "instance", "([^:]+)(:[0-9]+)?")'
    own = here.format(_of(container, "container_last_seen{$}"))
    by_instance = f"max({here.format(everywhere)} and on (hemostat_host) {own})"
    if not only_host:
        return f"({by_label} or {by_instance})"
    alone = f"max(({everywhere}) and on () (count(count by (instance) ({everywhere})) == 1))"
    return f"({by_label} or {by_instance} or {alone})"
