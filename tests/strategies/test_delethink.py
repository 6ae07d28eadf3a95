"""Thoughts in chunks with a short carry-over, on a model that counts and forgets what it does not see, and on nano."""

import asyncio
from dataclasses import dataclass, field

import pytest

from mull import (
    AnswerKind,
    Budget,
    Finish,
    Outcome,
    Params,
    Problem,
    Prompt,
    Run,
    Sample,
    Stopped,
    Strategy,
    UsageError,
    spec,
)
from mull.bank import MemoryBank
from mull.lab import grid
from mull.models.embedded import Nano
from mull.strategies.delethink import Delethink
from mull.strategies.force import Force
from mull.tasks.synthetic import ChainTask
from mull.testing import FakeModel, solve
from mull.types import Cost, Draw

NUMBER = Problem("p", Prompt.user("How far?"), AnswerKind.NUMBER)
OPEN, CLOSE = "<think>", "</think>"


@dataclass
class Counter(FakeModel):
    """Counts on from the last number that it sees to `end`, a token each, closes the thought and answers the number."""

    end: int = 20
    asked: list[str] = field(default_factory=list)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 5, params.max_tokens, 0, 0, 1.0, 0.0, 0.0)

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        self.asked.append(prompt.prefix)
        seen = prompt.prefix.replace(OPEN, " ").replace(CLOSE, " ").replace("answer:", " ").split()
        last = int(seen[-1]) if seen else 0
        if CLOSE in prompt.prefix:
            tokens = [f" {last}"]
        else:
            tokens = ([] if prompt.prefix else [OPEN]) + [f" {i}" for i in range(last + 1, self.end + 1)] + [CLOSE]
        is_cut = len(tokens) > params.max_tokens
        tokens = tokens[: params.max_tokens]
        text, finish = "".join(tokens), Finish.LENGTH if is_cut else Finish.STOP
        if any(stop in text for stop in params.stop):
            text, finish = text.partition(CLOSE)[0], Finish.STOP_STRING
        return Sample(prompt, text, finish, Cost(1, 5, len(tokens), 0, 0, 1.0, 0.0, 0.0), draw.number, draw.seed)


def count(model: Counter, strategy: Delethink, max_tokens: int = 100, budget: Budget | None = None) -> Outcome:
    return solve(strategy, Run(model, params=Params(max_tokens=max_tokens), budget=budget), NUMBER)


def counted(first: int, last: int) -> str:
    return "".join(f" {i}" for i in range(first, last + 1))


def test_each_chunk_sees_the_head_and_the_last_tokens_alone() -> None:
    model = Counter(end=17)
    outcome = count(model, Delethink(chunk=8, carry=3, head=2, n_answer=8))
    # Tokens are the delimiter, 1, 2, ...: eight are the first chunk, and each of the others has five new ones.
    head = OPEN + " 1"
    begun = [prefix for prefix in model.asked if CLOSE not in prefix]
    assert begun[0] == ""
    assert [prefix for prefix in begun if prefix.count(" ") == 1 + 3] == [
        head + counted(2, 4),  # inside the first chunk, which is 1 to 7
        head + counted(5, 7),
        head + counted(10, 12),
        head + counted(15, 17),
    ]
    assert outcome.answer == "17"
    assert outcome.notes["chunks"] == 4
    assert outcome.notes["thinking_tokens"] == 1 + 17 + 1, "delimiters count, the carried tokens do not count again"
    assert outcome.notes["thought_ended_by"] == "model"
    assert max(prefix.count(" ") for prefix in begun) <= 2 + 8, "never more than head and chunk"


