"""Two presets on the same draws, each held to the same ceiling: `mull.compare`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mull.bank import Bank, MemoryBank
from mull.run.wallet import Wallet
from mull.serve.answering import ChatAnswer, Observed, answers
from mull.serve.plans import ChatPlan
from mull.types import Cost, Params, Problem, Prompt


class PaidWallet(Wallet):
    """The wallet of several runs that share draws: what one of them paid, the others take for nothing."""

    def pay(self, cost: Cost, quote: Cost, fresh: Cost | None) -> None:
        """Books the part that is paid now; a draw that was banked costs nothing."""
        if fresh is not None:
            super().pay(fresh, quote, fresh)


@dataclass(frozen=True)
class Side:
    """What one preset made of the request. Its wallet counts every draw that it used, whoever paid for it."""

    plan: ChatPlan
    answer: ChatAnswer
    wallet: Wallet

    @property
    def told(self) -> dict[str, Any]:
        """This side as the client gets it."""
        spent, outcome = self.wallet.spent, self.answer.outcome
        preset = self.plan.entry.preset
        return {
            "preset": None if preset is None else preset.name,
            "strategy": self.plan.name,
            "text": None if self.answer.is_abstained else self.answer.best.reply,
            "answer": outcome.answer,
            "chosen_by": self.answer.chosen_by,
            "confidence": self.answer.confidence,
            "confidence_is": self.answer.confidence_is,
            "draws": len(outcome.candidates),
            "stopped": outcome.stopped.value,
            "incomplete": self.answer.is_incomplete,
            "abstained": self.answer.is_abstained,
            "why": self.answer.why,
            "spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd},
        }


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

    Raises what `answers` raises.
    """
    shared: Bank = MemoryBank() if bank is None else bank
    sides = []
    for side in plan.sides:
        own = Wallet(side.budget, wallet)
        (answer,) = await answers(side, prompt, params, own, seed=seed, bank=shared, begin=begin)
        sides.append(Side(side, answer, own))
    return sides
