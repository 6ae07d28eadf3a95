"""Short requests of the probe: each is retried as the limits allow, and booked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mull.cost import total
from mull.errors import ModelError
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment, bound
from mull.models.served.requests import ask, merged
from mull.types import Cost, Params, Prompt
from mull.wire.body import encode
from mull.wire.endpoints import Endpoint
from mull.wire.faults import Broken, Refused, Rejected, Unusable
from mull.wire.link import Link
from mull.wire.replies import Reply
from mull.wire.routes import COMPLETIONS

TOKENS = 24


class Asker:
    """Asks a server short questions as far as is known what it can do (`_can`); `cost` is the cost so far."""

    def __init__(self, deployment: Deployment, link: Link, seen: Capabilities) -> None:
        self._deployment, self._link, self._can = deployment, link, seen
        self._costs: list[Cost] = []
        self._refusal = ""
        """The words of the last refusal."""

    @property
    def cost(self) -> Cost:
        return total(self._costs)

    async def _say(
        self,
        prompt: Prompt,
        *,
        temperature: float = 0.0,
        stop: tuple[str, ...] = (),
        raw: str | None = None,
        fields: Mapping[str, Any] | None = None,
        can: Capabilities | None = None,
        stream: bool = False,
    ) -> Reply:
        """One short reply. Raises `Rejected`, or `ModelError` if the server cannot be used."""
        # Request whole replies, whatever the deployment's setting: only `_find_stream` tests streams.
        asked = ask(
            replace(self._deployment, stream=False),
            prompt,
            Params(self._warmth(temperature), TOKENS, stop),
            can or self._can,
        )
        told = merged(json.loads(asked.body(1, None)), fields or {})
        if raw is not None:
            told.pop("messages")
            told["prompt"] = raw
        body, path = encode(told), asked.path if raw is None else COMPLETIONS
        stream = stream or asked.is_streamed

        async def one(endpoint: Endpoint, retry: int) -> Reply:
            started = time.monotonic()
            reply = await self._link.attempt(endpoint, path, body, retry=retry, most_bytes=1 << 20, stream=stream)
            reply.usage = usage = reply.usage.within(bound(prompt, None), TOKENS)
            cost = self._deployment.price.cost(usage.prompt, usage.output, usage.cached)
            seconds = time.monotonic() - started
            self._costs.append(replace(cost, seconds=seconds))
            if usage.output and seconds > 0:
                self._can = replace(self._can, rate=max(self._can.rate or 0.0, usage.output / seconds))
            return reply

        try:
            reply = await self._link.repeat(one, self._broke)
        except Unusable as error:
            raise ModelError(f"{self._deployment.name}: {error}", error.wait) from error
        except (Refused, Broken) as error:
            what = f"{self._deployment.name}: {self._deployment.urls[0]} does not answer: {error}"
            raise ModelError(what, error.wait if isinstance(error, Refused) else None) from error
        if raw is None and not prompt.prefix and reply.usage.prompt is not None:
            self._can = replace(self._can, overhead=max(self._can.overhead or 0, reply.usage.prompt))
        return reply

    def _warmth(self, temperature: float) -> float:
        """The temperature, or the next one that the server accepts."""
        if "temperature" in self._can.rejects:
            return 1.0
        return min(temperature, 1.0) if self._deployment.api == "anthropic" else temperature

    def _broke(self, seconds: float) -> None:
        unknown = replace(self._deployment.price.cost(None, None, None), calls=0, seconds=seconds)
        self._costs.append(replace(unknown, retries=1))

    async def _tries(self, prompt: Prompt, **options: Any) -> Reply | None:
        """One short reply; `None` if the server rejects the request."""
        try:
            return await self._say(prompt, **options)
        except Rejected as error:
            self._refusal = str(error)
            return None

    async def _may(self, prompt: Prompt, **options: Any) -> Reply | None:
        """One short reply to a request that few servers support; `None` if it is rejected or keeps failing.

        A server that is away or asks to wait has said nothing of the request.
        """
        try:
            return await self._tries(prompt, **options)
        except ModelError as error:
            if isinstance(error.__cause__, Broken):
                return None
            raise
