"""What the benches of strategies on `chain` share: strategies on the same problems, and differences at equal cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from mull import spec
from mull.bank import MemoryBank
from mull.run import Run, Strategy
from mull.run.events import DrawArrived, RunEvent
from mull.stats.paired import paired
from mull.tasks.synthetic import ChainTask
from mull.types import Model, Params, Problem, Verifier

AT = " at temperature "


@dataclass(frozen=True)
class Row:
    """A strategy on the problems of some levels: who was right, the mean cost of one, the largest context.

    Tokens are those that models wrote or a verifier read; the context is the prompt and reply of one request.
    """

    correct: tuple[float, ...]
    by_level: tuple[float, ...]
    tokens: float
    flops: float
    context: int
    notes: tuple[Mapping[str, float | str | None], ...]

    @property
    def right(self) -> float:
        return sum(self.correct) / len(self.correct)


def measured(
    model: Model,
    levels: Sequence[int],
    plans: Iterable[str] | Mapping[str, Strategy],
    n_problems: int,
    verifier: Verifier | None = None,
    max_tokens: int = 400,
) -> dict[str, Row]:
    """Every strategy on the first held-out problems of each level, at temperature 1 or what its name says."""
    named = plans if isinstance(plans, Mapping) else {name: _built(name) for name in plans}
    banks = [MemoryBank() for _ in levels]

    async def row(name: str, strategy: Strategy) -> Row:
        contexts, found = [0], []

        def see(event: RunEvent) -> None:
            if isinstance(event, DrawArrived):
                contexts.append((event.sample.cost.prompt_tokens or 0) + (event.sample.cost.output_tokens or 0))

        async def one(task: ChainTask, problem: Problem, bank: MemoryBank) -> Result:
            params = Params(float(name.partition(AT)[2] or 1), max_tokens)
            run = Run(model, verifier=verifier, params=params, bank=bank, seed=21, watch=see)
            outcome = await strategy(problem, run)
            grade = None if outcome.best is None else await task.grade(problem.id, outcome.best)
            is_right = grade is not None and grade.correct is True
            return Result(float(is_right), run.spent.tokens or 0, run.spent.flops or 0, outcome.notes)

        for level, bank in zip(levels, banks, strict=True):
            task = ChainTask(level)
            found += await asyncio.gather(*(one(task, p, bank) for p in islice(task.problems(), n_problems)))
        return Row(
            tuple(one.right for one in found),
            tuple(
                sum(one.right for one in found[i : i + n_problems]) / n_problems
                for i in range(0, len(found), n_problems)
            ),
            sum(one.tokens for one in found) / len(found),
            sum(one.flops for one in found) / len(found),
            max(contexts),
            tuple(one.notes for one in found),
        )

    return {name: asyncio.run(row(name, strategy)) for name, strategy in named.items()}


@dataclass(frozen=True)
class Result:
    """A strategy on one problem."""

    right: float
    tokens: float
    flops: float
    notes: Mapping[str, float | str | None]


def _built(name: str) -> Strategy:
    strategy: Strategy = spec.strategy(name.partition(AT)[0])
    return strategy


def table(rows: Mapping[str, Row]) -> Iterator[str]:
    """The rows, one a line."""
    wide = max(map(len, rows))
    yield f"{'strategy':{wide}} {'by level':>18}  right  tokens  MFLOPs  context"
    for name, row in rows.items():
        each = " / ".join(f"{100 * right:.0f}" for right in row.by_level)
        yield (
            f"{name:{wide}} {each:>18} {100 * row.right:5.1f}% {row.tokens:7.0f} {row.flops / 1e6:7.0f} {row.context:8}"
        )


def difference(rows: Mapping[str, Row], name: str, other: str) -> str:
    """The paired difference of two rows in points, with its 95 % interval and p-value."""
    pair = paired(name, other, rows[name].correct, rows[other].correct)
    if pair is None:
        return f"{name}: nothing to compare with {other}"
    low, high = pair.ci95
    gap = f"{100 * pair.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], p {pair.p_value:.2g}"
    return f"{name} - {other}: {gap}"


def within(rows: Mapping[str, Row], name: str, families: Iterable[str], cost: str = "tokens") -> Iterator[str]:
    """The differences of a row to the dearest row of each family, by how names begin, that costs at most 5 % more."""
    most = 1.05 * getattr(rows[name], cost)
    for family in families:
        fits = [one for one in rows if one.startswith(family) and getattr(rows[one], cost) <= most]
        if fits:
            yield difference(rows, name, max(fits, key=lambda one: float(getattr(rows[one], cost))))
