"""Self-certainty: the divergence of token distributions from the uniform one, and the vote by its ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from mull import Draw, Params, Prompt, Run, Sample, UsageError
from mull.errors import ModelError
from mull.strategies.certainty import SelfCertainty
from mull.testing import FakeModel, solve


@dataclass
class Certain(FakeModel):
    """Draw i answers `answers[i]` in two tokens, the first of them with probability `certain[i]` over two tokens."""

    answers: str = "abbc"
    certain: Sequence[float | None] = (0.99, 0.7, 0.6, 0.9)

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        sample = super()._draw(prompt, params, draw)
        return replace(sample, text=f"answer: {self.answers[draw.number]}", cost=self._cost(2))

    async def sample(self, prompt, params, draws, purse):  # type: ignore[no-untyped-def]
        async for sample in super().sample(prompt, params, draws, purse):
            p = self.certain[sample.draw]
            tops = None if p is None else ((("x", math.log(p)), ("y", math.log(1 - p))),) * 2
            yield replace(sample, alternatives=tops)


def divergence(p: float) -> float:
    """The divergence of the uniform distribution over two tokens from (p, 1 - p)."""
    return 0.5 * math.log(0.5 / p) + 0.5 * math.log(0.5 / (1 - p))


@pytest.mark.parametrize(("p", "answer"), [(0.0, "b"), (1.0, "a"), (0.2, "b"), (9.0, "a")])
def test_ranks_by_divergence_weigh_the_votes(p: float, answer: str) -> None:
    model = Certain()
    outcome = solve(SelfCertainty(4, p, 2), Run(model, params=Params(max_tokens=48)))
    order = sorted(range(4), key=lambda i: -divergence(model.certain[i] or 0))
    weights = {i: ((4 - rank) / 4) ** p for rank, i in enumerate(order)}
    expected = {name: sum(w for i, w in weights.items() if model.answers[i] == name) for name in "abc"}
    assert dict(outcome.tally) == pytest.approx(expected)
    assert max(expected, key=expected.__getitem__) == answer == outcome.answer


def test_a_reply_without_log_probabilities_has_no_weight_and_is_counted() -> None:
    model = Certain(certain=(None, 0.7, 0.6, 0.9))
    outcome = solve(SelfCertainty(4, 0.5, 2), Run(model, params=Params(max_tokens=48)))
    assert (outcome.answer, outcome.notes["unweighted"]) == ("b", 1)
    assert "a" not in dict(outcome.tally)
    with pytest.raises(ModelError, match="2 likeliest tokens instead of 5"):
        solve(SelfCertainty(4, 1, 5), Run(Certain(), params=Params(max_tokens=48)))
    with pytest.raises(UsageError, match="power of a rank"):
        SelfCertainty(p=-1)
