"""What the processes of a box use: processor time, and time of their own, without waiting for a processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

TICK_SECONDS = 0.05
_LONGEST = 2 * TICK_SECONDS
"""What one look counts at most as sleep: where looks are further apart the machine is busy, and nobody saw it sleep."""
_PER_SECOND = os.sysconf("SC_CLK_TCK")


class CpuUsage:
    """Looked at every `TICK_SECONDS`. `cpu` is the processor time of all processes together.

    `own` is the time in which they ran or slept. It stands still while a process that could run is kept waiting by the
    rest of the machine, so that a limit of it means the same on a busy machine as on an idle one.
    """

    def __init__(self, others: Callable[[], list[int]]) -> None:
        self._others = others
        self._seconds: dict[tuple[int, bytes], float] = {}
        self._before = 0.0
        self._last = time.monotonic()
        self.cpu = self.own = 0.0

    def restart(self) -> None:
        """Counts from here on."""
        self._look()
        self._before = sum(self._seconds.values())
        self._last = time.monotonic()
        self.cpu = self.own = 0.0

    def look(self) -> bool:
        """Brings both up to date, if it is time for it; whether it was."""
        now = time.monotonic()
        passed = now - self._last
        if passed < 0.9 * TICK_SECONDS:
            return False
        can_run = self._look()
        cpu = sum(self._seconds.values()) - self._before
        self.own += min(passed, cpu - self.cpu) if can_run else min(passed, _LONGEST)
        self.cpu, self._last = cpu, now
        return True

    def _look(self) -> bool:
        """Takes note of the time of each process; whether one of them, or of their threads, runs or could run."""
        can_run = False
        for pid in self._others():
            try:
                fields = _fields(f"/proc/{pid}/stat")
                key = (pid, fields[19])  # the number and when it started, since numbers come back
                self._seconds[key] = max(self._seconds.get(key, 0.0), (int(fields[11]) + int(fields[12])) / _PER_SECOND)
                states = [fields[0]]
                if fields[0] != b"R" and int(fields[17]) > 1:
                    states = [_fields(f"/proc/{pid}/task/{task}/stat")[0] for task in os.listdir(f"/proc/{pid}/task")]
            except (OSError, IndexError):
                continue  # it is gone
            can_run = can_run or b"R" in states
        return can_run


def _fields(path: str) -> list[bytes]:
    """What a `stat` file says behind the name, which may hold anything."""
    with open(path, "rb") as file:
        return file.read().rpartition(b")")[2].split()
