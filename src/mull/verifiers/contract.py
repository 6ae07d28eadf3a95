"""Contract check of a verifier or judge: it must prefer a right solution to a wrong one.

A reward model served with another model's conventions, such as swapped classes or labels, answers every request but
ranks in reverse. This check is the cheapest way to detect it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Finish, Judge, Pair, Problem, Prompt, Sample, Verifier


@dataclass(frozen=True)
class Contract:
    """A problem, a right solution of it and a wrong one."""

    problem: Problem
    good: str
    bad: str

    def samples(self) -> tuple[Sample, Sample]:
        good, bad = (Sample(self.problem.prompt, text, Finish.STOP) for text in (self.good, self.bad))
        return good, bad


@runtime_checkable
class Contracted(Protocol):
    """A verifier with a contract of its own, for problems other than word problems."""

    @property
    def contract(self) -> Contract: ...


WORDS = Contract(
    Problem(
        "change",
        Prompt.user("Tom buys 4 pens at 3 dollars each and pays with a 20 dollar note. How much change does he get?"),
    ),
    "The 4 pens cost 4 * 3 = 12 dollars.\n\nThe change is 20 - 12 = 8 dollars.\n\nThe answer is \\boxed{8}.",
    "The 4 pens cost 4 + 3 = 7 dollars.\n\nThe change is 20 + 7 = 27 dollars.\n\nThe answer is \\boxed{27}.",
)


class Finding(NamedTuple):
    """A verifier's scores of the right and the wrong solution, or a judge's preferences in both orders.

    `is_right` is `None` if there was no verdict, with the reason in `why`. `can_run` is false if this machine lacks
    what the verifier runs.
    """

    name: str
    good: float | None
    bad: float | None
    is_right: bool | None
    why: str
    can_run: bool = True


async def check(verifier: Verifier) -> Finding:
    """Has a verifier score a right and a wrong solution; the right one must score higher."""
    contract = verifier.contract if isinstance(verifier, Contracted) else WORDS
    try:
        good, bad = await MeteredCalls().score(verifier, contract.problem, contract.samples())
    except UsageError as error:
        return Finding(verifier.name, None, None, None, str(error), can_run=False)
    if good.value is None or bad.value is None:
        return Finding(verifier.name, good.value, bad.value, None, good.why if good.value is None else bad.why)
    if good.value > bad.value:
        return Finding(verifier.name, good.value, bad.value, True, good.why)
    how = "no higher than" if good.value == bad.value else "below"
    why = f"it ranks a right solution ({good.value:.3g}) {how} a wrong one ({bad.value:.3g})"
    return Finding(verifier.name, good.value, bad.value, False, why)


async def check_judge(judge: Judge) -> Finding:
    """Has a judge compare a right and a wrong solution, in both orders."""
    good, bad = WORDS.samples()
    first, second = await judge.prefer(WORDS.problem, [Pair(good, bad), Pair(bad, good)], MeteredCalls())
    if first.first is None or second.first is None:
        return Finding(judge.name, first.first, second.first, None, first.why or second.why)
    if first.first > 0.5 > second.first:
        return Finding(judge.name, first.first, second.first, True, "")
    why = f"it prefers a wrong solution or cannot decide ({first.first:.3g} and {second.first:.3g} for the first shown)"
    return Finding(judge.name, first.first, second.first, False, why + (f": {first.why}" if first.why else ""))