@pytest.mark.parametrize(("chunk", "carry", "head"), [(2, 1, 0), (4, 2, 2), (6, 2, 3), (7, 3, 4), (64, 32, 32)])
def test_no_context_is_longer_than_head_and_chunk_and_the_count_goes_on(chunk: int, carry: int, head: int) -> None:
    model = Counter(end=30)
    outcome = count(model, Delethink(chunk=chunk, carry=carry, head=head, n_answer=8))
    assert outcome.answer == "30"
    assert all(len(prefix.replace(OPEN, " 0").split()) <= head + chunk for prefix in model.asked if CLOSE not in prefix)
    assert all(prefix.startswith(OPEN) for prefix in model.asked[1:]), "the thought stays open"
    n_after_first = max(0, 32 - chunk)  # 30 numbers and two delimiters
    assert outcome.notes["chunks"] == 1 + -(-n_after_first // (chunk - carry))


def test_a_thought_shorter_than_a_chunk_is_one_that_force_draws() -> None:
    problem = next(ChainTask(ops=2).problems())
    plain, chunked = (
        solve(strategy, Run(Nano(), params=Params(0.0, max_tokens=200)), problem)
        for strategy in (Force(), Delethink(chunk=180, carry=60, head=20))
    )
    assert plain.best is not None
    assert chunked.best is not None
    assert chunked.best.reply == plain.best.reply
    assert chunked.answer == plain.answer
    assert chunked.notes["chunks"] == 1


def test_max_tokens_ends_a_thought_that_does_not_end() -> None:
    model = Counter(end=1000)
    outcome = count(model, Delethink(chunk=8, carry=4, head=1, n_answer=8), max_tokens=50)
    assert outcome.notes["thinking_tokens"] == 50 - 8
    assert outcome.answer == "41", "the delimiter and 41 numbers"


def test_a_ceiling_ends_the_thought_and_leaves_an_answer() -> None:
    model = Counter(end=1000)
    outcome = count(model, Delethink(chunk=8, carry=4, head=1, n_answer=8), budget=Budget(tokens=40))
    assert outcome.stopped is Stopped.BUDGET
    assert outcome.answer is not None


def test_a_head_that_cuts_the_delimiter_is_opened_whole() -> None:
    class Spelled(Counter):
        """Writes its opening delimiter as two tokens."""

        def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
            if not prompt.prefix:
                cost = Cost(1, 5, 1, 0, 0, 1.0, 0.0, 0.0)
                return Sample(prompt, "<thi", Finish.LENGTH, cost, draw.number, draw.seed)
            seen = prompt.prefix.replace("<thi", OPEN) if not prompt.prefix.startswith(OPEN) else prompt.prefix
            sample = super()._draw(Prompt(prompt.messages, prefix=seen), params, draw)
            return Sample(prompt, sample.text, sample.finish, sample.cost, draw.number, draw.seed)

    model = Spelled(end=20)
    outcome = count(model, Delethink(chunk=6, carry=3, head=1, n_answer=8))
    assert outcome.answer == "20"
    assert all(prefix.startswith(OPEN + "\n") for prefix in model.asked[5:])


def test_nano_goes_on_from_its_plan_and_its_last_lines() -> None:
    """12 chains of 8 operations, greedy: each needs the plan in its first line and the value of the line before."""
    plans = {"plain": "force", "chunked": "delethink:chunk=96,carry=48,head=32", "cut": "force:at_most=128"}
    built: dict[str, Strategy] = {name: spec.strategy(text) for name, text in plans.items()}
    plan = grid.Plan(ChainTask(ops=8), Nano(), built, params=Params(0.0, max_tokens=300))
    cells = asyncio.run(grid.run_plan(plan, MemoryBank(), n_problems=12))
    n_right = {name: sum(cell.grade.correct is True for cell in column) for name, column in cells.items()}
    assert n_right["chunked"] >= n_right["plain"] - 2, "nothing it needs is forgotten"
    assert n_right["cut"] < n_right["plain"] / 2, "a thought cut to that context has not come to its answer"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("delethink:carry=0", "carry must be at least 1"),
        ("delethink:head=-1", "head must be at least 0"),
        ("delethink:chunk=100,carry=60", "chunk must be at least 160"),
        ("delethink:chunk=80,carry=40,head=50", "chunk must be at least 90"),
        ("delethink:n_answer=1", "n_answer must be at least"),
        ("delethink:cue=", "cue must not be empty"),
    ],
)
def test_options_are_checked(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        spec.strategy(text)
