"""A judge from a verifier: it prefers the higher score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mull.cost import total
from mull.types import Calls, Cost, Pair, Preference, Problem, Verifier


@dataclass(frozen=True)
class ScoreJudge:
    """Prefers the reply that a verifier scores higher; runs tournaments on scores, for comparison with a judge.

    Equal scores are a tie; if a reply has no score there is no preference.
    """

    verifier: Verifier

    @property
    def name(self) -> str:
        return f"scores:{self.verifier.name}"

    @property
    def identity(self) -> str | None:
        """The verifier's identity: the preference depends only on its scores."""
        inner = self.verifier.identity
        return None if inner is None else f"scores:{inner}"

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        """One call per comparison if the verifier quotes none; otherwise nothing beyond the verifier's own quote."""
        return Cost(calls=len(pairs) if self._counts(problem, pairs) else 0)

    def _counts(self, problem: Problem, pairs: Sequence[Pair]) -> bool:
        return self.verifier.quote(problem, [side for pair in pairs for side in (pair.first, pair.second)]).calls == 0

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        sides = [side for pair in pairs for side in (pair.first, pair.second)]
        scores = await calls.score(self.verifier, problem, sides)
        counts = self._counts(problem, pairs)
        found = []
        for first, second in zip(scores[::2], scores[1::2], strict=True):
            drawn = total([first.cost, first.drawn, second.cost, second.drawn])
            # A comparison is a call, unless scoring its sides made some.
            cost = Cost(calls=int(counts and drawn.calls == 0))
            if first.value is None or second.value is None:
                found.append(Preference(None, cost, first.why or second.why, drawn=drawn))
            else:
                share = 0.5 if first.value == second.value else float(first.value > second.value)
                found.append(Preference(share, cost, drawn=drawn))
        return found
