"""Reward models on the embedded runtime: `nano-prm`, `nano-orm`, and those that `mull train` makes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mull.cost import total
from mull.cost.flops import Architecture, read_config
from mull.errors import PromptError, UsageError
from mull.replies.steps import Fold, fold, split
from mull.runtime import WEIGHTS
from mull.runtime.tokens import Content, Tokens, content_of, one_a_process
from mull.types import A_FILE, Calls, Cost, Finish, Problem, Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mull.runtime.session import Floats

    Doubles = NDArray[np.float64]

CAPACITY = 64 * 2**20
"""Size in bytes of the key-value cache for sequences with a common prefix."""


class ReadOut(NamedTuple):
    """How to read a reward model's logits; see `train/reward.py` for the two read-outs."""

    is_process: bool
    separator: str
    is_next: bool
    """Whether the logits are a language model's for the next token, not a classifier's."""
    slope: float
    offset: float
    scale: float
    shift: float


def read_reading(folder: Path) -> ReadOut:
    """The read-out that `mull train` wrote into a reward model's folder."""
    raw = json.loads((folder / "reward.json").read_text())
    is_next = raw["readout"] == "next"
    slope, offset = (raw["slope"], raw["offset"]) if is_next else (1.0, raw["bias"])
    return ReadOut(raw["kind"] == "process", raw["separator"], is_next, slope, offset, raw["scale"], raw["shift"])


