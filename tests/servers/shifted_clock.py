"""`python -m tests.servers.shifted_clock SECONDS WORDS…`: the command line in a process whose wall clock is off.

Without words it prints what time it believes it is. Only this process is shifted: Redis, Docker and the test are not.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import sys
import time
from typing import Any

REAL_TIME, REAL_TIME_NS, REAL_NOW = time.time, time.time_ns, datetime.datetime.now


def shift(seconds: float) -> None:
    """From now on, whoever in this process asks for the time of day gets it this much too late."""
    off = datetime.timedelta(seconds=seconds)
    real_gmtime, real_localtime = time.gmtime, time.localtime
    time.time = lambda: REAL_TIME() + seconds
    time.time_ns = lambda: REAL_TIME_NS() + round(seconds * 1e9)
    time.gmtime = lambda at=None: real_gmtime(time.time() if at is None else at)
    time.localtime = lambda at=None: real_localtime(time.time() if at is None else at)

    def now(cls: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return REAL_NOW(tz) + off

    def utcnow(cls: type[datetime.datetime]) -> datetime.datetime:
        return REAL_NOW(datetime.UTC).replace(tzinfo=None) + off

    # A subclass would be another type to whoever decodes into datetime; the type itself cannot be written to but so.
    [members] = [one for one in gc.get_referents(datetime.datetime.__dict__) if isinstance(one, dict)]
    held: dict[str, Any] = members
    held["now"], held["utcnow"] = classmethod(now), classmethod(utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))


def main() -> int:
    """As `hemostat`, but for the clock."""
    shift(float(sys.argv[1]))
    if len(sys.argv) == 2:
        print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())
        return 0
    from bridge import cli

    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
