"""Every family that the exporter can show."""

import re
from dataclasses import replace

from exporters.docker.container import Container
from exporters.docker.engine import Engine, UnixAddress
from exporters.docker.families import Labelling
from exporters.docker.figures import FIGURES, Slot, layout
from exporters.docker.kernel.files import Descriptors
from exporters.docker.own import Own
from exporters.docker.page import Page
from exporters.docker.readings import Group, Readings
from exporters.docker.snapshot import Snapshot
from exporters.docker.stats import Statistics

TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


def exported() -> dict[str, str]:
    """Name to type, of a page with one container that has everything."""
    ran = Container(
        id="a" * 64,
        name="web",
        image="web:1",
        image_id="sha256:0",
        state="running",
        created_at=1.0,
        started_at=2.0,
        finished_at=1.5,
        cpu_quota=1,
    )
    whole = layout(tuple(Slot(figure.name) for figure in FIGURES))
    readings = replace(Readings(), groups=[Group(whole, (ran.id,), [[b"1"] for _ in FIGURES])])
    statistics = Statistics(Engine(UnixAddress("/nowhere"), timeout=1), interval=1)
    own = Own(version="1", started_at=0.0, descriptors=Descriptors(1), statistics=statistics)
    page = Page(labelling=Labelling(), version="1", started_at=0.0, own=own)
    snapshot = Snapshot(containers=(ran,), confirmed_at=0.0)
    pieces = page.chunks(snapshot, now=3.0, inventory_age=0.0, readings=readings)
    return dict(TYPE.findall(b"".join(pieces).decode()))