class Scorer:
    """Computes a reward model's number for each token of a sequence; shared prefixes are computed once."""

    def __init__(self, folder: Path) -> None:
        from mull.runtime.prefixes import Prefixes
        from mull.runtime.session import BLOCK, Session

        self.session = Session(folder)
        self.reading = read_reading(folder)
        self.tokens = Tokens(folder)
        self._known = Prefixes(CAPACITY)
        self._scratch = self.session.cache(1, self.session.config.context + BLOCK)
        self._lock = threading.Lock()

    def values(self, ids: tuple[int, ...]) -> Floats:
        """A number for each token: a classifier's logit, or the token's log-probability.

        It is bitwise reproducible whatever was computed before: whole blocks are recomputed.
        """
        from mull.runtime.session import BLOCK, Binding, blocks

        with self._lock:
            n_known, pieces = self._known.longest(ids)
            # A token's probability is read one position before it, which needs one more block.
            n = max(0, min(n_known, len(ids) - 1) // BLOCK * BLOCK - BLOCK * self.reading.is_next)
            known = np.concatenate(pieces, axis=2) if n else None
            new = ids[n:]
            binding = Binding(self.session, self._scratch, 1, blocks(len(new)))
            if known is not None:
                self._scratch[:, 0, :, :n] = known[:-1, :, :n]
            binding.ids[0, : len(new)] = new
            binding.last[0] = n + binding.ids.shape[1] - 1
            binding.run()
            fresh = _values(binding.logits[0, : len(new)], new, self.reading.is_next)
            values = fresh if known is None else np.concatenate((known[-1, 0, :n, 0], fresh))
            if known is not None and self.reading.is_next:
                values[n] = known[-1, 0, n, 0]  # at the position before, cached
            keys_values = self._scratch[:, 0, :, : len(ids)]
            plane = np.zeros_like(keys_values[:1])
            plane[0, 0, :, 0] = values
            self._known.add(ids, np.concatenate((keys_values, plane)))
            return values


def _values(logits: Floats, ids: Sequence[int], is_next: bool) -> Floats:
    """The cached values of logits [length, outputs]; the first token's log-probability is unknown, and 0."""
    if not is_next:
        return logits[:, 0].copy()
    wide = logits[:-1].astype(np.float64)
    log_p = wide[np.arange(len(ids) - 1), ids[1:]] - np.logaddexp.reduce(wide, axis=1)
    return np.concatenate(([0.0], log_p)).astype(np.float32)


_load = one_a_process(Scorer, content_of)


@dataclass(frozen=True)
class Trained:
    """Runs a reward model that `mull train` made from a built-in model, without torch.

    A process reward model scores the end of every step and folds those scores; an outcome reward model has one score
    for the reply. Shared prefixes are computed once: a question counts with the first reply of a call, and the partial
    reply that a draw continued does not count again. `verifier_tokens` are the tokens counted, FLOPs those of computing
    them (`mull.cost.flops`); neither depends on other calls.
    """

    folder: str = field(metadata=A_FILE)
    fold: Fold = "last"

    def __post_init__(self) -> None:
        if not (Path(self.folder) / "reward.json").exists() or not (Path(self.folder) / "decoder.onnx").exists():
            raise UsageError(
                f"{self.folder} is not a reward model that `mull train` made from a built-in model: "
                "it has no reward.json or no decoder.onnx"
            )

    @property
    def name(self) -> str:
        return Path(self.folder).name

    @cached_property
    def identity(self) -> str:
        return f"{self.name}@{self._content.weights} {self.fold}"

    @cached_property
    def _content(self) -> Content:
        """The folder's content, read on first use and fixed from then on."""
        return content_of(Path(self.folder))

    @cached_property
    def _scorer(self) -> Scorer:
        return _load(Path(self.folder), self._content)

    @property
    def _reading(self) -> ReadOut:
        return self._scorer.reading

    @property
    def split(self) -> str | None:
        """The separator of steps; `None` for an outcome reward model."""
        return self._reading.separator if self._reading.is_process else None

    @cached_property
    def _architecture(self) -> Architecture:
        return read_config(Path(self.folder, "config.json"))

    def _cost(self, n: int, seconds: float | None, n_before: int = 0) -> Cost:
        """The cost of `n` tokens after `n_before` cached ones, with a number read at each of the `n`."""
        return Cost(0, 0, 0, n, 0, float(self._architecture.forward(n, n_before, n)), 0.0, seconds)

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """An upper bound: no shared prefixes, and one token per character."""
        head = sum(len(m.text) + 3 for m in problem.prompt.messages)
        return total(self._cost(head + len(sample.reply), None) for sample in samples)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await asyncio.to_thread(self._scores, problem, samples)

    def _scores(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        head = self._head(problem)
        if isinstance(head, str):
            return [Score(None, why=head, is_lasting=True)] * len(samples)
        asked: dict[str, tuple[tuple[int, ...], list[int]] | str] = {}
        for sample in samples:
            if sample.reply not in asked and sample.finish is not Finish.ERROR:
                asked[sample.reply] = self._asked(head, sample.reply)
        scores: list[Score] = []
        known: dict[str, Score] = {}
        for sample in samples:
            value = "the draw failed" if sample.finish is Finish.ERROR else asked[sample.reply]
            if isinstance(value, str):
                scores.append(Score(None, why=value))
            elif sample.reply in known:
                scores.append(replace(known[sample.reply], cost=Cost()))
            else:
                ids, ends = value
                start = time.monotonic()
                values = self._scorer.values(ids)
                n_begun = len(self._scorer.tokens.encode(sample.prompt.prefix)) if sample.prompt.prefix else 0
                n_before = (len(head) if known or n_begun else 0) + n_begun
                cost = self._cost(len(ids) - n_before, time.monotonic() - start, n_before)
                known[sample.reply] = self._score(values, len(head), ends, cost)
                scores.append(known[sample.reply])
        return scores

    def _head(self, problem: Problem) -> tuple[int, ...] | str:
        """The question's tokens, or why the model cannot read it."""
        for message in problem.prompt.messages:
            if message.role != "user":
                raise PromptError(f"{self.name} reads one question of a user, not a turn of {message.role!r}")
        try:
            return tuple(self._scorer.tokens.conversation(problem.prompt.messages))
        except PromptError as error:
            return str(error)

    def _asked(self, head: tuple[int, ...], reply: str) -> tuple[tuple[int, ...], list[int]] | str:
        """The sequence to compute and the positions to read, or why there are none."""
        pieces = split(reply, self._reading.separator) if self._reading.is_process else [reply]
        if not reply.strip():
            return "the reply is empty"
        ids, ends = list(head), []
        for piece in pieces:
            try:
                ids += self._scorer.tokens.encode(piece)
            except PromptError as error:
                return str(error)
            ends.append(len(ids) - 1)
        if len(ids) > (limit := self._scorer.session.config.context):
            return f"question and reply have {len(ids)} tokens, but {self.name} reads at most {limit}"
        return tuple(ids), ends

    def _score(self, values: Floats, start: int, ends: Sequence[int], cost: Cost) -> Score:
        r = self._reading
        wide = values.astype(np.float64)
        logits = all_right(wide, start, r.slope, r.offset) if r.is_next else wide + r.offset
        steps = tuple(float(v) for v in 1 / (1 + np.exp(-(r.scale * logits[list(ends)] + r.shift))))
        return Score(fold(steps, self.fold), steps, cost) if r.is_process else Score(steps[-1], cost=cost)


def all_right(log_p: Doubles, start: int, slope: float, offset: float) -> Doubles:
    """For each position, the logit that all tokens from `start` to it are right, from their log-probabilities."""
    log_p = np.minimum(log_p, -1e-6)
    token = slope * (log_p - np.log(-np.expm1(log_p))) + offset
    doubt = np.where(np.arange(len(log_p)) >= start, np.logaddexp(0, -token), 0.0).cumsum().clip(min=1e-6)
    logits: Doubles = -doubt - np.log(-np.expm1(-doubt))
    return logits


@dataclass(frozen=True)
class NanoPRM(Trained):
    """The built-in process reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: str = field(default=str(WEIGHTS / "nano-prm"), init=False, repr=False)


@dataclass(frozen=True)
class NanoORM(Trained):
    """The built-in outcome reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: str = field(default=str(WEIGHTS / "nano-orm"), init=False, repr=False)
    fold: Fold = field(default="last", init=False, repr=False)
