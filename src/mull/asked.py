"""What is asked of a model, and the budget held for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mull.errors import UsageError
from mull.types import Cost, Params, Prompt


def check_asked(prompt: Prompt, n: int, params: Params) -> None:
    """Refuses what no model could answer."""
    if n < 1:
        raise UsageError(f"the number of draws must be at least 1, not {n}")
    if not any(message.content.strip() for message in prompt.messages):
        raise UsageError("the prompt is empty")
    if not params.temperature >= 0:
        raise UsageError(f"the temperature must be 0 or more, not {params.temperature}")
    if params.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {params.max_tokens}")
    if not 0 < params.top_p <= 1:
        raise UsageError(f"top_p must be above 0 and at most 1, not {params.top_p}")
    if params.top_k < 0:
        raise UsageError(f"top_k must be 0 (off) or more, not {params.top_k}")


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each."""

    quote: Cost
    n: int


class Ask(NamedTuple):
    """So many draws of one question."""

    prompt: Prompt
    n: int
    params: Params
