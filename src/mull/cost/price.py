"""The price of a model's tokens."""

from __future__ import annotations

from dataclasses import dataclass

from mull.cost.flops import Architecture
from mull.types import Cost

PRICED_BY = {"usd": "usd_per_mtok_in and usd_per_mtok_out", "flops": "active_params or architecture"}
"""The keys that a model's table in `mull.toml` needs so that its cost in each unit is known."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model's tokens; `None` is unknown.

    FLOPs are exact if `architecture` is known (`mull.cost.flops`). If only `active_params` is known, they are 2 per
    parameter and computed token, which leaves attention out.
    """

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    active_params: float | None = None
    usd_per_mtok_cached: float | None = None
    """Price of cached prompt tokens; `None`: the same as `usd_per_mtok_in`."""
    architecture: Architecture | None = None

    def cost(self, prompt_tokens: int | None, output_tokens: int | None, cached_tokens: int | None = 0) -> Cost:
        """The cost of one draw; cached prompt tokens are billed but not computed.

        If the number of cached tokens is unknown, all count as computed and billed in full. A free model costs 0
        however many tokens there were.
        """
        usd = flops = None
        if self.usd_per_mtok_in == self.usd_per_mtok_out == 0 and not self.usd_per_mtok_cached:
            usd = 0.0
        if prompt_tokens is not None and output_tokens is not None:
            n_cached = cached_tokens or 0
            if self.usd_per_mtok_in is not None and self.usd_per_mtok_out is not None:
                cached = self.usd_per_mtok_in if self.usd_per_mtok_cached is None else self.usd_per_mtok_cached
                paid = (prompt_tokens - n_cached) * self.usd_per_mtok_in + n_cached * cached
                usd = (paid + output_tokens * self.usd_per_mtok_out) / 1e6
            if self.architecture is not None:
                flops = float(self.architecture.draw(prompt_tokens, output_tokens, n_cached))
            elif self.active_params is not None:
                flops = 2.0 * self.active_params * (prompt_tokens - n_cached + output_tokens)
        return Cost(1, prompt_tokens, output_tokens, 0, cached_tokens, flops, usd, None)
