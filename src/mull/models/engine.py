"""A continuous-batching decoder on onnxruntime: rows of different requests and lengths go forward together.

Every row is computed alike whatever lies beside it: the kernels work row by row, and batches are padded to whole
blocks of rows because a single row would take another path through them. So a draw depends on nothing but its
prompt and its seed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.models.session import BLOCK, Binding, Floats, Session, blocks

ROWS = 64
"""Rows of one worker at most."""
N_WORKERS = 2
N_PREFIXES = 64
"""Prompts whose keys and values are kept for those that begin alike."""


class Prefix(NamedTuple):
    """A computed prompt: the logits after its last token, and keys and values [2 * layers, kv_heads, length, head]."""

    ids: tuple[int, ...]
    logits: Floats
    keys_values: Floats


@dataclass(eq=False)
class Request:
    """Draws asked for together: one prompt, the same parameters, a seed for each."""

    ids: tuple[int, ...]
    seeds: Sequence[int]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    is_over: Callable[[list[int]], bool] | None
    """Whether these tokens end the draw before its end token: stop strings."""
    deliver: Callable[[list[Finished]], None]
    """Called from a worker with what finished in a step."""
    fail: Callable[[BaseException], None]
    prefix: Prefix | None = None
    n_cached: int = 0
    """How many of the prompt's tokens were there already."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_cancelled: bool = False


class Finished(NamedTuple):
    """A draw that is done, or was begun and is not wanted any more."""

    place: int
    tokens: list[int]
    logprobs: list[float]
    seconds: float
    n_cached: int
    is_cancelled: bool


class Row(NamedTuple):
    """What a row is for; its numbers lie in the worker's arrays."""

    request: Request
    place: int
    started: float


