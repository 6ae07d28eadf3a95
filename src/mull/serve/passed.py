"""What comes back of a request that is passed on: how long its texts are, which have ended, and what was counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mull.cost import Price
from mull.types import Cost
from mull.wire.replies import MOST_TOKENS, SLACK, Usage, read_usage

TEXTS = ("content", "refusal", "reasoning", "reasoning_content", "thinking")
"""Fields of a message, or of a piece of one, that hold what the model wrote."""


class Passed:
    """The replies to one request, whole or in the pieces of a stream, whose choices are objects.

    `most` is the number of tokens that all of them may have, `most_prompt` that of the prompt (`None`: not known).
    """

    def __init__(self, most: int, most_prompt: int | None = None) -> None:
        self._most, self._most_prompt = most, most_prompt
        self.n_bytes = 0
        """Bytes of the texts: they have no more tokens than that."""
        self.usage = Usage()
        self._seen: set[Any] = set()
        self._ended: set[Any] = set()

    @property
    def n(self) -> int:
        """How many replies there are."""
        return len(self._seen)

    @property
    def is_whole(self) -> bool:
        """Whether every reply that has begun says why it ended."""
        return bool(self._seen) and self._seen == self._ended

    def add(self, told: Mapping[str, Any]) -> None:
        """Adds a whole reply, or an event of a stream."""
        for place, choice in enumerate(told.get("choices") or ()):
            index = choice.get("index")
            index = index if isinstance(index, int) else place
            self._seen.add(index)
            if choice.get("finish_reason"):
                self._ended.add(index)
            said = choice.get("message") or choice.get("delta")
            self.n_bytes += _n_bytes(said) if isinstance(said, dict) else _size(choice.get("text"))
        if isinstance(told.get("usage"), dict):
            self.usage = read_usage(told["usage"])

    @property
    def is_counted(self) -> bool:
        """Whether the server's counts can be true."""
        return None not in (self.counted.prompt, self.counted.output)

    @property
    def counted(self) -> Usage:
        """The counts that can be true; no prompt and no text has 0 tokens."""
        used = self.usage
        prompt, cached = (used.prompt, used.cached) if used.prompt else (None, None)
        if prompt is not None and self._most_prompt is not None and prompt > self._most_prompt + SLACK:
            prompt = cached = None
        output = None if used.output == 0 and self.n_bytes else used.output
        if output is not None and output > self._most:
            output = None
        return Usage(prompt, output, cached, None if output is None else used.reasoning)


def clean(told: Mapping[str, Any]) -> dict[str, Any]:
    """A server's token counts without values that are none, such as texts, negative numbers and NaN, however deep."""
    cleaned = {}
    for name, value in told.items():
        if isinstance(value, dict):
            cleaned[name] = clean(value)
        elif value is None or (_is_count(value) if name.endswith("_tokens") else _is_plain(value)):
            cleaned[name] = value
    return cleaned


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_TOKENS


def _is_plain(value: Any) -> bool:
    """Whether a further value, such as a price or the name of a tier, can be told as JSON."""
    return not isinstance(value, float) or (math.isfinite(value) and value >= 0)


def are_objects(told: Any) -> bool:
    """Whether it is a list of objects."""
    return isinstance(told, list) and all(isinstance(one, dict) for one in told)


def are_choices(told: Any) -> bool:
    """Whether it is a list of choices, each with a reason to end that is a text, or none yet."""
    return are_objects(told) and all(isinstance(one.get("finish_reason"), str | None) for one in told)


def _n_bytes(said: Mapping[str, Any]) -> int:
    n = sum(_size(said.get(name)) for name in TEXTS)
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            n += _size(function.get("name")) + _size(function.get("arguments"))
    return n


def _size(value: Any) -> int:
    """The bytes of a text, or of the texts of a list of parts."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, list):
        return sum(_size(part.get("text")) for part in value if isinstance(part, dict))
    return 0


def as_bound(told: Mapping[str, Any] | None, most: Cost) -> dict[str, Any]:
    """Token counts for the client where the server's cannot be true: the most that there can be, marked as such.

    What the server says of parts of them is left out.
    """
    own = {name: value for name, value in told.items() if not name.endswith("_details")} if told else {}
    prompt, output = most.prompt_tokens or 0, most.output_tokens or 0
    counts = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return {**own, **counts, "mull": {"is_bound": True}}


def most_of(price: Price, n_prompt: int, n_output: int, n: int) -> Cost:
    """The most that `n` replies cost whose tokens are at most these."""
    cost = price.cost(n_prompt, n_output)
    return Cost(n, cost.prompt_tokens, cost.output_tokens, 0, None, cost.flops, cost.usd)
