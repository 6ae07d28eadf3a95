"""What a pilot counts."""

import pytest

from mull.advice import pilots
from mull.models.embedded import Nano
from mull.tasks.synthetic import ChainTask
from mull.types import Params


@pytest.mark.parametrize(("tokens", "draws"), [(None, 2), (81, 2), (79, 1), (50, 1)])
def test_a_draw_that_the_ceiling_cut_off_is_not_counted(tokens: int | None, draws: int) -> None:
    """Also where it is the last of those asked for. Each draw here ends at its own limit of 40 tokens."""
    made = pilots.make(
        ChainTask(2),
        Nano(),
        pilots.Size(1, 2),
        verifier=None,
        strategies={},
        tokens=tokens,
        params=Params(max_tokens=40),
        seed=0,
        bank=None,
        tick=lambda: None,
    )
    assert [sample.output_tokens for one in made.pilot.problems for sample in one.samples] == [40] * draws
    assert made.spent.tokens == min(80, tokens or 80)
