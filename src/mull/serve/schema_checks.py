"""Checks of replies against schemas that may take long: in a process that is killed after its time."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import OrderedDict

from mull.equal.pool import EqualityWorker, WorkerError

SECONDS = 1.0
"""The most processor time of one check."""
MOST_SLOW = 1000

log = logging.getLogger(__name__)


class SchemaChecks:
    """One worker process, started when it is first needed, for all threads.

    A schema whose check was not over in time is not checked again: no reply fits it.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: EqualityWorker | None = None
        self._owner = 0
        self._slow: OrderedDict[str, None] = OrderedDict()

    def fits(self, schema: str, value: str) -> bool:
        """Whether a value fits a schema, both as JSON; `False` too where that takes too long to find out."""
        with self._lock:
            if schema in self._slow:
                return False
            try:
                return self._ask(schema, value)
            except WorkerError:
                self._worker = None
                self._slow[schema] = None
                if len(self._slow) > MOST_SLOW:
                    self._slow.popitem(last=False)
                log.warning("a reply was not checked against its schema within %g s: no reply fits it", self._seconds)
                return False

    def _ask(self, schema: str, value: str) -> bool:
        if self._worker is None or self._owner != os.getpid():  # after a fork it is the parent's
            self._worker, self._owner = EqualityWorker("mull.serve.schema_worker"), os.getpid()
        return bool(self._worker.ask({"schema": schema, "value": value}, self._seconds)["fits"])

    def close(self) -> None:
        """Ends the process."""
        with self._lock:
            if self._worker is not None and self._owner == os.getpid():
                self._worker.kill()
            self._worker = None


CHECKS = SchemaChecks()
"""The checks of this process."""
atexit.register(CHECKS.close)
