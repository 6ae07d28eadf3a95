"""The connections of one event loop to a model's servers, and what they were found to be able to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mull.models.served.capabilities import Capabilities
from mull.wire.endpoints import Limits
from mull.wire.link import Link


class Connection(Link):
    """A link to a model's endpoints with what has been found out over it; `lock` is held while finding out."""

    def __init__(self, urls: Sequence[str], key: str | None, limits: Limits) -> None:
        super().__init__(urls, key, limits)
        self.lock = asyncio.Lock()
        self.can: Capabilities | None = None
        self.token_ids: dict[str, int] = {}
        """The first token of texts that were asked for."""
