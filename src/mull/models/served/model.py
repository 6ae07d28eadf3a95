"""Any model behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from mull.cost import Price
from mull.errors import UsageError
from mull.models.served.capabilities import Capabilities
from mull.models.served.requests import ask, bound
from mull.models.served.template import ChatTemplate
from mull.types import Cost, Draw, Params, Prompt, Purse, Sample
from mull.wire.endpoints import Limits

if TYPE_CHECKING:
    from mull.models.served.connection import Connection

_links: WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[OpenAIModel, tuple[AsyncGenerator[Connection, None], Connection]]
] = WeakKeyDictionary()


@dataclass(frozen=True)
class OpenAIModel:
    """A model behind one or several OpenAI-compatible endpoints (`urls`, which end in `/v1` as a rule).

    `served` is what the server calls it. Where the server can, `most_n` draws at most share a request, so that
    their prompt is paid for once (`use_n`); such draws have no seed of their own. `stream`: `None` streams where
    that lets a reply be stopped early. `extra_body`, JSON, goes into every request. Draws are banked under
    `bank_as`, so that a server may move. The key is read from the variable `api_key_env` when it is needed.
    """

    name: str
    urls: tuple[str, ...]
    served: str
    api: Literal["chat", "completions"] = "chat"
    api_key_env: str | None = None
    price: Price = field(default_factory=Price)
    limits: Limits = field(default_factory=Limits)
    use_n: bool = True
    most_n: int = 16
    stream: bool | None = None
    template: ChatTemplate | None = None
    extra: str = "{}"
    bank_as: str = ""

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError(f"{self.name}: no base_url")
        object.__setattr__(self, "urls", tuple(map(clean_url, self.urls)))

    @cached_property
    def identity(self) -> str:
        name = self.bank_as or f"{self.served}@{self.urls[0]}"
        odd: list[str] = [] if self.api == "chat" else [self.api]
        if self.extra_body:
            odd.append(hashlib.blake2b(self.extra.encode(), digest_size=6).hexdigest())
        return "/".join([name, *odd])

    @cached_property
    def extra_body(self) -> Mapping[str, Any]:
        body: Mapping[str, Any] = json.loads(self.extra)
        return body

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server can do, as it was found out; `None` while nobody has looked."""
        from mull.models.served import hello as probe

        return probe.known(self)

    @property
    def can_continue(self) -> bool:
        """Whether it was found to go on from a partial reply; `prepare` finds out."""
        return self.api == "completions" or (self.capabilities or Capabilities()).continues is not None

    @property
    def why_no_continuation(self) -> str:
        can = self.capabilities
        if can is None:
            return "nobody has looked yet what its server can do: mull list models --probe, or await model.prepare()"
        return can.why

    @property
    def can_bias(self) -> bool:
        """Whether it was found to add `Params.logit_bias`; `prepare` finds out."""
        return (self.capabilities or Capabilities()).biases is not None

    @property
    def why_no_bias(self) -> str:
        if self.capabilities is None:
            return "nobody has looked yet what its server can do: mull list models --probe, or await model.prepare()"
        return "its server ignores logit_bias, or tells no token's number (POST /tokenize)"

    @property
    def can_limit_thinking(self) -> bool:
        """Whether it was found to keep to `Params.thinking_tokens`; `prepare` finds out."""
        return (self.capabilities or Capabilities()).limits is not None

    @property
    def why_no_thinking_budget(self) -> str:
        can = self.capabilities
        if can is None:
            return "nobody has looked yet what its server can do: mull list models --probe, or await model.prepare()"
        remedy = "use force:at_most=..." if self.can_continue else "name a field that it keeps to in extra_body"
        if can.ignores:
            return f"its server takes {', '.join(can.ignores)} and thinks as long as without; {remedy}"
        return f"no field was found that limits its thought, if it thinks at all; {remedy}"

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that a draw can cost; a prompt has no more tokens than bytes, and what its template adds."""
        return self.price.cost(bound(prompt, self.capabilities), params.max_tokens)

    async def prepare(self, purse: Purse | None = None) -> None:
        """Finds out what the server can do, unless that was found out before. Raises `ModelError` or `UsageError`."""
        from mull.models.served import hello as probe

        if self.capabilities is None:
            await probe.greet(self, await self.link(), purse)

    async def link(self) -> Connection:
        """The connections of this event loop; they are closed when it shuts down its asynchronous generators."""
        loop = asyncio.get_running_loop()
        links = _links.setdefault(loop, {})
        if self not in links:
            keeper = self._keep()
            links[self] = keeper, await anext(keeper)
        return links[self][1]

    async def _keep(self) -> AsyncGenerator[Connection, None]:
        from mull.models.served.connection import Connection

        link = Connection(self.urls, self._key(), self.limits)
        try:
            yield link
        finally:
            _links.get(asyncio.get_running_loop(), {}).pop(self, None)
            await link.close()

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise UsageError(f"{self.name}: the environment variable {self.api_key_env} (api_key_env) is not set")
        if not key.isascii() or not key.isprintable():
            raise UsageError(f"{self.name}: what {self.api_key_env} (api_key_env) holds is no key: it cannot be sent")
        return key

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], lost: Callable[[Cost], None]
    ) -> AsyncGenerator[Sample, None]:
        from mull.models.served import hello as probe
        from mull.models.served.drawing import Batch

        purse = lost if isinstance(lost, Purse) else None
        link = await self.link()
        can = link.can or await probe.greet(self, link, purse)
        token_ids = await probe.first_tokens(self, link, [text for text, _ in params.logit_bias], can)
        asked = ask(self, prompt, params, can, token_ids)
        width = self.most_n if self.use_n and can.n and not asked.cut_at else 1
        arrived: asyncio.Queue[Sample | BaseException] = asyncio.Queue()
        batches = [
            Batch(self, link, asked, prompt, params, draws[i : i + width], can, purse, arrived.put_nowait)
            for i in range(0, len(draws), width)
        ]

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                arrived.put_nowait(error)

        todo = iter(batches)

        async def work() -> None:
            for batch in todo:
                await batch.run()

        # No more than can be under way: whoever stands in line costs time.
        n_workers = min(len(batches), self.limits.concurrency * len(self.urls))
        tasks = [asyncio.create_task(work()) for _ in range(n_workers)]
        for task in tasks:
            task.add_done_callback(ended)
        try:
            for _ in draws:
                item = await arrived.get()
                if isinstance(item, BaseException):
                    for paid in _taken(arrived):
                        yield paid
                    raise item
                yield item
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for unseen in _taken(arrived):
                lost(unseen.cost)
            for batch in batches:
                for cost in batch.lost():
                    lost(cost)


def _taken(arrived: asyncio.Queue[Sample | BaseException]) -> Iterator[Sample]:
    """The draws that lie in a queue."""
    while not arrived.empty():
        if isinstance(item := arrived.get_nowait(), Sample):
            yield item


def clean_url(url: str) -> str:
    """A base URL as it is used. Raises `UsageError` for what is none, or holds a key."""
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
    if not port_is_right or parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"base_url must be like http://localhost:8000/v1, not {_shown(text)!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            "base_url holds more than a place: keys go into the environment variable that api_key_env names"
        )
    for end in ("/chat/completions", "/completions"):
        text = text.removesuffix(end)
    return text


def _shown(url: str) -> str:
    """A URL for an error, without what may be a key in it."""
    return url.partition("?")[0].rpartition("@")[2][:80]
