"""What is declared: what a strategy needs, how it spends draws and selects among them, and which options are files."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Need(StrEnum):
    """A requirement of a strategy; a run that does not meet it refuses the strategy before spending anything."""

    VERIFIER = "verifier"
    STEPS = "steps"
    """A verifier that scores steps; declare `VERIFIER` as well."""
    JUDGE = "judge"
    EXECUTOR = "executor"
    CONTINUATION = "continuation"
    """A model that continues a partial reply (`Prompt.prefix`)."""
    BIAS = "bias"
    """A model that supports `Params.logit_bias`."""
    THINKING_BUDGET = "thinking budget"
    """A model that enforces `Params.thinking_tokens`."""


NO_NEEDS: frozenset[Need] = frozenset()
OF_MODEL = frozenset({Need.CONTINUATION, Need.BIAS, Need.THINKING_BUDGET})
"""Needs that only the model can meet, whichever verifier, judge or executor the run has."""


class Scaling(StrEnum):
    """How a strategy spends draws."""

    PARALLEL = "parallel"
    """Independent replies: no draw sees another one."""
    SEQUENTIAL = "sequential"
    """One reply is extended, or a draw sees an earlier one."""
    TREE = "tree"
    """Partial replies branch, and the promising ones continue."""


class Selection(StrEnum):
    """How a strategy selects among its draws."""

    NONE = "none"
    """No selection: there is one reply, or the first acceptable one is taken."""
    VOTES = "votes"
    """By votes over answers, over program behaviours, or by a judge's or a model's comparisons."""
    SCORES = "scores"
    """By scores: the verifier's if the run has one, or those of public tests."""


A_FILE: Mapping[str, bool] = MappingProxyType({"is_file": True})
"""The metadata of a field of a spec that is the path of a file or folder: in `mull.toml` it goes from there."""
