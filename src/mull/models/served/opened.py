"""A deployment in use: the connections of one event loop to its servers, and their capabilities."""

from __future__ import annotations

import asyncio

from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.wire.kept import kept
from mull.wire.link import Link


class Opened:
    """A deployment and the link to its servers.

    `can` is what the servers can do (`None`: not probed yet); `token_ids` caches the id of each text's first token.
    `lock` is held during the probe, so that it runs once.
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
    """This event loop's connections to a deployment. Raises `UsageError` if the API key cannot be read."""
    return await kept(deployment, lambda: Opened(deployment))
