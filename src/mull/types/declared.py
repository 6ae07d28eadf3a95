"""What a strategy says of itself: what it needs, how it spends draws, and how it selects among them."""

from __future__ import annotations

from enum import StrEnum


class Need(StrEnum):
    """What a strategy cannot do without; a run that lacks it refuses the strategy before anything is spent."""

    VERIFIER = "verifier"
    STEPS = "steps"
    """A verifier that scores steps; `VERIFIER` is needed as well."""
    JUDGE = "judge"
    EXECUTOR = "executor"
    CONTINUATION = "continuation"
    """A model that goes on from a partial reply (`Prompt.prefix`)."""
    BIAS = "bias"
    """A model that takes `Params.logit_bias`."""
    THINKING_BUDGET = "thinking budget"
    """A model that keeps to `Params.thinking_tokens`."""


NO_NEEDS: frozenset[Need] = frozenset()
OF_MODEL = frozenset({Need.CONTINUATION, Need.BIAS, Need.THINKING_BUDGET})
"""Needs that the model meets, whatever verifier, judge or executor there is."""


class Scaling(StrEnum):
    """How a strategy spends draws."""

    PARALLEL = "parallel"
    """Independent replies: no draw is shown what another said."""
    SEQUENTIAL = "sequential"
    """One reply is made longer, or a draw is shown what an earlier one said."""
    TREE = "tree"
    """Unfinished replies branch, and the promising ones go on."""


class Selection(StrEnum):
    """How a strategy selects among what it drew."""

    NONE = "none"
    """It does not: one reply is all there is, or the first that will do."""
    VOTES = "votes"
    """By votes: of answers, of what programs do, of a judge's or a model's comparisons."""
    SCORES = "scores"
    """By scores: those of the verifier where the run has one, or of public tests."""
