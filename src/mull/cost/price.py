"""What a model's tokens are priced at."""

from __future__ import annotations

from dataclasses import dataclass

from mull.cost.flops import Architecture
from mull.types import Cost

PRICED_BY = {"usd": "usd_per_mtok_in and usd_per_mtok_out", "flops": "active_params or architecture"}
"""What a table of `mull.toml` has to say of a model, for its cost to be known in these."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost; `None` is unknown.

    FLOPs are exact where `architecture` is known (`mull.cost.flops`). Where only `active_params` are known, they are 2
    per parameter and token computed, which leaves attention out.
    """

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    active_params: float | None = None
    usd_per_mtok_cached: float | None = None
    """Of prompt tokens that a cache served; `None`: the same as of others."""
    architecture: Architecture | None = None

    def cost(self, prompt_tokens: int | None, output_tokens: int | None, cached_tokens: int | None = 0) -> Cost:
        """The cost of one draw; cached prompt tokens are billed but not computed.

        Where nobody told how many were cached, all count as billed in full and computed. What is free is so
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