class Worker:
    """One thread with its own rows; active rows lie together at the front."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        session = engine.session
        self.session = session
        context = session.config.context
        self.cache = session.cache(ROWS, context)
        self.scratch = session.cache(1, context + BLOCK)
        self.steps: dict[int, Binding] = {}
        self.rows: list[Row] = []
        self.places = np.arange(ROWS)
        self.n_watched = 0
        """Rows whose requests have stop strings."""
        self.length = np.zeros(ROWS, dtype=np.int32)
        self.made = np.zeros(ROWS, dtype=np.int64)
        self.limit = np.zeros(ROWS, dtype=np.int64)
        self.temperature = np.ones(ROWS)
        self.is_plain = np.ones(ROWS, dtype=bool)
        self.tokens = np.zeros((ROWS, context), dtype=np.int32)
        self.logprobs = np.zeros((ROWS, context), dtype=np.float32)
        self.random = np.zeros((ROWS, context))
        self.columns: list[NDArray[Any]] = [
            self.length, self.made, self.limit, self.temperature, self.is_plain, self.tokens, self.logprobs,
            self.random,
        ]  # fmt: skip
        self.thread = threading.Thread(target=self._work, daemon=True, name="mull-decoder")

    def _work(self) -> None:
        while True:
            jobs = self.engine.next_jobs(self)
            try:
                for request, places in jobs:
                    self._admit(request, places)
                if self.rows:
                    self._step()
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                self._fail(error, jobs)

    def _fail(self, error: Exception, jobs: list[tuple[Request, list[int]]]) -> None:
        failed = {*(row.request for row in self.rows), *(request for request, _ in jobs)}
        self.rows.clear()
        self.n_watched = 0
        self.engine.active(self, 0)
        for request in failed:
            request.is_cancelled = True
            request.fail(error)

    def _admit(self, request: Request, places: list[int]) -> None:
        """Gives the draws at these places of a request rows of their own, beginning with the computed prompt."""
        prefix = self.engine.prefix_of(request, self)
        first, n, length = len(self.rows), len(places), len(prefix.ids)
        rows = slice(first, first + n)
        self.cache[:, rows, :, :length] = prefix.keys_values[:, None]
        now = time.monotonic()
        self.rows += [Row(request, place, now) for place in places]
        self.length[rows] = length
        self.made[rows] = 0
        self.limit[rows] = request.max_tokens
        is_plain = request.temperature > 0 and request.top_p >= 1 and request.top_k == 0
        self.is_plain[rows] = is_plain
        self.temperature[rows] = request.temperature if is_plain else 1.0
        self.n_watched += n if request.is_over is not None else 0
        for row, place in zip(range(first, first + n), places, strict=True):
            generator = np.random.Generator(np.random.Philox(key=request.seeds[place]))
            self.random[row, : request.max_tokens] = generator.random(request.max_tokens)
        self._take(first, n, np.broadcast_to(prefix.logits, (n, len(prefix.logits))))

    def _step(self) -> None:
        """One more token for every row."""
        cancelled = [i for i, row in enumerate(self.rows) if row.request.is_cancelled]
        if cancelled:
            self._finish(cancelled[::-1], is_cancelled=True)
        n = len(self.rows)
        if n == 0:
            return
        rows = blocks(n)
        if rows not in self.steps:
            self.steps[rows] = Binding(self.session, self.cache, rows, 1)
        step = self.steps[rows]
        step.last[:n] = self.length[:n]
        step.last[n:] = 0
        step.ids[:n, 0] = self.tokens[self.places[:n], self.made[:n] - 1]
        logits = step.run()
        self.length[:n] += 1
        self._take(0, n, logits[:n, 0])

    def _take(self, first: int, n: int, logits: Floats) -> None:
        """Draws the next token of the rows from `first` on from their logits [n, vocabulary]; the done ones go."""
        rows, places = slice(first, first + n), self.places[:n]
        made, temperature = self.made[rows], self.temperature[rows]
        logits = logits - logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        total = chances.sum(axis=1)
        if (temperature != 1).any():
            chances = np.exp(logits / temperature[:, None])
        for j in np.flatnonzero(~self.is_plain[rows]):
            request = self.rows[first + j].request
            wide = logits[j].astype(np.float64)
            chances[j] = filtered(wide, request.temperature, request.top_p, request.top_k)
        up_to = chances.cumsum(axis=1, dtype=np.float64)
        tokens = (up_to <= (self.random[rows][places, made] * up_to[:, -1])[:, None]).sum(axis=1)
        self.tokens[rows][places, made] = tokens
        self.logprobs[rows][places, made] = logits[places, tokens] - np.log(total)
        made += 1
        is_done = (tokens == self.session.config.eos) | (made >= self.limit[rows])
        if self.n_watched:
            for i, row in enumerate(self.rows[rows]):
                is_over = row.request.is_over
                if is_over is not None and not is_done[i]:
                    is_done[i] = is_over(self.tokens[first + i, : made[i]].tolist())
        if is_done.any():
            self._finish((first + np.flatnonzero(is_done)[::-1]).tolist(), is_cancelled=False)

    def _finish(self, rows: list[int], *, is_cancelled: bool) -> None:
        """Delivers these rows, the last first, and closes the gaps with the rows at the end."""
        done: dict[Request, list[Finished]] = {}
        now = time.monotonic()
        for row in rows:
            n = int(self.made[row])
            request, place, started = self.rows[row]
            tokens, logprobs = self.tokens[row, :n].tolist(), self.logprobs[row, :n].tolist()
            finished = Finished(place, tokens, logprobs, now - started, request.n_cached, is_cancelled)
            done.setdefault(request, []).append(finished)
            self._remove(row)
        self.engine.active(self, len(self.rows))
        for request, finished_draws in done.items():
            request.deliver(finished_draws)

    def _remove(self, row: int) -> None:
        self.n_watched -= self.rows[row].request.is_over is not None
        last = len(self.rows) - 1
        if row != last:
            self.cache[:, row, :, : self.length[last]] = self.cache[:, last, :, : self.length[last]]
            for column in self.columns:
                column[row] = column[last]
            self.rows[row] = self.rows[last]
        self.rows.pop()

    def prefill(self, ids: tuple[int, ...], known: Prefix | None, n_known: int) -> Prefix:
        """Computes a prompt from its `n_known` first tokens on, which `known` has."""
        if known is not None:
            self.scratch[:, 0, :, :n_known] = known.keys_values[:, :, :n_known]
        new = ids[n_known:]
        binding = Binding(self.session, self.scratch, 1, blocks(len(new)))
        binding.ids[0, : len(new)] = new
        binding.last[0] = n_known + binding.ids.shape[1] - 1
        logits = binding.run()[0, len(new) - 1].copy()
        return Prefix(ids, logits, self.scratch[:, 0, :, : len(ids)].copy())


def filtered(wide: NDArray[np.float64], temperature: float, top_p: float, top_k: int) -> NDArray[np.float64]:
    """Unnormalised probabilities of one row under greedy, top-k or nucleus sampling."""
    if temperature == 0:
        chances = np.zeros_like(wide)
        chances[int(wide.argmax())] = 1.0
        return chances
    chances = np.exp(wide / temperature)
    order = np.argsort(-chances, kind="stable")
    keep = len(order) if top_k == 0 else min(top_k, len(order))
    before = np.concatenate(([0.0], chances[order].cumsum()[:-1])) / chances.sum()
    keep = min(keep, max(1, int((before < top_p).sum())))
    chances[order[keep:]] = 0.0
    return chances


class Engine:
    """The workers of one model, the draws that wait for a row, and the prompts that were computed lately."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(folder)
        self._wake = threading.Condition()
        self._waiting: deque[tuple[Request, int]] = deque()
        self._active: dict[Worker, int] = {}
        self._prefixes: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._workers = [Worker(self) for _ in range(N_WORKERS)]
        for worker in self._workers:
            self._active[worker] = 0
            worker.thread.start()

    def submit(self, request: Request) -> None:
        """Queues a request's draws; they are delivered from another thread."""
        with self._wake:
            self._waiting.extend((request, place) for place in range(len(request.seeds)))
            self._wake.notify_all()

    def cancel(self, request: Request) -> int:
        """Takes back a request; how many of its draws were never begun. Those under way are delivered as cancelled."""
        with self._wake:
            request.is_cancelled = True
            kept = [(other, place) for other, place in self._waiting if other is not request]
            n = len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return n

    def active(self, worker: Worker, n: int) -> None:
        """Told by a worker how many rows it has."""
        with self._wake:
            self._active[worker] = n

    def next_jobs(self, worker: Worker) -> list[tuple[Request, list[int]]]:
        """A worker's fair share of what waits, without more rows than it has; sleeps while there is nothing to do."""
        n = len(worker.rows)
        with self._wake:
            while not self._waiting and n == 0:
                self._wake.wait()
            share = -(-(len(self._waiting) + sum(self._active.values())) // N_WORKERS)
            n_new = min(len(self._waiting), ROWS - n, max(0, share - n))
            jobs: dict[Request, list[int]] = {}
            for _ in range(n_new):
                request, place = self._waiting.popleft()
                jobs.setdefault(request, []).append(place)
            self._active[worker] = n + n_new
            return list(jobs.items())

    def prefix_of(self, request: Request, worker: Worker) -> Prefix:
        """The request's computed prompt: by the first worker that needs it, from the longest known beginning."""
        with request.lock:
            if request.prefix is None:
                known, n_known = self._longest(request.ids)
                if known is None or n_known < len(request.ids):
                    known = worker.prefill(request.ids, known, n_known)
                request.prefix, request.n_cached = known, n_known
                with self._wake:
                    self._prefixes[request.ids] = known
                    while len(self._prefixes) > N_PREFIXES:
                        self._prefixes.popitem(last=False)
            return request.prefix

    def _longest(self, ids: tuple[int, ...]) -> tuple[Prefix | None, int]:
        """The computed prompt that shares most with this one, and how many tokens of it: all, or whole blocks."""
        best, most = None, 0
        with self._wake:
            if ids in self._prefixes:
                self._prefixes.move_to_end(ids)
                return self._prefixes[ids], len(ids)
            for prefix in self._prefixes.values():
                n = next((i for i, (a, b) in enumerate(zip(ids, prefix.ids, strict=False)) if a != b), None)
                n = min(len(ids), len(prefix.ids)) if n is None else n
                n = min(n, len(ids) - 1) // BLOCK * BLOCK
                if n > most:
                    best, most = prefix, n
            if best is not None:
                self._prefixes.move_to_end(best.ids)
        return best, most
