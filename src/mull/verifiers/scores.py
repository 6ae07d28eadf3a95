"""A judge made of a verifier: the better scored of two is the better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mull.cost import total
from mull.types import Cost, Pair, Preference, Problem, Verifier


@dataclass(frozen=True)
class ScoreJudge:
    """Prefers the reply that a verifier scores higher: what a tournament makes of scores, beside a real judge.

    Equal scores are a tie; where one reply has no score there is no preference.
    """

    verifier: Verifier

    @property
    def name(self) -> str:
        return f"scores:{self.verifier.name}"

    @property
    def identity(self) -> str | None:
        """That of the verifier: scores decide all."""
        inner = self.verifier.identity
        return None if inner is None else f"scores:{inner}"

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        """The verifier's quote for both sides, and one call a comparison at least."""
        quote = self.verifier.quote(problem, [side for pair in pairs for side in (pair.first, pair.second)])
        return replace(quote, calls=None if quote.calls is None else max(quote.calls, len(pairs)))

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> Sequence[Preference]:
        scores = await self.verifier.score(problem, [side for pair in pairs for side in (pair.first, pair.second)])
        found = []
        for first, second in zip(scores[::2], scores[1::2], strict=True):
            cost = total([first.cost, second.cost])
            cost = replace(cost, calls=None if cost.calls is None else max(cost.calls, 1))
            if first.value is None or second.value is None:
                found.append(Preference(None, cost, first.why or second.why))
            else:
                share = 0.5 if first.value == second.value else float(first.value > second.value)
                found.append(Preference(share, cost))
        return found
