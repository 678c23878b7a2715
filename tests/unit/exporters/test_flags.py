"""Flags and their twins in the environment: all checked, each problem one line, exit 2."""

import pytest

from exporters.docker import cli, flags
from exporters.docker.engine import TcpAddress, UnixAddress, parse_address
from exporters.docker.errors import UsageError
from exporters.docker.web import parse_listen_address, wants_gzip


def parse(*argv: str, **environ: str) -> flags.Options:
    return flags.parse(argv, environ, version="0")


def test_without_flags_it_listens_on_loopback_and_asks_the_local_engine() -> None:
    options = parse()
    assert options.listen_address == ("127.0.0.1", 9417)
    assert options.telemetry_path == "/metrics"
    assert options.docker_host == UnixAddress("/var/run/docker.sock")
    assert (options.resync_interval, options.timeout) == (60.0, 5.0)
    assert options.labelling.host_name is None
    assert options.labelling.container_labels == ()
    assert options.log_level == "info"


def test_a_flag_wins_over_its_twin_and_the_twin_over_docker_host() -> None:
    environ = {"DOCKER_HOST": "tcp://a:1"}
    assert parse(**environ).docker_host == TcpAddress("a", 1)
    environ["DOCKER_EXPORTER_DOCKER_HOST"] = "tcp://b:2"
    assert parse(**environ).docker_host == TcpAddress("b", 2)
    assert parse("--docker.host=tcp://c:3", **environ).docker_host == TcpAddress("c", 3)


def test_every_flag_names_its_twin_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    for flag in ("web.listen-address", "docker.container-labels", "docker.host-name", "log.level"):
        assert "DOCKER_EXPORTER_" + flag.upper().replace(".", "_").replace("-", "_") in text


@pytest.mark.parametrize("level", ["debug", "info", "warn", "warning", "error"])
def test_levels_are_those_of_prometheus_and_of_python(level: str) -> None:
    assert parse(f"--log.level={level}").log_level == level.removesuffix("ing")


@pytest.mark.parametrize(
    ("flag", "value", "seconds"),
    [("--docker.timeout", "500ms", 0.5), ("--docker.resync-interval", "1m30s", 90.0)],
)
def test_durations_are_written_as_in_prometheus(flag: str, value: str, seconds: float) -> None:
    options = parse(flag, value)
    assert seconds in (options.timeout, options.resync_interval)


def test_container_labels_are_a_list_without_doubles() -> None:
    labelling = parse("--docker.container-labels= team, app.role ,team,").labelling
    assert labelling.container_labels == ("team", "app.role")


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["--docker.timeout=5"], "--docker.timeout"),
        (["--docker.timeout=0s"], "--docker.timeout"),
        (["--docker.resync-interval="], "--docker.resync-interval"),
        (["--docker.host=ssh://h"], "unix:///PATH or tcp://HOST:PORT"),
        (["--docker.host=tcp://h"], "unix:///PATH or tcp://HOST:PORT"),
        (["--web.listen-address=9417"], "HOST:PORT"),
        (["--web.telemetry-path=metrics"], "/metrics"),
        (["--web.telemetry-path=/-/ready"], "/metrics"),
        (["--docker.container-labels=a.b,a-b"], "container_label_a_b"),
        (["--log.level=loud"], "debug, info"),
        (["--docker.h=unix:///x"], "--docker.h"),
        (["serve"], "serve"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_bad_flag_ends_with_2_and_one_line_that_names_it(
    argv: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    printed = capsys.readouterr()
    assert part in printed.err
    assert printed.err.startswith("docker-exporter: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_version_and_help_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("docker-exporter (HemoStat) ")
    assert cli.main(["--help"]) == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        (":9417", ("", 9417)),
        ("[::1]:9417", ("::1", 9417)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_listen_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_listen_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "::1:80", "h:", "h:-1", "h:65536", "h:http", "h:²"])
def test_listen_addresses_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_listen_address(text)


@pytest.mark.parametrize(
    "text", ["", "unix://", "/var/run/docker.sock", "tcp://h:99999", "http://h:1", "tcp://:1"]
)
def test_engine_addresses_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("xgzip", False),
    ],
)
def test_gzip_only_where_it_is_asked_for(header: str, wanted: bool) -> None:
    assert wants_gzip(header) is wanted
