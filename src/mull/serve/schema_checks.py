"""Checks of replies against schemas that may take long: in a process that is killed after its time."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

from mull.equal.pool import EqualityWorker, WorkerError

SECONDS = 1.0
"""The most processor time of the checks of one request, together."""
MOST_SLOW = 1000

log = logging.getLogger(__name__)


@dataclass
class CheckTime:
    """The processor seconds that are left for the checks of one request."""

    left: float


class SchemaChecks:
    """One worker process, started when it is first needed, for all threads.

    A schema whose check alone was not over in time is not checked again: no reply fits it.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: EqualityWorker | None = None
        self._owner = 0
        self._slow: OrderedDict[str, None] = OrderedDict()

    def allowance(self) -> CheckTime:
        """What the checks of a request may take."""
        return CheckTime(self._seconds)

    def fits(self, schema: str, value: str, allowance: CheckTime) -> bool:
        """Whether a value fits a schema, both as JSON; `False` too where that takes too long to find out."""
        with self._lock:
            if schema in self._slow or allowance.left <= 0:
                return False
            try:
                fits, seconds = self._ask(schema, value, allowance.left)
            except WorkerError:
                self._worker = None
                self._not_over(schema, allowance)
                return False
            allowance.left -= seconds
            return fits

    def _not_over(self, schema: str, allowance: CheckTime) -> None:
        if allowance.left == self._seconds:
            self._slow[schema] = None
            if len(self._slow) > MOST_SLOW:
                self._slow.popitem(last=False)
        allowance.left = 0
        log.warning("the replies to a request were not checked against its schema within %g s", self._seconds)

    def _ask(self, schema: str, value: str, seconds: float) -> tuple[bool, float]:
        """Whether the value fits, and the processor seconds that this took to find out."""
        if self._worker is None or self._owner != os.getpid():  # after a fork it is the parent's
            self._worker, self._owner = EqualityWorker("mull.serve.schema_worker"), os.getpid()
        told = self._worker.ask({"schema": schema, "value": value}, seconds)
        return bool(told["fits"]), float(told["seconds"])

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            if self._worker is not None and self._owner == os.getpid():
                self._worker.kill()
            self._worker = None


CHECKS = SchemaChecks()
"""The checks of this process."""
atexit.register(CHECKS.close)
