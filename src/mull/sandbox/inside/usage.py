"""Resource usage of the processes of a box: CPU time, and run time without waiting for a CPU."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

TICK_SECONDS = 0.05
_LONGEST = 2 * TICK_SECONDS
"""The most sleep counted per sample, in seconds: samples are further apart only if the machine is busy."""
_PER_SECOND = os.sysconf("SC_CLK_TCK")


class CpuUsage:
    """Resource usage, sampled every `TICK_SECONDS`. `cpu` is the CPU time of all processes together.

    `own` is the time in which they ran or slept. It stops while a runnable process waits for a CPU, so a limit on it
    means the same on a busy machine as on an idle one.
    """

    def __init__(self, others: Callable[[], list[int]]) -> None:
        self._others = others
        self._seconds: dict[tuple[int, bytes], float] = {}
        self._before = 0.0
        self._last = time.monotonic()
        self.cpu = self.own = 0.0

    def restart(self) -> None:
        """Restarts both counters."""
        self._look()
        self._before = sum(self._seconds.values())
        self._last = time.monotonic()
        self.cpu = self.own = 0.0

    def look(self) -> bool:
        """Updates both counters if a tick has passed; returns whether it has."""
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
        """Records the time of each process; returns whether any process or thread runs or could run."""
        can_run = False
        for pid in self._others():
            try:
                fields = _fields(f"/proc/{pid}/stat")
                key = (pid, fields[19])  # the process id and its start time, since ids are reused
                self._seconds[key] = max(self._seconds.get(key, 0.0), (int(fields[11]) + int(fields[12])) / _PER_SECOND)
                states = [fields[0]]
                if fields[0] != b"R" and int(fields[17]) > 1:
                    states = [_fields(f"/proc/{pid}/task/{task}/stat")[0] for task in os.listdir(f"/proc/{pid}/task")]
            except (OSError, IndexError):
                continue  # it is gone
            can_run = can_run or b"R" in states
        return can_run


def _fields(path: str) -> list[bytes]:
    """The fields of a `stat` file after the process name, which may contain anything."""
    with open(path, "rb") as file:
        return file.read().rpartition(b")")[2].split()
