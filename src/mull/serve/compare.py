"""Two presets on the same draws, each held to the same ceiling: `mull.compare`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mull.bank import Bank, MemoryBank
from mull.run.wallet import Wallet
from mull.serve.answering import CUT_SHORT_AS, Observed, answers
from mull.serve.choosing import ChatAnswer
from mull.serve.faults import ApiError
from mull.serve.plans import ChatPlan
from mull.serve.shapes import verdict
from mull.types import Params, Problem, Prompt


@dataclass(frozen=True)
class Side:
    """What one preset made of the request. Its wallet counts every draw that it used, whoever paid for it.

    `answer` is the error where the budget or the seconds did not allow one.
    """

    plan: ChatPlan
    answer: ChatAnswer | ApiError
    wallet: Wallet

    @property
    def told(self) -> dict[str, Any]:
        """This side as the client gets it."""
        spent, preset = self.wallet.spent, self.plan.entry.preset
        return {
            "preset": None if preset is None else preset.name,
            "strategy": self.plan.name,
            **(_without(self.answer) if isinstance(self.answer, ApiError) else _with(self.answer)),
            "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        }


def _with(answer: ChatAnswer) -> dict[str, Any]:
    return {"text": None if answer.is_abstained else answer.best.reply, **verdict(answer)}


def _without(error: ApiError) -> dict[str, Any]:
    names = ("text", "answer", "chosen_by", "confidence", "confidence_is", "stopped")
    return {**dict.fromkeys(names), "draws": 0, "incomplete": True, "abstained": False, "why": error.message}


async def compared(
    plan: ChatPlan,
    prompt: Prompt,
    params: Params,
    wallet: Wallet,
    *,
    seed: int,
    bank: Bank | None,
    begin: Callable[[ChatPlan, Problem], Observed],
) -> list[Side]:
    """Runs the sides of a plan one after the other, over one bank: a later side takes the draws of an earlier one.

    Raises what `answers` raises for the first; a later one that has no room must not lose what that has cost.
    """
    shared: Bank = MemoryBank() if bank is None else bank
    sides: list[Side] = []
    for side in plan.sides:
        own = Wallet(side.budget, wallet)
        answer: ChatAnswer | ApiError
        try:
            (answer,) = await answers(side, prompt, params, own, seed=seed, bank=shared, begin=begin)
        except ApiError as error:
            if not sides or error.code not in CUT_SHORT_AS:
                raise
            answer = error
        sides.append(Side(side, answer, own))
    return sides
