"""A reply falls into steps without a loss, and their scores fold as the papers say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.errors import UnknownNameError, UsageError
from mull.replies.steps import fold, split


@given(st.text("ab \n", max_size=30), st.sampled_from(["\n", "\n\n"]))
def test_steps_join_to_the_reply_and_none_is_blank(reply: str, separator: str) -> None:
    steps = split(reply, separator)
    assert "".join(steps) == reply
    assert all(step.strip() for step in steps) or len(steps) == 1
    assert all(step.endswith(separator) for step in steps[:-1] if not step.isspace())


def test_separators_in_a_row_end_one_step() -> None:
    assert split("a\n\nb\n\n\n\nc") == ["a\n\n", "b\n\n\n\n", "c"]
    assert split("one line") == ["one line"]
    assert split("\n\na\n\nb\n\n") == ["\n\na\n\n", "b\n\n"]
    assert split("a\nb", "\n") == ["a\n", "b"]
    assert split("") == []
    with pytest.raises(UsageError, match="separator"):
        split("a", "")


def test_folds_by_hand() -> None:
    scores = [0.9, 0.5, 0.8]
    assert [fold(scores, how) for how in ("last", "min", "prod", "mean")] == pytest.approx([0.8, 0.5, 0.36, 2.2 / 3])
    assert fold([0.9, 0.0], "prod") == 0.0


@pytest.mark.parametrize(
    ("scores", "product", "least", "last", "mean"),
    [
        ((0.9, 0.8, 0.95, 0.7), 0.4788, 0.7, 0.7, 0.8375),
        ((0.99, 0.95, 0.6, 0.97), 0.547371, 0.6, 0.97, 0.8775),
        ((0.98,) * 10, 0.8171, 0.98, 0.98, 0.98),
        ((0.98,) * 40, 0.4457, 0.98, 0.98, 0.98),
        ((0.90 + 0.06, 0.60 + 0.30), 0.864, 0.9, 0.9, 0.93),  # Lightman et al.: a neutral step counted as right ...
        ((0.90, 0.60), 0.54, 0.6, 0.6, 0.75),  # ... and as wrong
    ],
)
def test_folds_of_the_papers(scores: tuple[float, ...], product: float, least: float, last: float, mean: float) -> None:
    """The product punishes length: 40 steps that are as good as 10 count about half."""
    found = [fold(scores, how) for how in ("prod", "min", "last", "mean")]
    assert found == pytest.approx([product, least, last, mean], abs=5e-5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_folds_are_scores_and_ordered(scores: list[float]) -> None:
    product, least, mean = (fold(scores, how) for how in ("prod", "min", "mean"))
    assert 0 <= product <= least * (1 + 1e-9) <= mean * (1 + 1e-9) ** 2
    assert product == pytest.approx(math.prod(scores), rel=1e-9, abs=1e-300)


def test_what_cannot_be_folded_is_said() -> None:
    with pytest.raises(UsageError, match="without steps"):
        fold([])
    with pytest.raises(UsageError, match="between 0 and 1"):
        fold([1.5])
    with pytest.raises(UnknownNameError, match="did you mean 'prod'"):
        fold([0.5], "product")  # type: ignore[arg-type]
