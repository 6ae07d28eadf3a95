"""A deployment in use: the connections of one event loop to its servers, and their capabilities."""

from __future__ import annotations

import asyncio

from mull.models.served import anthropic
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.wire.kept import kept
from mull.wire.link import Link


class Opened:
    """A deployment and the link to its servers.

    `can` is what the servers can do (`None`: not probed yet); `token_ids` caches the id of each text's first token.
    `most_n` is the most replies that a request was found to be allowed (`None`: no limit was met). `named` is the
    deployment with the server's own name of the model. `length` is the field by which the server was found to limit a
    reply (`None`: not known without a probe). `lock` is held during the probe, so that it runs once.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        is_anthropic = deployment.api == "anthropic"
        self.link = Link(
            deployment.urls,
            deployment.key(),
            deployment.limits,
            key_in=anthropic.KEY_HEADER if is_anthropic else None,
            headers=anthropic.HEADERS if is_anthropic else {},
        )
        self.lock = asyncio.Lock()
        self.can: Capabilities | None = None
        self.token_ids: dict[str, int] = {}
        self.most_n: int | None = None
        self.named = deployment
        self.length: str | None = None

    def width(self, can: Capabilities, n: int) -> int:
        """How many of `n` draws of a prompt share a request.

        Where the server generates only so many replies at once, half as many share one if there are more draws: a new
        request begins when half of the replies have ended, not all.
        """
        allowed = [self.deployment.most_n, self.most_n, can.most_n, can.slots]
        most = min(limit for limit in allowed if limit is not None)
        return max(1, most // 2) if can.slots == most and n > most else most

    async def close(self) -> None:
        await self.link.close()


async def opened(deployment: Deployment) -> Opened:
    """This event loop's connections to a deployment. Raises `UsageError` if the API key cannot be read."""
    return await kept(deployment, lambda: Opened(deployment))
