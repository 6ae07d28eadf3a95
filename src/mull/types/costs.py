"""What something took, and the ceilings on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)


def _plus(a: Number | None, b: Number | None) -> Number | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took. `None` is unknown, and unknown plus anything is unknown.

    `calls` counts draws and judge calls. `prompt_tokens` are those computed or billed, `cached_tokens`
    those among them that a cache served. `seconds` are the draws' own durations added up: more than the
    time on the clock where draws run side by side. `retries` counts requests made again because they failed;
    what those may have cost is in the other parts.
    """

    calls: int | None = 0
    prompt_tokens: int | None = 0
    output_tokens: int | None = 0
    verifier_tokens: int | None = 0
    cached_tokens: int | None = 0
    flops: float | None = 0.0
    usd: float | None = 0.0
    seconds: float | None = 0.0
    retries: int | None = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            _plus(self.calls, other.calls),
            _plus(self.prompt_tokens, other.prompt_tokens),
            _plus(self.output_tokens, other.output_tokens),
            _plus(self.verifier_tokens, other.verifier_tokens),
            _plus(self.cached_tokens, other.cached_tokens),
            _plus(self.flops, other.flops),
            _plus(self.usd, other.usd),
            _plus(self.seconds, other.seconds),
            _plus(self.retries, other.retries),
        )

    @property
    def tokens(self) -> int | None:
        """Tokens generated, by the model and by verifiers: what `Budget.tokens` caps."""
        return _plus(self.output_tokens, self.verifier_tokens)


@dataclass(frozen=True, slots=True)
class Budget:
    """Ceilings for one run; `None` is no ceiling.

    `calls`: draws and judge calls. `tokens`: tokens generated. `usd`, `flops`: as priced by the model.
    `seconds`: time on the clock from the start of the run.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    flops: float | None = None
    seconds: float | None = None
