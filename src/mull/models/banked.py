"""What a bank already holds of a model that is not at hand, such as one whose samples were imported."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from mull.types import Cost, Draw, Params, Prompt, Purse, Sample
from mull.types.refusals import CONTINUES


@dataclass(frozen=True)
class BankedModel:
    """Has only the draws that are in the bank under its name, as `mull bank import` files them, and makes no more."""

    model: str

    @property
    def name(self) -> str:
        return self.model

    @property
    def identity(self) -> str:
        return self.model

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        """Nothing but new draws: what the bank has is replayed whatever it was."""
        return CONTINUES if prompt.prefix else None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, None, params.max_tokens, 0, None, None, None, None)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        if False:
            yield  # an asynchronous iterator over nothing
