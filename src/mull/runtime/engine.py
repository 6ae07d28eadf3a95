"""A continuous-batching decoder on onnxruntime: rows of different requests and lengths are computed together.

Each row's result is independent of the other rows: the kernels work row by row, and batches are padded to whole
blocks of rows because a single row would take a different kernel path. Whole prompts are computed at once; a partial
reply is computed token by token, as when it was generated, so that its keys and values are bit-identical whether
cached or recomputed. So a draw depends only on its prompt and its seed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.errors import UsageError
from mull.runtime.prefixes import Prefixes
from mull.runtime.requests import Finished, Prefix, Request
from mull.runtime.sampling import FRONT, Top, filtered, inverted, likeliest
from mull.runtime.session import BoundBatch, Decoder, Floats, blocks, processors

ROWS = 64
"""The largest number of rows of one worker."""
N_WORKERS = min(2, processors())
"""Two on one processor would halve the rows of each batch, and batches are padded."""
KEPT_BYTES = 128 * 2**20
"""Capacity of the prefix cache (keys and values of recently computed sequences), and of the cache of logits."""
KEPT_SHARE = 4
"""Of a larger model the prefix cache has one part in so many of what a worker's rows take: what a wave wrote fits."""
KEPT_LOGITS = 4096
"""The largest number of sequences whose next-token logits are cached."""


class EngineRow(NamedTuple):
    """The draw that a row computes; its numbers are in the worker's arrays."""

    request: Request
    place: int
    started: float
    tops: list[tuple[Top, ...]]


