"""Reward models on the embedded runtime: `nano-prm`, `nano-orm`, and what `mull train` makes of a built-in model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from mull.cost import Price
from mull.errors import PromptError, UsageError
from mull.models.embedded import ASSISTANT, BOS, USER, WEIGHTS
from mull.steps import Fold, fold, split
from mull.types import Cost, Finish, Problem, Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mull.models.session import Floats

    Doubles = NDArray[np.float64]

N_KNOWN = 512
"""Conversations whose keys and values are kept for those that begin alike."""


class Reading(NamedTuple):
    """How the logits of a reward model are read; see `train/reward.py` for the two read-outs."""

    is_process: bool
    separator: str
    is_next: bool
    """Whether the numbers are those of a language model's next tokens, not a classifier's."""
    slope: float
    offset: float
    scale: float
    shift: float


def read_reading(folder: Path) -> Reading:
    """What `mull train` wrote of how to read a reward model."""
    raw = json.loads((folder / "reward.json").read_text())
    is_next = raw["readout"] == "next"
    slope, offset = (raw["slope"], raw["offset"]) if is_next else (1.0, raw["bias"])
    return Reading(raw["kind"] == "process", raw["separator"], is_next, slope, offset, raw["scale"], raw["shift"])


class Known(NamedTuple):
    """A computed conversation: keys and values [2 * layers, kv_heads, length, head], and logits [length, outputs]."""

    ids: tuple[int, ...]
    keys_values: Floats
    logits: Floats


class Scorer:
    """Logits of token sequences, what they share with the last ones not computed again; one for each process."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        from mull.models.session import BLOCK, Session

        self.session = Session(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True
        self.id_of: dict[str, int] = self.tokenizer.get_vocab()
        self._known: OrderedDict[tuple[int, ...], Known] = OrderedDict()
        self._begun: dict[tuple[int, ...], Known] = {}
        """By each beginning of whole blocks: the last sequence that begins so."""
        self._scratch = self.session.cache(1, self.session.config.context + BLOCK)
        self._lock = threading.Lock()

    def logits(self, ids: tuple[int, ...]) -> Floats:
        """The logits of a sequence [length, outputs]."""
        from mull.models.session import Binding, blocks

        with self._lock:
            if ids in self._known:
                self._known.move_to_end(ids)
                return self._known[ids].logits
            begun, n = self._longest(ids)
            new = ids[n:]
            binding = Binding(self.session, self._scratch, 1, blocks(len(new)))
            if begun is not None:
                self._scratch[:, 0, :, :n] = begun.keys_values[:, :, :n]
            binding.ids[0, : len(new)] = new
            binding.last[0] = n + binding.ids.shape[1] - 1
            logits = binding.run()[0, : len(new)]
            logits = np.concatenate((begun.logits[:n], logits)) if begun is not None else logits.copy()
            self._keep(Known(ids, self._scratch[:, 0, :, : len(ids)].copy(), logits))
            return logits

    def _longest(self, ids: tuple[int, ...]) -> tuple[Known | None, int]:
        """The known sequence that shares most whole blocks with this one, and how many tokens those are."""
        from mull.models.session import BLOCK

        for n in range(len(ids) // BLOCK * BLOCK, 0, -BLOCK):
            if (known := self._begun.get(ids[:n])) is not None:
                return known, n
        return None, 0

    def _keep(self, new: Known) -> None:
        from mull.models.session import BLOCK

        self._known[new.ids] = new
        for n in range(BLOCK, len(new.ids) + 1, BLOCK):
            self._begun[new.ids[:n]] = new
        while len(self._known) > N_KNOWN:
            _, old = self._known.popitem(last=False)
            for n in range(BLOCK, len(old.ids) + 1, BLOCK):
                if self._begun.get(old.ids[:n]) is old:
                    del self._begun[old.ids[:n]]


_lock = threading.Lock()
_loaded: dict[Path, Scorer] = {}


def _load(folder: Path) -> Scorer:
    with _lock:
        if folder not in _loaded:
            _loaded[folder] = Scorer(folder)
        return _loaded[folder]


@dataclass(frozen=True)
class Trained:
    """A reward model in a folder that `mull train` wrote from a built-in model, run without torch.

    A process reward model scores the end of every step and folds those scores; an outcome one has one score for
    the reply. What sequences share is computed once: a question is counted with the first reply of a call, and
    the partial reply that a draw continued is not counted again. `verifier_tokens` are the tokens counted, FLOPs 2
    for each of them and each parameter; what else was computed before does not change them.
    """

    folder: str
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
        content = hashlib.blake2b(Path(self.folder, "model.safetensors").read_bytes(), digest_size=10)
        return f"{self.name}@{content.hexdigest()} {self.fold}"

    @cached_property
    def _scorer(self) -> Scorer:
        return _load(Path(self.folder))

    @cached_property
    def _reading(self) -> Reading:
        return read_reading(Path(self.folder))

    def _cost(self, n: int, seconds: float | None) -> Cost:
        flops = Price(active_params=self._scorer.session.n_parameters).cost(n, 0).flops
        return Cost(0, 0, 0, n, 0, flops, 0.0, seconds)

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """As if no reply shared anything with another; a token for each character."""
        head = sum(len(m.content) + 3 for m in problem.prompt.messages)
        return self._cost(sum(head + len(sample.reply) for sample in samples), None)

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> Sequence[Score]:
        return await asyncio.to_thread(self._scores, problem, samples)

    def _scores(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        head = self._head(problem)
        asked: dict[str, tuple[tuple[int, ...], list[int]] | str] = {}
        for sample in samples:
            if sample.reply not in asked and sample.finish is not Finish.ERROR:
                asked[sample.reply] = self._asked(head, sample.reply)
        scores = []
        paid: set[str] = set()
        for sample in samples:
            value = "the draw failed" if sample.finish is Finish.ERROR else asked[sample.reply]
            if isinstance(value, str):
                scores.append(Score(None, why=value))
                continue
            start = time.monotonic()
            logits = self._scorer.logits(value[0])
            n_begun = len(self._encode(sample.prompt.prefix)) if sample.prompt.prefix else 0
            n = len(value[0]) - (len(head) if paid or n_begun else 0) - n_begun
            cost = Cost() if sample.reply in paid else self._cost(n, time.monotonic() - start)
            paid.add(sample.reply)
            ends = value[1]
            scores.append(self._score(value[0], len(head), logits, ends, cost))
        return scores

    def _head(self, problem: Problem) -> tuple[int, ...]:
        special, encode = self._scorer.id_of, self._encode
        ids: list[int] = []
        for message in problem.prompt.messages:
            if message.role != "user":
                raise PromptError(f"{self.name} reads one question of a user, not a turn of {message.role!r}")
            ids += [special[BOS], special[USER], *encode(message.content), special[ASSISTANT]]
        return tuple(ids)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._scorer.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _asked(self, head: tuple[int, ...], reply: str) -> tuple[tuple[int, ...], list[int]] | str:
        """The sequence to compute and the places to read; or why there is nothing to read."""
        pieces = split(reply, self._reading.separator) if self._reading.is_process else [reply]
        if not reply.strip():
            return "the reply is empty"
        ids, ends = list(head), []
        for piece in pieces:
            ids += self._encode(piece)
            ends.append(len(ids) - 1)
        if len(ids) > (limit := self._scorer.session.config.context):
            return f"question and reply have {len(ids)} tokens, and {self.name} reads at most {limit}"
        return tuple(ids), ends

    def _score(self, ids: Sequence[int], start: int, logits: Floats, ends: Sequence[int], cost: Cost) -> Score:
        r = self._reading
        if r.is_next:
            found = next_token_logits(logits, ids, start, r.slope, r.offset)[list(ends)]
        else:
            found = logits[list(ends), 0].astype(np.float64) + r.offset
        steps = tuple(float(v) for v in 1 / (1 + np.exp(-(r.scale * found + r.shift))))
        return Score(fold(steps, self.fold), steps, cost) if r.is_process else Score(steps[-1], cost=cost)


def next_token_logits(logits: Floats, ids: Sequence[int], start: int, slope: float, offset: float) -> Doubles:
    """For each place the logit that all tokens from `start` up to it are right, by their next-token probabilities."""
    wide = logits[:-1].astype(np.float64)
    log_p = wide[np.arange(len(ids) - 1), ids[1:]] - np.logaddexp.reduce(wide, axis=1)
    log_p = np.minimum(log_p, -1e-6)
    token = slope * (log_p - np.log(-np.expm1(log_p))) + offset
    doubt = np.where(np.arange(1, len(ids)) >= start, np.logaddexp(0, -token), 0.0).cumsum().clip(min=1e-6)
    return np.concatenate(([np.inf], -doubt - np.log(-np.expm1(-doubt))))


@dataclass(frozen=True)
class NanoPRM(Trained):
    """The built-in process reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: ClassVar[str] = str(WEIGHTS / "nano-prm")  # type: ignore[misc]


@dataclass(frozen=True)
class NanoORM(Trained):
    """The built-in outcome reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: ClassVar[str] = str(WEIGHTS / "nano-orm")  # type: ignore[misc]
    fold: ClassVar[Fold] = "last"  # type: ignore[misc]
