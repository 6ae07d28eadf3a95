"""Worker processes that decide comparisons the built-in arithmetic cannot: few, reused, killed when they hang."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

SECONDS = 2.0
"""Limit of a worker's processor time for one question: a busy machine decides nothing."""
BUSY_FACTOR = 60.0
"""A worker that has not answered after this many times the limit is killed, whatever it does."""
START_SECONDS = 300.0
MAX_WORKERS = 2
MAX_KNOWN = 100_000
MISSING = (
    "some answers can only be compared with math-verify, which is not installed: they count as undecided "
    "(pip install '.[math]' in mull's checkout)"
)


class Equality(NamedTuple):
    """Whether two answers are equal; `None` if that was not decided, with the reason."""

    is_equal: bool | None
    why: str = ""


@dataclass
class Allowance:
    """Processor time of workers that one vote may use; comparisons after it is used up count as undecided."""

    seconds: float


class WorkerError(Exception):
    """The worker died or exceeded its time; it has been killed."""


def is_installed() -> bool:
    """Whether math-verify is installed."""
    return importlib.util.find_spec("math_verify") is not None


class EqualityWorker:
    """A process that answers questions about untrusted text, one line of JSON each; `module` is what it runs.

    It is a fresh interpreter, not a fork: it has none of this process's memory, keys or open files.
    """

    def __init__(self, module: str = "mull.equal.worker") -> None:
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
        )
        self._buffer = b""
        try:
            self._line(START_SECONDS)
        except WorkerError:
            self.kill()
            raise

    def ask(self, question: dict[str, str], seconds: float) -> dict[str, Any]:
        """The answer to a question. The process is gone, and `WorkerError` raised, if it needs more processor time."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({**question, "seconds": seconds}).encode() + b"\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line(seconds * BUSY_FACTOR))
        except (OSError, ValueError, WorkerError) as error:
            self.kill()
            if self.process.returncode == -signal.SIGPROF:
                raise WorkerError(f"no decision within {seconds:.2g} s") from error
            raise WorkerError(str(error) if isinstance(error, WorkerError) else "the worker died") from error
        return answer

    def _line(self, seconds: float) -> bytes:
        assert self.process.stdout is not None
        descriptor, end = self.process.stdout.fileno(), time.monotonic() + seconds
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not poll.poll(1000 * left):
                raise WorkerError(f"no decision within {seconds:.2g} s")
            part = os.read(descriptor, 65536)
            if not part:
                raise WorkerError("the worker died")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # data a dead process did not read does not matter
                    pipe.close()


class WorkerPool:
    """A thread-safe pool of workers; a question on which a worker died is not asked again."""

    def __init__(self, n: int = MAX_WORKERS, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.n_killed = 0
        self._free = threading.Semaphore(n)
        self._lock = threading.Lock()
        self._idle: list[EqualityWorker] = []
        self._known: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
        self._has_warned = False
        self._owner = os.getpid()

    def compare(self, a: str, b: str, allowance: Allowance | None = None) -> Equality:
        """Whether two texts are equal; what the worker took is subtracted from the allowance."""
        first, second = sorted((a, b))
        if not self._can():
            return Equality(None, MISSING)
        reply = self._ask({"do": "compare", "a": first, "b": second}, allowance)
        return Equality(reply["is_equal"], reply["why"])

    def size(self, text: str, allowance: Allowance | None = None) -> float | None:
        """The absolute value of an expression at fixed values of its letters; `None` if it cannot be evaluated."""
        found: float | None = self._ask({"do": "size", "a": text}, allowance).get("size") if self._can() else None
        return found

    def start(self) -> None:
        """Starts a worker, so that starting one takes no time from the first question."""
        if not is_installed():
            return
        with self._free, contextlib.suppress(WorkerError):  # the first question reports the same error
            worker = self._worker()
            with self._lock:
                self._idle.append(worker)

    def _can(self) -> bool:
        if is_installed():
            return True
        if not self._has_warned:
            self._has_warned = True
            logging.getLogger("mull").warning(MISSING)
        return False

    def _ask(self, question: dict[str, str], allowance: Allowance | None) -> dict[str, Any]:
        key = tuple(question.values())
        with self._lock:
            if key in self._known:
                return self._known[key]
        with self._free:
            try:
                worker = self._worker()
                reply = worker.ask(question, self.seconds)
                with self._lock:
                    self._idle.append(worker)
            except WorkerError as error:
                self.n_killed += 1
                reply = {"is_equal": None, "why": str(error), "seconds": self.seconds}
        if allowance is not None:
            allowance.seconds -= reply["seconds"]
        with self._lock:
            self._known[key] = reply
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return reply

    def _worker(self) -> EqualityWorker:
        with self._lock:
            if self._owner != os.getpid():  # after a fork: the workers are the parent's
                self._idle, self._owner = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return EqualityWorker()

    def close(self) -> None:
        """Ends the idle workers."""
        with self._lock:
            workers, self._idle = self._idle if self._owner == os.getpid() else [], []
        for worker in workers:
            worker.kill()


POOL = WorkerPool()
"""The worker pool of this process; it starts workers on demand."""
atexit.register(POOL.close)