class RowWorker:
    """One thread with its own rows; active rows are contiguous at the front."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        session = engine.session
        self.session = session
        context = session.config.context
        self.cache = session.cache(ROWS, context)
        self.block = session.block
        self.scratch = session.cache(1, context + self.block)
        self.steps: dict[int, BoundBatch] = {}
        self.ends = list(session.config.ends)
        self.bind()
        self.rows: list[EngineRow] = []
        self.places = np.arange(ROWS)
        self.n_computed = 0
        """Tokens computed by the model, without padding."""
        self.n_watched = 0
        """The number of rows whose requests have stop strings."""
        self.length = np.zeros(ROWS, dtype=np.int32)
        self.made = np.zeros(ROWS, dtype=np.int64)
        self.limit = np.zeros(ROWS, dtype=np.int64)
        self.temperature = np.ones(ROWS)
        self.is_plain = np.ones(ROWS, dtype=bool)
        self.tokens = np.zeros((ROWS, context), dtype=np.int32)
        self.logprobs = np.zeros((ROWS, context), dtype=np.float32)
        self.random = np.zeros((ROWS, context))
        self.columns: list[NDArray[Any]] = [
            self.length,
            self.made,
            self.limit,
            self.temperature,
            self.is_plain,
            self.tokens,
            self.logprobs,
            self.random,
        ]
        self.room: Floats | None = None
        self.thread = threading.Thread(target=self._work, daemon=True, name="mull-decoder")

    def bind(self) -> None:
        """Binds the memory to the session's weights, at first and after they were replaced."""
        session = self.session
        self.written = session.bind(session.cache(self.block, session.config.context), self.block, 1)
        """Binding that computes partial replies token by token."""
        self.steps.clear()

    def _work(self) -> None:
        while True:
            jobs = self.engine.next_jobs(self)
            try:
                if jobs:
                    self._prepare([request for request, _ in jobs])
                for request, places in jobs:
                    self._admit(request, places)
                if self.rows:
                    self._step()
            except Exception as error:  # noqa: BLE001 - any error must reach the requests that wait for this worker
                self._fail(error, jobs)

    def _fail(self, error: Exception, jobs: list[tuple[Request, list[int]]]) -> None:
        failed = {*(row.request for row in self.rows), *(request for request, _ in jobs)}
        self.rows.clear()
        self.n_watched = 0
        self.engine.active(self, 0)
        for request in failed:
            request.is_cancelled = True
            request.fail(error)

    def _prepare(self, requests: list[Request]) -> None:
        """Computes the prompts of requests that no worker has claimed yet, and waits for the others."""
        mine = self.engine.claim(requests)
        try:
            begun = [(request, *self._told(request)) for request in mine]
            for start in range(0, len(begun), self.block):
                self._write(begun[start : start + self.block])
        finally:
            for request in mine:
                request.is_ready.set()
        for request in requests:
            request.is_ready.wait()

    def _told(self, request: Request) -> tuple[tuple[int, ...], Floats, int]:
        """The cache key of a request, its known keys and values (at least of the conversation), and their number."""
        engine = self.engine
        key = engine.key(request.ids, request.n_told)
        n, pieces = engine.known.longest(key)
        logits = engine.logits_after(key)
        if n == len(key) and logits is not None:
            request.prefix, request.n_cached = Prefix(logits, np.concatenate(pieces, axis=2)), n
            return key, request.prefix.keys_values, n
        request.n_cached = n
        if n < request.n_told or len(key) == request.n_told:
            request.n_cached = min(n, request.n_told - 1) // self.block * self.block
            told = self._prefill(key[: request.n_told], pieces, request.n_cached)
            if len(key) == request.n_told:
                request.prefix = told
            return key, told.keys_values, request.n_told
        return key, np.concatenate(pieces, axis=2), n

    def _prefill(self, ids: tuple[int, ...], pieces: list[Floats], n_known: int) -> Prefix:
        """Computes the conversation in one pass, after its first `n_known` tokens."""
        at = 0
        for piece in pieces:
            n = min(piece.shape[2], n_known - at)
            self.scratch[:, 0, :, at : at + n] = piece[:, :, :n]
            at += n
        new = ids[n_known:]
        batch = self.session.bind(self.scratch, 1, blocks(len(new), self.block))
        batch.ids[0, : len(new)] = new
        batch.last[0] = n_known + batch.ids.shape[1] - 1
        logits = batch.run(len(new) - 1)[0].copy()
        self.n_computed += len(new)
        prefix = Prefix(logits, self.scratch[:, 0, :, : len(ids)].copy())
        self.engine.keep(ids, prefix.keys_values, logits)
        return prefix

    def _write(self, begun: list[tuple[Request, tuple[int, ...], Floats, int]]) -> None:
        """Computes partial replies in parallel, one token of each at a time, up to their logits."""
        step, cache = self.written, self.written.cache
        waiting = {row: item for row, item in enumerate(begun) if item[0].prefix is None}
        step.ids[:], step.last[:] = 0, 0
        at: dict[int, int] = {}
        for row, (request, _, keys_values, n_known) in waiting.items():
            # The last token is always computed again, since the draws begin from the logits after it.
            at[row] = min(n_known, len(request.ids) - 1)
            request.n_cached = min(request.n_cached, at[row])
            cache[:, row, :, : at[row]] = keys_values[:, :, : at[row]]
        while waiting:
            for row, (request, *_) in waiting.items():
                step.ids[row, 0], step.last[row] = request.ids[at[row]], at[row]
            logits = step.run()
            self.n_computed += len(waiting)
            for row, (request, key, _, _) in list(waiting.items()):
                at[row] += 1
                if at[row] == len(request.ids):
                    request.prefix = Prefix(logits[row].copy(), cache[:, row, :, : at[row]].copy())
                    self.engine.keep(key, request.prefix.keys_values, request.prefix.logits)
                    del waiting[row]

    def _admit(self, request: Request, places: list[int]) -> None:
        """Assigns rows to these draws of a request, starting from the computed prompt."""
        prefix = request.prefix
        if prefix is None:  # another worker failed to compute it and has reported so
            self.engine.active(self, len(self.rows))
            return
        first, n, length = len(self.rows), len(places), len(request.ids)
        rows = slice(first, first + n)
        self.cache[:, rows, :, :length] = prefix.keys_values[:, None]
        now = time.monotonic()
        self.rows += [EngineRow(request, place, now, []) for place in places]
        self.length[rows] = length
        self.made[rows] = 0
        self.limit[rows] = request.max_tokens
        is_plain = request.temperature > 0 and request.top_p >= 1 and request.top_k == 0 and request.bias is None
        self.is_plain[rows] = is_plain
        self.temperature[rows] = request.temperature if is_plain else 1.0
        self.n_watched += n if request.is_over is not None else 0
        for row, place in zip(range(first, first + n), places, strict=True):
            generator = np.random.Generator(np.random.Philox(key=request.seeds[place]))
            self.random[row, : request.max_tokens] = generator.random(request.max_tokens)
        self._take(first, n, np.broadcast_to(prefix.logits, (n, len(prefix.logits))))

    def _step(self) -> None:
        """Generates one more token for every row."""
        cancelled = [i for i, row in enumerate(self.rows) if row.request.is_cancelled]
        if cancelled:
            self._finish(cancelled[::-1], is_cancelled=True)
        n = len(self.rows)
        if n == 0:
            return
        rows = blocks(n, self.block)
        if rows not in self.steps:
            self.steps[rows] = self.session.bind(self.cache, rows, 1)
        step = self.steps[rows]
        step.last[:n] = self.length[:n]
        step.last[n:] = 0
        step.ids[:n, 0] = self.tokens[self.places[:n], self.made[:n] - 1]
        logits = step.run()
        self.n_computed += n
        self.length[:n] += 1
        self._take(0, n, logits[:n])

    def _take(self, first: int, n: int, logits: Floats) -> None:
        """Samples the next token of the `n` rows from `first` on, from logits [n, vocabulary]; ends finished rows."""
        rows, places = slice(first, first + n), self.places[:n]
        made, temperature = self.made[rows], self.temperature[rows]
        is_large = logits.shape[1] > FRONT
        shifted, room = self._room(logits.shape[1])[:, :n] if is_large else (None, None)
        logits = np.subtract(logits, logits.max(axis=1, keepdims=True), out=shifted)
        chances = np.exp(logits, out=room)
        total = chances.sum(axis=1)
        if (temperature != 1).any():
            # In double precision where that costs little: the built-in models have 100 tokens, others 100,000.
            exact = np.float32 if is_large else np.float64
            chances = np.divide(logits, temperature[:, None].astype(exact), out=room)
            np.exp(chances, out=chances)
        for j in np.flatnonzero(~self.is_plain[rows]):
            request = self.rows[first + j].request
            wide = logits[j].astype(np.float64) + (0.0 if request.bias is None else request.bias)
            chances[j] = filtered(wide, request.temperature, request.top_p, request.top_k)
        tokens = inverted(chances, self.random[rows][places, made])
        self.tokens[rows][places, made] = tokens
        self.logprobs[rows][places, made] = logits[places, tokens] - np.log(total)
        for row, line, whole in zip(self.rows[rows], logits, total, strict=True):
            if row.request.n_tops:
                row.tops.append(likeliest(line - np.log(whole), row.request.n_tops))
        made += 1
        is_done = np.isin(tokens, self.ends) | (made >= self.limit[rows])
        if self.n_watched:
            for i, row in enumerate(self.rows[rows]):
                is_over = row.request.is_over
                if is_over is not None and not is_done[i]:
                    is_done[i] = is_over(self.tokens[first + i, : made[i]].tolist())
        if is_done.any():
            self._finish((first + np.flatnonzero(is_done)[::-1]).tolist(), is_cancelled=False)

    def _room(self, n_tokens: int) -> Floats:
        """Two arrays [rows, vocabulary] for every step: fresh ones would take as long as the computation."""
        if self.room is None:
            self.room = np.empty((2, ROWS, n_tokens), dtype=np.float32)
        return self.room

    def _finish(self, rows: list[int], *, is_cancelled: bool) -> None:
        """Delivers these rows, the last first, and fills the gaps with the rows at the end."""
        done: dict[Request, list[Finished]] = {}
        now = time.monotonic()
        for row in rows:
            n = int(self.made[row])
            request, place, started, tops = self.rows[row]
            tokens, logprobs = self.tokens[row, :n].tolist(), self.logprobs[row, :n].tolist()
            finished = Finished(place, tokens, logprobs, now - started, request.n_cached, is_cancelled, tops)
            done.setdefault(request, []).append(finished)
            if not is_cancelled:
                # The reply may be continued later; its last token has not been computed by the model yet.
                written = (*request.ids, *tokens[:-1])
                self.engine.keep(self.engine.key(written, request.n_told), self.cache[:, row])
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


