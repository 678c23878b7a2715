"""Where the demo's story is shown. What is shown is decided elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from bridge.demo.interruption import Interruption


class Screen:
    """Standard output: colours and a spinner in a terminal, plain lines anywhere else.

    Whoever read our output may have gone (`| head`, a closed terminal): that ends the demo, as Ctrl-C would, and
    nothing here raises for it.
    """

    def __init__(self, interruption: Interruption) -> None:
        with contextlib.suppress(AttributeError, ValueError):
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # not every stand-in has it
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._interruption = interruption
        self._deaf = False

    @property
    def width(self) -> int:
        """Columns to write in."""
        return self._console.width

    def say(self, *lines: Text | str) -> None:
        """A line each."""
        for line in lines:
            with self._audience():
                self._console.print(line, soft_wrap=True)

    def head(self, text: str) -> None:
        """A heading, with a line above it."""
        self.say("", Text(text, "bold"))

    def done(self, what: str, where: str, seconds: float) -> None:
        """Something was started."""
        name = f"  {what:<22}{where}"
        self.say(Text.assemble(f"{name:<{max(1, min(self.width, 80) - 9)}}", (f"{seconds:7.1f} s", "dim")))

    def error(self, problem: str, log_tail: str = "") -> None:
        """What went wrong, and the last that the part in question wrote."""
        self.say("", Text.assemble(("hemostat demo: ", "bold red"), problem))
        if log_tail:
            self.say(*(Text(f"  | {line}", "dim") for line in log_tail.splitlines()))

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """A spinner while something takes its time; nothing at all where there is no terminal."""
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield
            return
        status = self._console.status(Text(what, "dim"), spinner_style="dim")
        with self._audience():
            status.start()
        try:
            yield
        finally:
            with self._audience():
                status.stop()

    @contextlib.contextmanager
    def _audience(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SystemExit):  # the latter is what rich makes of a broken pipe
            if not self._deaf:
                self._deaf = True
                self._interruption.note(signal.SIGPIPE)
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
