"""A deployment in use: the connections of one event loop to its servers, and what was found out over them."""

from __future__ import annotations

import asyncio

from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.wire.kept import kept
from mull.wire.link import Link


class Opened:
    """A deployment and the link to its servers.

    `can` is what the servers can do (`None`: not found out yet), `token_ids` the first token of each text that was
    asked for. `lock` is held while finding out, so that it is done once.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.link = Link(deployment.urls, deployment.key(), deployment.limits)
        self.lock = asyncio.Lock()
        self.can: Capabilities | None = None
        self.token_ids: dict[str, int] = {}

    async def close(self) -> None:
        await self.link.close()


async def opened(deployment: Deployment) -> Opened:
    """What this event loop has open of a deployment. Raises `UsageError` if there is no key to be read."""
    return await kept(deployment, lambda: Opened(deployment))
