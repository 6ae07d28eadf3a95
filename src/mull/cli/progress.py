"""Progress of long commands on standard error: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mull.cli.output import stderr, tell

SECONDS_BETWEEN_LINES = 1.0
"""A command that reports in lines is silent for less than two seconds."""


@contextmanager
def progress(what: str, total: int | None, is_quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A progress bar with the time left, on a terminal; yields a function that advances it by one."""
    console = stderr()
    if is_quiet or not console.is_terminal:
        yield lambda: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda: bars.advance(bar)


class _Lines:
    """Tells in lines what a command does, part after part, so that it is never silent for long."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Starts the clock, at the beginning of a command."""
        self._told_at = time.monotonic()

    def until(self, ended: threading.Event, line: Callable[[float], str]) -> None:
        """Prints what `line` makes of the seconds since the call, until `ended` is set; nothing of what ends soon."""
        began = time.monotonic()
        pause = max(SECONDS_BETWEEN_LINES / 2, self._told_at + SECONDS_BETWEEN_LINES - began)
        while not ended.wait(pause):
            self._told_at, pause = time.monotonic(), SECONDS_BETWEEN_LINES
            tell(line(self._told_at - began))


LINES = _Lines()


@contextmanager
def steady(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Progress of a part of a command that computes for long: also told where standard error is no terminal."""
    if stderr().is_terminal:
        with progress(what, total) as step:
            yield step
        return
    ended, done = threading.Event(), 0

    def advance() -> None:
        nonlocal done
        done += 1

    def line(seconds: float) -> str:
        return f"{what}:{f' {done:,} of {total:,},' if total else ''} {seconds:.0f} s"

    teller = threading.Thread(target=LINES.until, args=(ended, line), name="progress", daemon=True)
    teller.start()
    try:
        yield advance
    finally:
        ended.set()
        teller.join()