class Engine:
    """The workers of one model, its queue of draws, and its cache of recently computed prompts."""

    def __init__(self, session: Decoder) -> None:
        self.session = session
        self._wake = threading.Condition()
        self._waiting: deque[tuple[Request, int]] = deque()
        self._active: dict[RowWorker, int] = {}
        self._logits: OrderedDict[tuple[int, ...], Floats] = OrderedDict()
        self._workers = [RowWorker(self) for _ in range(N_WORKERS)]
        self.known = Prefixes(max(KEPT_BYTES, self._workers[0].cache.nbytes // KEPT_SHARE))
        for worker in self._workers:
            self._active[worker] = 0
            worker.thread.start()

    def submit(self, request: Request) -> None:
        """Queues a request's draws; a worker thread delivers them."""
        with self._wake:
            self._waiting.extend((request, place) for place in range(len(request.seeds)))
            self._wake.notify_all()

    def cancel(self, request: Request) -> int:
        """Cancels a request; returns how many draws were never begun. Those in progress are delivered as cancelled."""
        with self._wake:
            request.is_cancelled = True
            kept = [(other, place) for other, place in self._waiting if other is not request]
            n = len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return n

    def active(self, worker: RowWorker, n: int) -> None:
        """Records how many rows a worker has."""
        with self._wake:
            self._active[worker] = n

    def next_jobs(self, worker: RowWorker) -> list[tuple[Request, list[int]]]:
        """A worker's fair share of the queue, within its free rows; sleeps while there is nothing to do."""
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

    def claim(self, requests: list[Request]) -> list[Request]:
        """Claims the requests whose prompts no worker is computing yet: the caller must compute them."""
        with self._wake:
            free = [request for request in requests if not request.is_claimed]
            for request in free:
                request.is_claimed = True
            return free

    def key(self, ids: tuple[int, ...], n_told: int) -> tuple[int, ...]:
        """The cache key of a sequence, which distinguishes tokens of the conversation from generated ones."""
        shift = self.session.config.outputs
        return (*ids[:n_told], *(token + shift for token in ids[n_told:]))

    def keep(self, key: tuple[int, ...], keys_values: Floats, logits: Floats | None = None) -> None:
        """Caches the keys and values of a sequence, and the logits after it if given."""
        self.known.add(key, keys_values)
        if logits is not None:
            with self._wake:
                self._logits[key] = logits
                while len(self._logits) > min(KEPT_LOGITS, KEPT_BYTES // logits.nbytes):
                    self._logits.popitem(last=False)

    def logits_after(self, key: tuple[int, ...]) -> Floats | None:
        """The logits after these tokens, if still cached."""
        with self._wake:
            return self._logits.get(key)

    def use(self, tensors: dict[str, Floats]) -> None:
        """Computes with these weights from now on. Raises `UsageError` while there are draws."""
        with self._wake:
            if self._waiting or any(self._active.values()):
                raise UsageError("the weights of a model cannot be replaced while it draws: wait for its draws")
            self.session.use(tensors)
            for worker in self._workers:
                worker.bind()
        self.forget()

    def forget(self) -> None:
        """Clears the caches."""
        self.known.clear()
        with self._wake:
            self._logits.clear()

    @property
    def n_computed(self) -> int:
        """The number of tokens computed by the model so far."""
        return sum(worker.n_computed for worker in self._workers)
