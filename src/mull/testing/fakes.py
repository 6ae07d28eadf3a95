"""Realistic fakes for tests: a seeded model, and a verifier, judge and executor that sometimes cannot tell."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace

from mull.errors import ModelError
from mull.types import (
    AnswerKind,
    Behaviour,
    Calls,
    Cost,
    Draw,
    Finish,
    Pair,
    Params,
    Preference,
    Problem,
    Prompt,
    Purse,
    Sample,
    Score,
    Trial,
)
from mull.types.refusals import BIASES, CONTINUES, LIMITS_THINKING

PROBLEM = Problem("fake", Prompt.user("Which letter?"), AnswerKind.TEXT, {"pairs": (("1", "2"), ("3", "4"))})
"""The problem that the laws use; its `given` has tests for strategies that run programs."""


@dataclass
class FakePurse:
    """A purse without a ceiling, to call a model outside a run; `losses` and `paid` are the reported costs."""

    losses: list[Cost] = field(default_factory=list)
    paid: list[Cost] = field(default_factory=list)
    until: float | None = None

    def lost(self, cost: Cost) -> None:
        self.losses.append(cost)

    def hold(self, cost: Cost) -> bool:
        return True

    def pay(self, cost: Cost) -> None:
        self.paid.append(cost)


@dataclass
class FakeModel:
    """Answers with a letter that its seed determines: `a` with probability 0.5, `b` 0.3, `c` 0.15, no answer 0.05.

    If it continues a prefix or has stop strings, it writes one line per step, at most four before the answer. With
    `is_shuffled`, draws arrive in an order that depends on their seeds. After `dies_after` draws it raises
    `ModelError`. If asked for fenced inputs, it writes its letter as one. It waits `delay` seconds before each draw.
    `seen` lists every draw made. `label` is its name: another label is another model.
    """

    dies_after: int | None = None
    is_shuffled: bool = True
    delay: float = 0.0
    usd_per_token: float | None = 1e-6
    seen: list[tuple[Prompt, Params, Draw]] = field(default_factory=list)
    n_cancelled: int = 0
    label: str = "fake"
    continues: bool = True
    biases: bool = True
    limits: bool = True
    """Whether it enforces a thinking budget."""

    @property
    def name(self) -> str:
        return self.label

    @property
    def identity(self) -> str:
        return self.label

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        if prompt.prefix and not self.continues:
            return CONTINUES
        if params.logit_bias and not self.biases:
            return BIASES
        return LIMITS_THINKING if params.thinking_tokens is not None and not self.limits else None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self._cost(params.max_tokens)

    def _cost(self, n_tokens: int) -> Cost:
        usd = None if self.usd_per_token is None else n_tokens * self.usd_per_token
        return Cost(1, 5, n_tokens, 0, 0, 2.0 * n_tokens, usd, 0.001 * n_tokens)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        order = list(draws)
        if self.is_shuffled:
            order.sort(key=lambda draw: draw.seed % 101)
        n_made = 0
        try:
            for draw in order:
                await asyncio.sleep(self.delay)
                if self.dies_after is not None and len(self.seen) >= self.dies_after:
                    raise ModelError("the fake model was told to fail here")
                self.seen.append((prompt, params, draw))
                n_made += 1
                yield with_logprobs(self._draw(prompt, params, draw), params.logprobs)
        finally:
            self.n_cancelled += len(order) - n_made

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        rng = random.Random(f"{prompt}/{draw.seed}")
        letter = rng.choices(["a", "b", "c", ""], [50, 30, 15, 5])[0]
        times = rng.randrange(1000)  # replies with the same answer differ, as real ones do
        text, finish = f"so {letter}, {times} times\nanswer: {letter}" if letter else "", Finish.STOP
        if prompt.prefix or params.stop:
            left = rng.randint(0, max(0, 4 - prompt.prefix.count("\n")))
            text = "".join(f"so {rng.choice('abc')}\n" for _ in range(left)) + f"answer: {letter or 'd'}"
            if cuts := [at for s in params.stop if (at := text.find(s)) >= 0]:
                text, finish = text[: min(cuts)], Finish.STOP_STRING
        n_tokens = rng.randint(1, 4 if prompt.prefix or params.stop else 40)
        if n_tokens > params.max_tokens:
            cost = self._cost(params.max_tokens)
            return Sample(prompt, "so", Finish.LENGTH, cost, draw.number, draw.seed)
        if finish is Finish.STOP and "```input" in prompt.question:
            text = f"```input\n{letter}\n```\n```output\n{letter * 2}\n```\n" + text
        return Sample(prompt, text, finish, self._cost(n_tokens), draw.number, draw.seed)


@dataclass(frozen=True)
class FakeVerifier:
    """Scores a reply by its text, the same for equal replies; never can score a tenth of the replies.

    Every line is a step, whose value depends on the text up to it; the last step's is the value of the whole.
    `seen` lists every reply it was asked about. With `is_dead` it raises `ModelError`.
    """

    usd: float = 1e-7
    split: str | None = "\n"
    is_dead: bool = False
    seen: list[str] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        return "fake-verifier"

    @property
    def identity(self) -> str:
        return "fake-verifier"

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost(len(samples), 0, 0, 3 * len(samples), 0, 6.0 * len(samples), self.usd * len(samples), 0.0)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        await asyncio.sleep(0)
        if self.is_dead:
            raise ModelError("the fake verifier was told to be dead")
        self.seen.extend(sample.reply for sample in samples)
        return [self._score(sample) for sample in samples]

    def _score(self, sample: Sample) -> Score:
        rng = random.Random(sample.reply)
        cost = Cost(1, 0, 0, 3, 0, 6.0, self.usd, 0.0)
        if rng.random() < 0.1:
            return Score(None, cost=cost, why="the fake verifier was told not to know", is_lasting=True)
        value = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0])
        lines = sample.reply.split("\n")
        before = (random.Random("\n".join(lines[:i])).random() for i in range(1, len(lines)))
        return Score(value, (*before, value), cost)


@dataclass
class LineModel(FakeModel):
    """Line i of its replies is `line(i, text_before, draw)`; a reply has `length` lines."""

    line: Callable[[int, str, Draw], str] = lambda i, prefix, draw: f"{i}.{draw.number}"
    length: int = 3
    per_line: int = 2
    """Tokens per line."""

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        text, start, finish, n_tokens = "", prompt.prefix.count("\n"), Finish.STOP, 0
        for i in range(start, self.length):
            n_tokens += self.per_line
            if n_tokens > params.max_tokens:
                n_tokens, finish = params.max_tokens, Finish.LENGTH
                break
            text += self.line(i, prompt.prefix + text, draw)
            if i < self.length - 1:
                if "\n" in params.stop:
                    finish = Finish.STOP_STRING
                    break
                text += "\n"
        return Sample(prompt, text, finish, self._cost(n_tokens), draw.number, draw.seed)


@dataclass
class StubVerifier:
    """Scores a whole or partial reply by `value(reply)`, at no cost; `seen` lists the replies of each call."""

    value: Callable[[str], float | None]
    split: str | None = "\n"
    seen: list[list[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "stub"

    @property
    def identity(self) -> str | None:
        return None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        self.seen.append([s.reply for s in samples])
        return [Score(value, () if value is None else (value,)) for value in map(self.value, self.seen[-1])]


@dataclass(frozen=True)
class FakeJudge:
    """Prefers the reply that ends in the earlier letter with probability `p_comp`, seeded; never can judge a tenth.

    `seen` lists every pair of replies it was asked about. With `is_dead` it raises `ModelError`.
    """

    p_comp: float = 0.8
    unknown: float = 0.1
    usd: float = 1e-7
    is_dead: bool = False
    seen: list[tuple[str, str]] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        return "fake-judge"

    @property
    def identity(self) -> str:
        return "fake-judge"

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        return Cost(len(pairs), 0, 0, 2 * len(pairs), 0, 4.0 * len(pairs), self.usd * len(pairs), 0.0)

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        await asyncio.sleep(0)
        if self.is_dead:
            raise ModelError("the fake judge was told to be dead")
        self.seen.extend((pair.first.reply, pair.second.reply) for pair in pairs)
        return [self._prefer(place, pair) for place, pair in enumerate(pairs)]

    def _prefer(self, place: int, pair: Pair) -> Preference:
        rng = random.Random(f"{place}/{pair.first.reply}/{pair.second.reply}")
        cost = Cost(1, 0, 0, 2, 0, 4.0, self.usd, 0.0)
        if rng.random() < self.unknown:
            return Preference(None, cost, "the fake judge was told not to know", is_lasting=True)
        is_right = rng.random() < self.p_comp
        return Preference(float(is_right == (pair.first.text <= pair.second.text)), cost)


@dataclass(frozen=True)
class FakeExecutor:
    """Derives behaviour from a program's text and its tests or inputs; never can run a tenth of the programs.

    `seen` lists every trial it was given. With `is_dead` it raises `ModelError` for the trials it could run.
    """

    usd: float = 1e-8
    is_dead: bool = False
    seen: list[Trial] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        return "fake-executor"

    @property
    def identity(self) -> str:
        return "fake-executor"

    def quote(self, problem: Problem, trials: Sequence[Trial]) -> Cost:
        return Cost(0, 0, 0, 0, 0, 0.0, self.usd * len(trials), 0.0)

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> Sequence[Behaviour]:
        await asyncio.sleep(0)
        return [self._behaviour(trial) for trial in trials]

    def _behaviour(self, trial: Trial) -> Behaviour:
        if random.Random(trial.program).random() < 0.1:
            return Behaviour(is_known=False, why="the fake executor was told not to know")
        if self.is_dead:
            raise ModelError("the fake executor was told to be dead")
        self.seen.append(trial)
        cost = Cost(0, 0, 0, 0, 0, 0.0, self.usd, 0.0)
        seen = [random.Random(f"{trial.program}/{what}") for what in (*trial.tests, *trial.inputs)]
        passed, given = seen[: len(trial.tests)], seen[len(trial.tests) :]
        outputs = tuple(rng.choice(["1", "2", None]) for rng in given)
        errors = tuple("ValueError: 3" if output is None else "" for output in outputs)
        return Behaviour(tuple(rng.random() < 0.6 for rng in passed), outputs, errors, cost=cost)


def with_logprobs(sample: Sample, n_tops: int | None) -> Sample:
    """A fake draw with invented log-probabilities and `n_tops` alternatives at each position; `None`: unchanged."""
    if n_tops is None:
        return sample
    n, rng = sample.cost.output_tokens or 0, random.Random(f"logprobs/{sample.prompt}/{sample.seed}")
    chosen = tuple(-rng.expovariate(2.0) for _ in range(n))
    tops = tuple(tuple((str(j), -rng.expovariate(0.5)) for j in range(n_tops)) for _ in range(n))
    return replace(sample, logprobs=chosen, alternatives=tops if n_tops else None)
