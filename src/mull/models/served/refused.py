"""What a server's refusal of a plain request says: which field to leave out."""

from __future__ import annotations

import re
from dataclasses import replace

from mull.models.served import backends
from mull.models.served.capabilities import Capabilities

SAMPLING = ("top_p", "temperature")
"""Fields that some hosted models refuse: together, so that one is left out first, or altogether."""
ADAPTIVE = "adaptive"
"""Stands for the field that lets a model of the Messages API think as much as it sees fit."""
BUDGET = re.compile(r"\b1,?024\b")


def adapted(can: Capabilities, words: str) -> Capabilities | None:
    """What a server can do after it refused a plain request with these words; `None`: nothing is left to leave out.

    Fields that the words name come first, then all that mull adds by itself to switch off the server's own filters.
    """
    extra = backends.named(can.backend).plain
    named = [name for name in extra if name in words and name not in can.rejects]
    if "max_completion_tokens" in words and can.length == "max_tokens":
        return replace(can, length="max_completion_tokens")
    if named:
        return replace(can, rejects=(*can.rejects, *named))
    for name in (*SAMPLING, ADAPTIVE):
        if name in words and name not in can.rejects:
            return replace(can, rejects=(*can.rejects, name))
    if set(extra) - set(can.rejects):
        return replace(can, rejects=tuple({*can.rejects, *extra}))
    return None


def least_budget(words: str) -> int | None:
    """The smallest thinking budget, if a refusal says that it is Anthropic's; `None`: it says something else."""
    return 1024 if BUDGET.search(words) else None
