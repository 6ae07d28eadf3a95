"""`/v1/chat/completions`: a chat is passed on to its model's server, or answered by a strategy."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from mull.bank import Bank
from mull.errors import MissingExtraError, ModelError, ParamError, PromptError, SetupError, UsageError
from mull.models.served.opened import opened
from mull.run.wallet import Wallet
from mull.serve import shapes
from mull.serve.answering import answers, check_draws
from mull.serve.attend import Emit, in_time
from mull.serve.choosing import ChatAnswer
from mull.serve.compare import Side, compared
from mull.serve.completions import check_question
from mull.serve.counted import check_least, check_priced
from mull.serve.faults import bad, in_body
from mull.serve.fields import ChatFields
from mull.serve.live import Keep, Live
from mull.serve.messages import Names, check_accepted, params_of, prompt_of
from mull.serve.offer import Entry
from mull.serve.plans import ChatPlan
from mull.serve.relay import Relay
from mull.serve.tenants import TenantBank, seed_of_tenant
from mull.serve.wallets import RequestWallet
from mull.types import Params, Prompt
from mull.wire.routes import CHAT, COMPLETIONS


class Chat:
    """One chat, checked and ready to be answered. Raises `ApiError` for what is wrong with it.

    `body` goes to `path` of the model's server, if it is passed on. `within` is the wallet of the key that pays for
    it, beside its own ceilings, `tenant` the key's name, and `keep` takes the traces that it asks to be kept.
    """

    def __init__(
        self,
        id: str,
        plan: ChatPlan,
        fields: ChatFields,
        body: Mapping[str, Any],
        *,
        path: str = CHAT,
        bank: Bank | None = None,
        tenant: str | None = None,
        within: Wallet | None = None,
        keep: Keep | None = None,
    ) -> None:
        self.id, self.plan, self.fields = id, plan, fields
        self._bank = bank if bank is None or tenant is None else TenantBank(bank, tenant)
        self._tenant = tenant
        self.wallet = RequestWallet(plan.budget, within, is_shared=bool(plan.sides))
        left = self.wallet.left
        if left.usd is not None:
            check_priced(fields)
        self.seed = secrets.randbits(31) if fields.seed is None else fields.seed
        entry = plan.entry
        takes = entry.is_served and (path != CHAT or entry.model.deployment.api == "chat")
        self.is_passed_on = plan.strategy is None and takes
        if self.is_passed_on:
            self._relay = Relay(plan, fields, body, self.wallet, path)
        else:
            if path == COMPLETIONS:
                check_question(body)
            if plan.is_for_effort:
                fields = fields.model_copy(update={"reasoning_effort": None})
            self._prompt: Prompt = prompt_of(fields, _names(entry))
            self._params: Params = params_of(fields, plan.temperature, plan.max_tokens, is_embedded=not entry.is_served)
            check_accepted(entry.model, self._prompt, self._params)
            check_least(fields, self._params.max_tokens)
            check_draws(plan, self._prompt, self._params, self.wallet, fields.n or 1)
        self.raw: bytes | None = None
        """The whole reply as a server sent it, if it is passed on unchanged."""
        most, n = fields.most_tokens, fields.n or 1
        self._clamped = dict(plan.clamped or {})
        if not self.is_passed_on and most is not None and left.tokens is not None and most > int(left.tokens) // n:
            self._clamped["max_tokens"] = most
        self._keep = keep
        self._live: Live | None = None
        self._sides: list[Side] = []

    async def whole(self) -> dict[str, Any]:
        """The whole reply."""
        if self.is_passed_on:
            reply = await self._relay.whole()
            self.raw = self._relay.raw
            return reply
        found = await self._answers(None)
        return shapes.whole(self.id, self.plan, found, self.wallet, mull=self._about(found))

    def _about(self, found: list[ChatAnswer]) -> dict[str, Any]:
        """The object `mull` of the reply."""
        told = shapes.about(self.plan, found, self.wallet, self.seed)
        if self._clamped:
            told["clamped"] = self._clamped
        if self._sides:
            told["compare"] = [side.told for side in self._sides]
        if self._live is not None and self._live.kept:
            told["runs"] = self._live.kept
        return told

    async def _answers(self, emit: Emit | None) -> list[ChatAnswer]:
        model = self.plan.entry.model
        if self.plan.entry.is_served:
            # Nobody pays for it: it is found out once, behind the request if its seconds end before.
            await in_time(model.prepare(), self.wallet.own_left.seconds, self.plan.budget.seconds)
        told: asyncio.Queue[bytes] = asyncio.Queue()
        self._live = Live(self.id, self.plan, None if emit is None else told.put_nowait, self._keep)
        work = self._worked(self._live)
        try:
            return await (work if emit is None else _telling(work, told, emit))
        except (PromptError, ParamError, SetupError, MissingExtraError):
            raise
        except UsageError as error:
            # The strategy does not go with the model, or with what it was given.
            is_told = self.fields.mull is not None and self.fields.mull.strategy is not None
            raise bad("mull.strategy" if is_told else "model", in_body(str(error))) from error
        except ModelError:
            if self.plan.entry.is_served:
                (await opened(model.deployment)).link.pool.revive()
            raise

    async def _worked(self, live: Live) -> list[ChatAnswer]:
        """The answers of the strategy; of presets that are compared, that of the first."""
        seed = self.seed if self._tenant is None else seed_of_tenant(self._tenant, self.seed)
        plan, prompt, params, wallet, bank = self.plan, self._prompt, self._params, self.wallet, self._bank
        if not plan.sides:
            n = self.fields.n or 1
            return await answers(plan, prompt, params, wallet, n=n, seed=seed, bank=bank, begin=live.begin)
        self._sides = await compared(plan, prompt, params, wallet, seed=seed, bank=bank, begin=live.begin)
        first = self._sides[0].answer
        assert isinstance(first, ChatAnswer)  # or its error had been raised
        return [first]

    async def stream(self, emit: Emit) -> None:
        """The reply as events: the role at once, progress, then the answers."""
        if self.is_passed_on:
            await self._relay.stream(emit)
            return
        n = self.fields.n or 1
        roles = [{"index": i, "delta": {"role": "assistant", "content": ""}, "finish_reason": None} for i in range(n)]
        await emit(shapes.event(shapes.chunk(self.id, self.plan, roles)))
        found = await self._answers(emit)
        for i, answer in enumerate(found):
            choice = {"index": i, "delta": _delta(answer), "logprobs": shapes.logprobs(answer), "finish_reason": None}
            await emit(shapes.event(shapes.chunk(self.id, self.plan, [choice])))
        ends = [{"index": i, "delta": {}, "finish_reason": shapes.finish(one)} for i, one in enumerate(found)]
        # Those for which a ceiling left no room.
        ends += [{"index": i, "delta": {}, "finish_reason": "length"} for i in range(len(found), n)]
        await emit(shapes.event(shapes.chunk(self.id, self.plan, ends, mull=self._about(found))))
        if self.fields.wants_usage:
            usage = shapes.usage(found, self.wallet)
            await emit(shapes.event(shapes.chunk(self.id, self.plan, [], usage=usage)))
        await emit(shapes.DONE)

    @property
    def headers(self) -> dict[str, str]:
        """What was spent on this request and what its ceilings leave."""
        spent, left = shapes.told_cost(self.wallet.paid), self.wallet.left
        told = {
            "x-mull-calls": spent.calls,
            "x-mull-tokens": spent.tokens,
            "x-mull-usd": spent.usd,
            "x-mull-left-calls": left.calls,
            "x-mull-left-tokens": left.tokens,
            "x-mull-left-usd": left.usd,
        }
        headers = {name: f"{value!r}" for name, value in told.items() if value is not None}
        if clamped := [*self._clamped, *(["max_tokens"] if self.is_passed_on and self._relay.is_shortened else [])]:
            headers["x-mull-clamped"] = ", ".join(clamped)
        return headers


def _names(entry: Entry) -> Names:
    """What the names of messages are to a model."""
    if not entry.is_served:
        return "inert"
    return "carried" if entry.model.deployment.api == "chat" else "refused"


def _delta(answer: ChatAnswer) -> dict[str, Any]:
    turn = shapes.message(answer)
    calls = [{"index": i, **call} for i, call in enumerate(turn.pop("tool_calls", ()))]
    delta = {name: value for name, value in turn.items() if name != "role" and value is not None}
    return {**delta, "tool_calls": calls} if calls else delta


async def _telling(work: Any, told: asyncio.Queue[bytes], emit: Emit) -> list[ChatAnswer]:
    """The result of `work`, while what it tells is emitted."""
    task, coming = asyncio.ensure_future(work), asyncio.ensure_future(told.get())
    try:
        while not task.done():
            await asyncio.wait((task, coming), return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                await emit(coming.result())
                coming = asyncio.ensure_future(told.get())
        coming.cancel()  # or it would take what is told last
        found: list[ChatAnswer] = task.result()
        while not told.empty():
            await emit(told.get_nowait())
        return found
    finally:
        task.cancel()
        coming.cancel()
        await asyncio.gather(task, coming, return_exceptions=True)
