"""A model of which only banked draws are available, such as one whose samples were imported."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from mull.types import Cost, Draw, Params, Prompt, Purse, Sample


@dataclass(frozen=True)
class BankedModel:
    """Serves only the draws banked under its name, as `mull bank import` stores them, and makes no new ones.

    Every banked draw is replayed, whatever its parameters, and continuations of partial replies too.
    """

    model: str

    @property
    def name(self) -> str:
        return self.model

    @property
    def identity(self) -> str:
        return self.model

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, None, params.max_tokens, 0, None, None, None, None)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        if False:
            yield  # an asynchronous iterator over nothing
