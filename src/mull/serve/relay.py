"""Pass-through: a chat goes to the model's server as it stands, over mull's HTTP client, and is paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from mull.cost import total
from mull.models.served.opened import Opened, opened
from mull.models.served.requests import merged
from mull.run.spans import are_made, request_attributes, spanned
from mull.run.wallet import Hold, TakenError, Wallet
from mull.serve.attend import Emit
from mull.serve.completions import prompts
from mull.serve.counted import check_least
from mull.serve.faults import ApiError
from mull.serve.fields import ChatFields
from mull.serve.passed import Passed, are_choices, are_objects, as_bound, clean, most_of
from mull.serve.plans import ChatPlan
from mull.serve.rooms import check_room, replies
from mull.serve.shapes import DONE, event, is_unknown
from mull.types import Cost
from mull.wire.body import encode, event_data, read_object
from mull.wire.faults import Malformed, Rejected, Unusable
from mull.wire.replies import Usage, is_overflow, read_usage, with_words
from mull.wire.routes import CHAT, COMPLETIONS

LENGTHS = ("max_completion_tokens", "max_tokens")
"""The fields that limit a reply, the newer first."""
NOTHING: Mapping[str, Any] = {}
UNKNOWN = Usage()
SHORT = 256
"""A limit that nobody asked for is not lowered below this many tokens where a server has no room for it."""


class _Cut(Exception):
    """A stream broke off after a part of it was passed on, so that it cannot be repeated."""


class Relay:
    """One request, passed on. `sent` is its body for the server; its wallet pays for what came back, or may have."""

    def __init__(self, plan: ChatPlan, chat: ChatFields, body: Mapping[str, Any], wallet: Wallet, path: str) -> None:
        self._path = path
        self._plan, self._chat, self._wallet = plan, chat, wallet
        self._deployment = plan.entry.model.deployment
        self._n_prompts = len(prompts(body)) if path == COMPLETIONS else 1
        self._n = self._n_asked = (chat.n or 1) * self._n_prompts
        """All replies, and those of the request that is under way."""
        own = {name: value for name, value in body.items() if name != "mull"}
        self.sent: dict[str, Any] = {**merged(self._deployment.extra_body, own), "model": self._deployment.served}
        self.raw: bytes | None = None
        """The server's whole reply as it came, if nothing in it is changed."""
        can = plan.entry.model.capabilities
        told = {name: self.sent.get(name) for name in LENGTHS}
        self._names = [name for name in LENGTHS if told[name] is not None]
        """The fields that limit a reply, if the client or the operator named one."""
        self._is_own = not self._names
        if path == COMPLETIONS:
            self._names = sorted({*self._names, "max_tokens"})
        elif not self._names or can is not None:
            self._names = ["max_tokens" if can is None else can.length]
        asked = chat.most_tokens or next((value for value in told.values() if type(value) is int and value > 0), None)
        self._most_tokens = plan.max_tokens if asked is None else asked
        self.sent = {name: value for name, value in self.sent.items() if name not in LENGTHS}
        self._limit()
        self._passed = self._none_passed()
        """What came back of the request that is under way."""
        check_least(chat, self._top)

    def _limit(self) -> None:
        """Lowers the most tokens of a reply to what the ceilings leave, and says them to the server.

        Raises `ApiError` if that is none.
        """
        left, price = self._wallet.left, self._deployment.price
        self._say(self._most_tokens)
        # A prompt has at most a token for each byte.
        self._n_prompt = len(self._raw)
        least = most_of(price, self._n_prompt, self._n, self._n)
        check_room(self._wallet.own_left, left, least, replies(self._n))
        tops = [self._most_tokens] if left.tokens is None else [self._most_tokens, int(left.tokens) // self._n]
        if left.usd is not None and price.usd_per_mtok_in is not None and price.usd_per_mtok_out:
            rest = left.usd * 1e6 - self._n_prompt * price.usd_per_mtok_in
            tops.append(max(1, int(rest / price.usd_per_mtok_out) // self._n))
        if (top := min(tops)) < self._top:
            self._say(top)
        self._quote = self._most(self._n)

    def _say(self, top: int) -> None:
        """Makes `top` the most tokens of a reply."""
        self._top = top
        self.sent |= dict.fromkeys(self._names, top)
        self._raw = encode(self.sent)

    def _may_again(self, here: Opened, error: Rejected) -> bool:
        """Whether the server may take the request with another limit; one that was asked for is left as it is."""
        if not self._is_own:
            return False
        if is_overflow(words := str(error), ""):
            if self._top <= SHORT:
                return False
            self._most_tokens = self._top // 2
            self._limit()
        elif self._path == CHAT and "max_completion_tokens" in words and self._names == ["max_tokens"]:
            here.length = "max_completion_tokens"
            self._rename(here)
        else:
            return False
        return True

    def _rename(self, here: Opened) -> None:
        """Limits a reply by the field that the server was found to want."""
        if self._is_own and self._path == CHAT and here.length is not None and self._names != [here.length]:
            for name in self._names:
                self.sent.pop(name)
            self._names = [here.length]
            self._limit()

    def _none_passed(self) -> Passed:
        return Passed(self._top * self._n_asked, self._n_prompt if _is_text(self.sent) else None)

    def _most(self, n: int, used: Usage = UNKNOWN) -> Cost:
        """The most that `n` replies can have cost of which this is known."""
        n_prompt = self._n_prompt if used.prompt is None else used.prompt
        return most_of(self._deployment.price, n_prompt, self._top * n if used.output is None else used.output, n)

    @property
    def is_shortened(self) -> bool:
        """Whether a reply may have fewer tokens than the request asked for."""
        return not self._is_own and self._top < self._most_tokens

    @property
    def _is_lost(self) -> bool:
        """Whether something was spent whose tokens are not known."""
        return is_unknown(self._wallet.spent)

    async def whole(self) -> dict[str, Any]:
        """The server's reply, with the model's name as it was asked for."""
        here = await opened(self._deployment)
        self._rename(here)

        async def read(response: aiohttp.ClientResponse) -> dict[str, Any]:
            raw = await here.link.whole(response)
            told = read_object(raw)
            choices = told.get("choices")
            if not choices or not are_choices(choices):
                raise Malformed("the reply has no list of choices, or one ends for no reason that is a text")
            if self._path == CHAT and not are_objects([one.get("message") for one in choices]):
                raise Malformed("the reply has a choice without a message")
            is_sound = _cleaned(told)
            self._passed.add(told)
            is_same = told.get("model") == self._plan.asked_as and len(choices) == self._n and raw[:1] == b"{"
            self.raw = raw if is_same and is_sound and self._passed.is_counted and not self._is_lost else None
            return told

        reply: dict[str, Any] = await self._paid(here, lambda: self._raw, read)
        while self._n > (got := len(reply["choices"])):
            if self._n_prompts > 1:  # nothing tells which of them it left out
                what = f"the model's server gave {got} of {self._n} replies: send a request for each prompt"
                raise ApiError(502, what, code="upstream_failed")
            # A server that gives one reply to a request whatever `n` is.
            self._n_asked = self._n - got
            more: dict[str, Any] = {"n": self._n_asked}
            if isinstance(self.sent.get("seed"), int):
                more["seed"] = self.sent["seed"] + got
            reply = _joined(reply, await self._paid(here, partial(self._encoded, more), read))
        reply["model"] = self._plan.asked_as
        if self._is_lost:
            reply["usage"] = as_bound(reply.get("usage"), self._wallet.charged)
        return reply

    def _encoded(self, more: Mapping[str, Any] = NOTHING) -> bytes:
        return encode({**self.sent, **more})

    def _hold(self) -> Hold:
        """Holds the most that the request can cost, which is lowered where other gateways have taken a part of it."""
        while True:
            try:
                return self._wallet.hold(self._quote)
            except TakenError:
                self._limit()

    async def _paid(self, here: Opened, body: Callable[[], bytes], read: Any, *, stream: bool = False) -> Any:
        """The reply to a body, in a span of its own, as `_settled`."""
        if not are_made():
            return (await self._settled(here, body, read, stream))[0]
        chat, model = self._chat, self._plan.entry.model
        told = request_attributes(model, chat.temperature, chat.top_p, chat.top_k, chat.most_tokens)
        operation = "text_completion" if self._path == COMPLETIONS else "chat"
        with spanned(operation, told["gen_ai.request.model"], **told) as span:
            reply, cost = await self._settled(here, body, read, stream)
            span.set(cost)
            return reply

    async def _settled(self, here: Opened, body: Callable[[], bytes], read: Any, stream: bool) -> tuple[Any, Cost]:
        """The reply to a body, and its cost. Unknown parts, as of a broken request, count as the most they can be."""
        hold = self._hold()
        unknown = self._deployment.price.cost(None, None, None)

        def broke(seconds: float, calls: int = 0) -> None:
            cost = replace(unknown, calls=calls)
            self._wallet.pay(cost, self._most(self._n_asked), cost)
            self._passed = self._none_passed()

        async def asked() -> Any:
            while True:
                self._passed = self._none_passed()
                try:
                    return await here.link.pass_on(self._path, body(), read, stream=stream, broke=broke)
                except Rejected as error:
                    if not self._may_again(here, error):
                        raise

        try:
            reply = await asked()
        except (asyncio.CancelledError, _Cut):
            broke(0.0, self._n)
            raise
        except Unusable:
            here.link.pool.revive()  # another request may fare better: this one may have been at fault
            raise
        else:
            n = self._n_asked if stream else min(self._n_asked, len(reply["choices"]))
            used = self._passed.counted
            cost = replace(self._deployment.price.cost(used.prompt, used.output, used.cached), calls=n)
            self._wallet.pay(cost, self._most(n, used), cost)
            return reply, cost
        finally:
            self._wallet.drop(hold)

    async def stream(self, emit: Emit) -> None:
        """Passes the server's events on as they come. Its token counts are asked for, and passed on if wanted."""
        here = await opened(self._deployment)
        self._rename(here)
        can = self._plan.entry.model.capabilities
        is_counted = can is None or can.stream_usage
        if is_counted:
            self.sent["stream_options"] = {**(self.sent.get("stream_options") or {}), "include_usage": True}
        is_begun = False

        async def read(response: aiohttp.ClientResponse) -> None:
            nonlocal is_begun
            about: dict[str, Any] = {}
            is_done = is_told = False
            try:
                async for line in here.link.lines(response):
                    data = event_data(line)
                    if data is None:
                        continue
                    if data == b"[DONE]":
                        is_done = True
                        break
                    told = read_object(data)
                    if told.get("error") and not told.get("choices"):
                        raise with_words("the server broke off with an error", told["error"])
                    if told.get("choices") and not are_choices(told["choices"]):
                        raise Malformed("the choices of an event are no list of objects, or end for no known reason")
                    _cleaned(told)
                    self._passed.add(told)
                    told["model"] = self._plan.asked_as
                    about = about or {name: value for name, value in told.items() if name not in ("choices", "usage")}
                    if isinstance(told.get("usage"), dict) and not told.get("choices"):
                        if not self._chat.wants_usage:
                            continue
                        is_told = True
                        if self._is_bound:
                            told["usage"] = self._bound(told["usage"])
                    elif told.get("usage") is not None and self._is_bound:
                        told["usage"] = None  # what is true comes at the end
                    is_begun = True
                    await emit(event(told))
                if self._passed.n < self._n_asked:
                    raise Malformed(f"the stream has {self._passed.n} of {self._n_asked} replies")
                if not is_done and not self._passed.is_whole:
                    raise Malformed("the stream ended in the middle" if is_begun else "the stream has no events")
            except (OSError, aiohttp.ClientError, Malformed) as error:
                if is_begun:
                    raise _Cut(str(error)) from error
                raise
            if self._chat.wants_usage and not is_told and self._is_bound:
                await emit(event({**about, "choices": [], "usage": self._bound(None)}))

        try:
            await self._paid(here, self._encoded, read, stream=True)
        except _Cut as error:
            raise ApiError(502, "the model's server broke the stream off", code="upstream_failed") from error
        await emit(DONE)

    @property
    def _is_bound(self) -> bool:
        """Whether what the server counted in this stream is not all that was spent, or cannot be true."""
        return self._is_lost or not self._passed.is_counted

    def _bound(self, told: Mapping[str, Any] | None) -> dict[str, Any]:
        """The counts of a stream where the server's are not all, or cannot be true."""
        used = self._passed.counted
        return as_bound(told, total([self._wallet.charged, self._most(self._n, used)]))


def _is_text(sent: Mapping[str, Any]) -> bool:
    """Whether a request has no images or files, which may have more tokens than their names have bytes."""
    turns = sent.get("messages") or ()
    contents = [turn.get("content") for turn in turns if isinstance(turn, dict)]
    parts = [part for told in contents if isinstance(told, list) for part in told]
    return all(isinstance(part, dict) and part.get("type") == "text" for part in parts)


def _cleaned(told: dict[str, Any]) -> bool:
    """Removes counts that are none from a reply or event; returns whether there were no such."""
    if (usage := told.get("usage")) is None:
        return True
    told["usage"] = clean(usage) if isinstance(usage, dict) else None
    return bool(told["usage"] == usage)


def _joined(reply: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A reply with the choices of another one after its own, and the sum of their token counts."""
    first = len(reply["choices"])
    later = [{**choice, "index": first + i} for i, choice in enumerate(more["choices"])]
    both = {**reply, "choices": [*reply["choices"], *later]}
    one, other = read_usage(reply.get("usage")), read_usage(more.get("usage"))
    counts = total(Cost(1, used.prompt, used.output, 0, used.cached) for used in (one, other))
    if counts.prompt_tokens is None or counts.output_tokens is None:
        return {name: value for name, value in both.items() if name != "usage"}
    both["usage"] = {
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.output_tokens,
        "total_tokens": counts.prompt_tokens + counts.output_tokens,
        **({} if counts.cached_tokens is None else {"prompt_tokens_details": {"cached_tokens": counts.cached_tokens}}),
    }
    return both
