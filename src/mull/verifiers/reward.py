"""Reward models as verifiers: outcome (one score per reply) and process (one per step, folded to one)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Protocol

from mull.cost import Price, total
from mull.errors import UsageError
from mull.replies.steps import Fold
from mull.types import Calls, Cost, Finish, Problem, Sample, Score
from mull.verifiers.presets import preset
from mull.verifiers.reading import Reading, RewardBackend, RewardInput, Unscored
from mull.verifiers.servers import PATIENCE, OnServer, Server, check_shape, limits
from mull.wire.replies import Usage

TEMPLATE_TOKENS = 256
"""Maximum number of tokens that a chat template adds."""


class RewardSource(Protocol):
    """Where a reward model runs."""

    def opened(self) -> AbstractAsyncContextManager[RewardBackend]:
        """A context manager that yields the model."""
        ...


@dataclass(frozen=True)
class Remote:
    """A reward model on a server."""

    model: str
    server: Server
    shape: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[RewardBackend]:
        yield OnServer(self.model, self.shape, self.server.post)


@dataclass(frozen=True)
class Inside:
    """A reward model in this process: any `RewardBackend`."""

    backend: RewardBackend

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[RewardBackend]:
        yield self.backend


@dataclass(frozen=True)
class RewardModel:
    """Scores replies with a reward model by its `Reading`, on any backend.

    If the model cannot be reached or its answer is invalid, the reply has no score, with the reason. Equal replies are
    scored once. `verifier_tokens` of a score's cost are the tokens that the model read.
    """

    model: str
    reading: Reading
    source: RewardSource
    fold: Fold | None = None
    price: Price = field(default_factory=Price)

    @property
    def name(self) -> str:
        return self.model

    @property
    def split(self) -> str | None:
        """The separator of steps; `None`: it scores complete replies only."""
        return self.reading.split

    @property
    def identity(self) -> str:
        """The model, its conventions and the fold; not the address of its server."""
        return f"reward {self.model} {self.reading.digest} {self.fold or self.reading.fold}"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """The upper bound of the cost: one token per byte of input, plus the chat template."""
        return total(self._cost(n, None) for n in map(self._most, self._asked(problem, samples).values()))

    def _most(self, asked: RewardInput | str) -> int:
        if isinstance(asked, str):
            return 0
        if self.reading.form == "turns":
            sizes = [len(message.text.encode(errors="surrogatepass")) + TEMPLATE_TOKENS for message in asked.messages]
            return sum(sum(sizes[: i + 1]) for i in range(0, len(sizes), 2))
        text = (asked.head or "") + asked.body if self.reading.form == "plain" else ""
        size = len(text.encode(errors="surrogatepass")) + sum(
            len(m.text.encode(errors="surrogatepass")) for m in asked.messages
        )
        return size + TEMPLATE_TOKENS

    def _cost(self, n_read: int | None, seconds: float | None) -> Cost:
        cost = self.price.cost(n_read, None if n_read is None else 0)
        return Cost(0, 0, 0, n_read, 0, cost.flops, cost.usd, seconds)

    def _asked(self, problem: Problem, samples: Sequence[Sample]) -> dict[str, RewardInput | str]:
        """For each reply: the model's input, or why there is none."""
        found: dict[str, RewardInput | str] = {}
        for sample in samples:
            if sample.finish is not Finish.ERROR and sample.reply not in found:
                try:
                    found[sample.reply] = self.reading.asked(problem, sample.reply)
                except Unscored as why:
                    found[sample.reply] = str(why)
        return found

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        asked = self._asked(problem, samples)
        async with self.source.opened() as backend:
            scores = await asyncio.gather(*(self._score(backend, one) for one in asked.values()))
        fresh = dict(zip(asked, scores, strict=True))
        given: list[Score] = []
        seen: set[str] = set()
        for sample in samples:
            if sample.finish is Finish.ERROR:
                given.append(Score(None, why="the draw failed"))
                continue
            score = fresh[sample.reply]
            given.append(replace(score, cost=Cost()) if sample.reply in seen else score)
            seen.add(sample.reply)
        return given

    async def _score(self, backend: RewardBackend, asked: RewardInput | str) -> Score:
        if isinstance(asked, str):
            return Score(None, why=asked)
        start, cost = time.monotonic(), Cost()
        try:
            rows = await backend.rows(asked, self.reading)
            n_read = Usage(rows.n_tokens).within(self._most(asked), 0).prompt
            cost = self._cost(n_read, time.monotonic() - start)
            values = self.reading.values(rows, asked.n_values)
        except Unscored as why:
            unknown = self._cost(None, time.monotonic() - start)
            return Score(None, cost=unknown if why.may_be_paid else cost, why=str(why))
        return replace(self.reading.score(values, self.fold or self.reading.fold, asked.n_steps), cost=cost)


@dataclass(frozen=True)
class _Named:
    """The options of a reward model in a spec."""

    model: str
    preset: str
    base_url: str | None = None
    server: str | None = None
    split: str | None = None
    fold: Fold | None = None
    api_key_env: str | None = None
    seconds: float = 120.0
    patience: float = PATIENCE
    usd_per_mtok: float | None = None
    active_params: float | None = None

    is_process: ClassVar[bool]

    def __post_init__(self) -> None:
        _ = self._verifier  # invalid options raise an error before any draw

    @cached_property
    def _verifier(self) -> RewardModel:
        reading = preset(self.preset, is_process=self.is_process)
        if self.split is not None:
            reading = replace(reading, split=self.split.replace("\\n", "\n"))
        price = Price(self.usd_per_mtok, self.usd_per_mtok, self.active_params)
        shape = self.server or reading.server
        if shape == "transformers":
            from mull.verifiers.local import Local

            return RewardModel(self.model, reading, Inside(Local(self.model)), self.fold, price)
        check_shape(shape, reading)
        if self.base_url is None:
            raise UsageError(
                f"the reward model {self.model} needs base_url=http://..., where it is served, "
                "or server=transformers, which runs it in this process"
            )
        server = Server(self.base_url, self.api_key_env, limits(self.seconds, self.patience))
        return RewardModel(self.model, reading, Remote(self.model, server, shape), self.fold, price)

    @property
    def name(self) -> str:
        return self._verifier.name

    @property
    def identity(self) -> str:
        return self._verifier.identity

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return self._verifier.quote(problem, samples)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await self._verifier.score(problem, samples, calls)


@dataclass(frozen=True)
class ProcessReward(_Named):
    """A process reward model (PRM): scores every step of a reply and folds those scores to one."""

    is_process = True


@dataclass(frozen=True)
class OutcomeReward(_Named):
    """An outcome reward model (ORM): one score for a whole reply."""

    is_process = False

    def __post_init__(self) -> None:
        for option in ("split", "fold"):
            if getattr(self, option) is not None:
                raise UsageError(f"an outcome reward model has no steps to {option}")
        super().__post_init__()
