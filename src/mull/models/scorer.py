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
    from mull.models.session import Floats

ROWS = 32
"""Replies computed together at most."""
N_KNOWN = 512
"""Conversations whose keys and values are kept for those that begin alike."""


class Known(NamedTuple):
    """A computed conversation: keys and values [2 * layers, kv_heads, length, head], and a logit for each token."""

    ids: tuple[int, ...]
    keys_values: Floats
    logits: Floats


class Scorer:
    """Logits of token sequences, what they share with the last ones not computed again; one for each process."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        from mull.models.session import Session

        self.session = Session(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True
        self.id_of: dict[str, int] = self.tokenizer.get_vocab()
        self._known: OrderedDict[tuple[int, ...], Known] = OrderedDict()
        self._begun: dict[tuple[int, ...], Known] = {}
        self._lock = threading.Lock()

    def logits(self, rows: Sequence[tuple[int, ...]]) -> list[tuple[Floats, int]]:
        """For each sequence its logits, one a token, and how many tokens had to be computed."""
        with self._lock:
            found: dict[tuple[int, ...], tuple[Floats, int]] = {}
            waiting = []
            for ids in sorted(set(rows), key=lambda ids: (len(ids), ids)):
                if ids in self._known:
                    found[ids] = self._known[ids].logits, 0
                else:
                    waiting.append(ids)
            for first in range(0, len(waiting), ROWS):
                self._compute(waiting[first : first + ROWS], found)
            return [found[ids] for ids in rows]

    def _compute(self, rows: Sequence[tuple[int, ...]], found: dict[tuple[int, ...], tuple[Floats, int]]) -> None:
        """Computes sequences side by side, each from the whole blocks on that a known one begins with."""
        from mull.models.session import Binding, blocks

        known = [self._longest(ids) for ids in rows]
        n_new = max(len(ids) - n for ids, (_, n) in zip(rows, known, strict=True))
        n_rows, length = blocks(len(rows)), blocks(n_new)
        cache = self.session.cache(n_rows, self.session.config.context + length)
        binding = Binding(self.session, cache, n_rows, length)
        binding.last[:] = length - 1
        for i, (ids, (begun, n)) in enumerate(zip(rows, known, strict=True)):
            if begun is not None:
                cache[:, i, :, :n] = begun.keys_values[:, :, :n]
            binding.ids[i, : len(ids) - n] = ids[n:]
            binding.last[i] = n + length - 1
        out = binding.run()[:, :, 0]
        for i, (ids, (begun, n)) in enumerate(zip(rows, known, strict=True)):
            before = begun.logits[:n] if begun is not None else out[i, :0]
            logits = np.concatenate((before, out[i, : len(ids) - n]))
            found[ids] = logits, len(ids) - n
            self._keep(Known(ids, cache[:, i, :, : len(ids)].copy(), logits))

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
    the reply. A prompt is computed once for all its replies and counted with the first; so is what one reply
    shares with another. `verifier_tokens` are the tokens computed, FLOPs 2 for each of them and each parameter.
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
    def _reading(self) -> tuple[bool, str, float, float]:
        """Whether it reads steps, what ends one, and the scale and shift that make its logits probabilities."""
        raw = json.loads((Path(self.folder) / "reward.json").read_text())
        # The graph leaves out the bias of the last layer.
        return raw["kind"] == "process", raw["separator"], raw["scale"], raw["scale"] * raw["bias"] + raw["shift"]

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
        start = time.monotonic()
        head = self._head(problem)
        asked: dict[str, tuple[tuple[int, ...], list[int]] | str] = {}
        for sample in samples:
            if sample.reply not in asked and sample.finish is not Finish.ERROR:
                asked[sample.reply] = self._asked(head, sample.reply)
        rows = [value[0] for value in asked.values() if not isinstance(value, str)]
        self._scorer.logits([head])
        computed = dict(zip(rows, self._scorer.logits(rows), strict=True))
        seconds = (time.monotonic() - start) / max(1, len(rows))
        scores = []
        paid: set[str] = set()
        for sample in samples:
            value = (
                asked.get(sample.reply, "the draw failed") if sample.finish is not Finish.ERROR else "the draw failed"
            )
            if isinstance(value, str):
                scores.append(Score(None, why=value))
                continue
            ids, ends = value
            logits, n = computed[ids]
            cost = Cost() if sample.reply in paid else self._cost(n, seconds)
            paid.add(sample.reply)
            scores.append(self._score(logits, ends, cost))
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
        is_process, separator, _, _ = self._reading
        pieces = split(reply, separator) if is_process else [reply]
        if not reply.strip():
            return "the reply is empty"
        ids, ends = list(head), []
        for piece in pieces:
            ids += self._encode(piece)
            ends.append(len(ids) - 1)
        if len(ids) > (limit := self._scorer.session.config.context):
            return f"question and reply have {len(ids)} tokens, and {self.name} reads at most {limit}"
        return tuple(ids), ends

    def _score(self, logits: Floats, ends: Sequence[int], cost: Cost) -> Score:
        is_process, _, scale, shift = self._reading
        values = 1 / (1 + np.exp(-(scale * logits[list(ends)].astype(np.float64) + shift)))
        steps = tuple(float(v) for v in values)
        if not is_process:
            return Score(steps[-1], cost=cost)
        return Score(fold(steps, self.fold), steps, cost)


@dataclass(frozen=True)
class NanoPRM(Trained):
    """The built-in process reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: ClassVar[str] = str(WEIGHTS / "nano-prm")  # type: ignore[misc]


@dataclass(frozen=True)
class NanoORM(Trained):
    """The built-in outcome reward model: nano's size, trained on nano's solutions of chain problems."""

    folder: ClassVar[str] = str(WEIGHTS / "nano-orm")  # type: ignore[misc]
    fold: ClassVar[Fold] = "last"  # type: ignore[misc]
