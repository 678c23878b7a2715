"""`python -m exporters.docker`. Nothing but the call, in a process that stays small."""

import importlib
import sys


def _leave_out_ssl() -> None:
    """`http.client` imports `ssl` on the chance of HTTPS, which the exporter never asks for: 4 MiB of its 20.

    Only here, where the process is ours alone; serving TLS imports it after all.
    """
    sys.modules["ssl"] = None  # type: ignore[assignment]  # to Python: there is no such module
    importlib.import_module("http.client")
    del sys.modules["ssl"]


if "ssl" not in sys.modules:
    _leave_out_ssl()

sys.exit(importlib.import_module("exporters.docker.cli").main())
