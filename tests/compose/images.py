"""Images of the names in `docker-compose.yml`, made of Debian's packages, where no registry can be reached.

Python, Redis, nginx and BusyBox lie in one Debian system, Prometheus and Alertmanager are this machine's own binaries put
on top. Only Grafana, which Debian does not have, is a stand-in.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker

from bridge.demo import parts

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = ("python3", "python3-venv", "python3-yaml", "redis-server", "nginx-light", "busybox-static")
ARRANGED = (
    # As in Docker's images of Python: it lies in /usr/local, and its pip may be used.
    'chroot "$1" python3 -m venv --system-site-packages /usr/local',
    # As in Alpine's, where the health checks call it, and in BusyBox's.
    'ln -s busybox "$1/usr/bin/wget" && ln -s busybox "$1/usr/bin/httpd"',
    # As in the images of those who write there.
    'install -d -o 999 -g 999 "$1/data"',
    'install -d -o 65534 -g 65534 "$1/prometheus" "$1/alertmanager"',
    'install -d -o 472 -g 0 "$1/var/lib/grafana"',
)
DEBIAN = "hemostat-test/debian:latest"
GRAFANA = Path(__file__).with_name("grafana_stand_in.py")


@dataclass(frozen=True, slots=True)
class StandIn:
    """`name` is the image's; `program` its entry point, `files` what is put in (path to the file here)."""

    name: str
    program: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)

    def context(self) -> bytes:
        """A build context as tar."""
        lines = [f"FROM {DEBIAN}", *(f"COPY {target} /{target}" for target in self.files)]
        if self.program:
            lines.append(f"ENTRYPOINT {self.program}")
        dockerfile = "\n".join(lines).encode()
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(dockerfile)
            tar.addfile(entry, io.BytesIO(dockerfile))
            for target, source in self.files.items():
                tar.add(source.resolve(), target)
        return context.getvalue()


def debian(directory: Path) -> Path:
    """The base system as tar, in about half a minute. Raises: PartMissing, PartFailed."""
    mmdebstrap = parts.find_program("mmdebstrap", package="mmdebstrap")
    target = directory / "debian.tar"
    hooks = [f"--customize-hook={command}" for command in ARRANGED]
    argv: list[str | Path] = [
        mmdebstrap,
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        *hooks,
        SUITE,
        target,
        MIRROR,
    ]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode:
        raise parts.PartFailed("mmdebstrap", f"exited {made.returncode}", parts.last_lines(made.stderr, 20))
    return target


def wheels(checkout: Path) -> None:
    """What the build of the bridge would fetch, into where it looks first. Checked by hash here, and there again."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    argv = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
        *("--only-binary=:all:", "--python-version=3.11", "--require-hashes"),
        *(f"--constraint={checkout / 'constraints.txt'}", f"--dest={checkout / 'deploy/compose/wheels'}"),
        *project["dependencies"],
        *("setuptools", "pip"),  # as bridge/Dockerfile asks for them
        "async-timeout",  # redis needs it before Python 3.11.3, and Debian 12 has 3.11.2
    ]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode:
        raise parts.PartFailed("pip", f"exited {made.returncode}", parts.last_lines(made.stderr, 20))


def load(client: docker.DockerClient, base: Path, names: Mapping[str, str]) -> None:
    """Every image of the stack that is not built by it. `names`: by service or variable, as the file has them."""
    client.api.import_image_from_file(str(base), repository=DEBIAN.partition(":")[0], tag="latest")
    prometheus = Path(parts.find_program("prometheus", package="prometheus"))
    alertmanager = Path(
        parts.find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    )
    # Debian's has its default templates beside it, the official one within.
    templates = Path("/usr/share/prometheus/alertmanager").glob("*.tmpl")
    notifier = {"bin/alertmanager": alertmanager} | {str(path)[1:]: path for path in templates}
    stand_ins = [
        *(StandIn(names[plain]) for plain in ("PYTHON", "EXPORTER_PYTHON", "NGINX", "REDIS", "BUSYBOX")),
        StandIn(names["PROMETHEUS"], '["/bin/prometheus"]', {"bin/prometheus": prometheus}),
        StandIn(names["ALERTMANAGER"], '["/bin/alertmanager"]', notifier),
        StandIn(names["GRAFANA"], '["/usr/bin/python3", "/srv/grafana.py"]', {"srv/grafana.py": GRAFANA}),
    ]
    for stand_in in stand_ins:
        context = io.BytesIO(stand_in.context())
        client.images.build(fileobj=context, custom_context=True, tag=stand_in.name, rm=True)
