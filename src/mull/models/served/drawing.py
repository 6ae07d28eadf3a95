"""Draws from a server: each request is retried until its draws are made or given up, and every attempt is booked."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from mull.cost import total
from mull.errors import ModelError
from mull.models.served.capabilities import Capabilities
from mull.models.served.counting import believed, likeliest, outputs
from mull.models.served.known import save
from mull.models.served.opened import Opened
from mull.models.served.remarks import remark
from mull.models.served.requests import RequestTemplate
from mull.shown import Inert
from mull.types import Cost, Draw, Finish, Params, Prompt, Purse, Sample
from mull.wire.body import printable
from mull.wire.endpoints import Endpoint
from mull.wire.faults import Broken, Refused, Rejected, Unusable
from mull.wire.finishes import finish_name, is_cut
from mull.wire.replies import Reply, ReplyChoice, Usage
from mull.wire.retries import Attempts, tell_again

FILTERED = "the server's content filter blocked the reply"
REFUSED = "the model refused to reply"
log = logging.getLogger(__name__)

CLOSING = 0.1
"""Seconds before a deadline at which a shared stream is cut, so that its finished replies are delivered in time."""


_N = re.compile(r"\bn\b")
_NUMBER = re.compile(r"\d+")


def limit_of_n(words: str, n: int) -> int | None:
    """The most replies to one request according to a refusal of `n`; `None`: the refusal is not about `n`.

    The greatest smaller number that it names, such as 8 in `n must be between 1 and 8`, or else half of `n`.
    """
    words = re.sub(r"^.*?HTTP \d+:?", "", words, count=1)
    if not _N.search(words):
        return None
    named = [int(digits) for digits in _NUMBER.findall(words) if len(digits) < 6]
    return max((number for number in named if 1 <= number < n), default=n // 2)


def is_refusal(error: str | None) -> bool:
    """Whether a draw with this error was refused by the model or its server, rather than failed."""
    return error is not None and error.startswith((FILTERED, REFUSED))


class Batch:
    """One or several draws that share a request. `run` passes each sample to `deliver` as soon as it is final.

    If reply i of a request has its seed plus i, only draws with such seeds share one: each is then what it is alone.
    """

    def __init__(
        self,
        here: Opened,
        asked: RequestTemplate,
        prompt: Prompt,
        params: Params,
        draws: Sequence[Draw],
        can: Capabilities,
        purse: Purse,
        deliver: Callable[[Sample], None],
    ) -> None:
        self._here, self._deployment, self._link, self._asked = here, here.named, here.link, asked
        self._prompt, self._params, self._purse, self._deliver = prompt, params, purse, deliver
        self._left = list(draws)
        self._can = can
        self._wasted: dict[int, list[Cost]] = {}
        self._attempts: Counter[int] = Counter()
        """Unsuccessful attempts at each draw."""
        self._retries: Counter[int] = Counter()
        """Repeated requests, each booked to the first of its draws that were left."""
        self._broken: dict[int, ReplyChoice] = {}
        """Of draws that the server broke off, what there is."""

    async def run(self) -> None:
        """Makes the draws. Raises `ModelError` once no endpoint can be used."""
        pool = self._link.pool
        attempts = Attempts(self._link.limits, len(pool.endpoints))
        endpoint: Endpoint | None = None
        while self._left:
            now = self._next()
            try:
                endpoint = await pool.acquire(endpoint, len(now))
            except Unusable as error:
                raise ModelError(f"{self._deployment.name}: {error}", error.wait) from error
            why, plain, pause = None, "the reply cannot be used", 0.0
            started = time.monotonic()
            try:
                reply = await self._attempt(endpoint, now)
                why = self._take(reply, now, time.monotonic() - started)
                if reply.is_cut:
                    return
                if why is None:
                    attempts = Attempts(self._link.limits, len(pool.endpoints))
                    continue
            except Refused as error:
                wait = attempts.refused(error.wait)
                if wait is None:
                    last = attempts.last_refusal(str(error), error.wait)
                    raise ModelError(f"{self._deployment.name}: {endpoint.url}: {last}", error.wait) from error
                pause = wait
                tell_again(log, endpoint, pause, error)
            except Broken as error:
                why, plain = str(error), error.plain
                self._waste(now, time.monotonic() - started)
            except Rejected as error:
                if len(now) > 1 and (limit := limit_of_n(str(error), len(now))):
                    self._learn(limit)
                    continue
                if endpoint.dead is None:
                    self._give_up(str(error))
            except asyncio.CancelledError:
                self._waste(now, time.monotonic() - started)
                raise
            finally:
                pool.release(endpoint, len(now))
            if not self._left:
                return
            if why is not None:
                wait = attempts.failed()
                if wait is None:
                    self._give_up(attempts.last_failure(why))
                    return
                pause = wait
                tell_again(log, endpoint, pause, Broken(why, plain))
                if not self._may_retry(now):
                    self._give_up(f"{why}; the budget leaves no room to try again")
                    return
            self._attempts.update(draw.number for draw in now)
            self._retries[next(draw.number for draw in now if draw in self._left)] += 1
            await attempts.wait(pause)

    def _next(self) -> list[Draw]:
        """The draws of the next request: as many of those that are left as can share one."""
        n = min(len(self._left), self._here.width(self._can, len(self._left)))
        if self._can.batch_seeds != "counted":
            return self._left[:n]
        first = self._seed(self._left[0])
        fits = 1
        while fits < n and first is not None and self._seed(self._left[fits]) == first + fits:
            fits += 1
        return self._left[:fits]

    def _learn(self, limit: int) -> None:
        """Records the most replies that the server returns to one request."""
        log.info("%s returns at most %d replies to a request", Inert(self._deployment.name), limit)
        self._here.most_n = limit
        save(self._here.deployment, replace(self._can, most_n=limit))

    async def _attempt(self, endpoint: Endpoint, now: Sequence[Draw]) -> Reply:
        asked, n, until = self._asked, len(now), self._purse.until
        # A seed also goes with a shared request: a server may draw the same again whenever it is started.
        seed = self._seed(now[0]) if n == 1 or self._can.batch_seeds != "copied" else None
        return await self._link.attempt(
            endpoint,
            asked.path,
            asked.body(n, seed),
            retry=self._attempts[now[0].number],
            most_bytes=n * asked.most_bytes,
            stream=asked.is_streamed,
            cut_at=asked.cut_at,
            until=None if until is None or n == 1 else until - CLOSING,
        )

    def _seed(self, draw: Draw) -> int | None:
        return None if "seed" in self._can.rejects else draw.seed % (1 << self._can.seed_bits)

    def _take(self, reply: Reply, draws: Sequence[Draw], seconds: float) -> str | None:
        """Delivers the draws that a reply completes; returns what was wrong with the rest, if any remain."""
        n = len(draws)
        by_index = {choice.index: choice for choice in reply.choices}
        choices = [by_index.get(i) for i in range(n)]
        usage = self._believed(reply, choices)
        costs = [replace(cost, seconds=seconds / n) for cost in self._costs(choices, usage)]
        later, why = self._left[n:], None
        self._left = []
        for draw, choice, cost in zip(draws, choices, costs, strict=True):
            if choice is None:
                fault: str | None = f"the server sent {sum(c is not None for c in choices)} of {n} replies"
            elif (refusal := self._refusal(choice)) is not None:
                self._deliver(self._failed(draw, cost, refusal))
                continue
            elif (fault := self._fault(choice, has_hidden=bool(usage.reasoning))) is None:
                self._deliver(self._sample(draw, choice, cost, n))
                continue
            why = fault
            if choice is not None and choice.text.strip() and finish_name(choice.finish or "stop") == "error":
                self._broken[draw.number] = choice
            self._left.append(draw)
            self._wasted.setdefault(draw.number, []).append(replace(cost, calls=0))
        self._left += later
        return why

    def _believed(self, reply: Reply, choices: Sequence[ReplyChoice | None]) -> Usage:
        """The counts of a reply that can be true; what is wrong with others is said once."""
        most, told = self._params.max_tokens, reply.usage
        usage = told.within(self._asked.most_prompt_tokens, len(choices) * most)
        if usage != told:
            remark(
                self._deployment,
                "counts",
                f"its server reports {told.prompt} tokens of the prompt and {told.output} generated ones, "
                "which is more than there can be: they count as unknown",
            )
        n_bytes, counts_all = self._asked.n_prompt_bytes, self._can.counts_all
        usage, why = believed(usage, n_bytes, choices, most, counts_all=counts_all)
        if why is not None:
            remark(self._deployment, "counts", why)
        return usage

    def _costs(self, choices: Sequence[ReplyChoice | None], usage: Usage) -> list[Cost]:
        """Each reply's share of the cost of its request.

        The prompt is computed once and charged to the first reply.
        """
        n, most = len(choices), self._params.max_tokens
        if self._can.context is not None and usage.prompt is not None:
            room = self._can.context - usage.prompt
            if room < most and any(choice is not None and is_cut(choice.finish) for choice in choices):
                remark(
                    self._deployment,
                    "context",
                    f"a prompt of {usage.prompt:,} tokens leaves room for {max(0, room):,} in the server's context of "
                    f"{self._can.context:,}, so that replies are cut before max_tokens={most:,}: lower --max-tokens, "
                    "or start the server with a longer context",
                )
            most = max(1, min(most, room))
        each = outputs(choices, usage.output, most, counts_all=self._can.counts_all)
        if not self._deployment.believes_longer and sum(count or 0 for count in each) > n * self._params.max_tokens:
            each = [None] * n
        prompts = [usage.prompt] + [None if usage.prompt is None else 0] * (n - 1)
        cached = [usage.cached] + [None if usage.cached is None else 0] * (n - 1)
        return [self._deployment.price.cost(*parts) for parts in zip(prompts, each, cached, strict=True)]

    def _refusal(self, choice: ReplyChoice) -> str | None:
        """Why a reply can never be used, so that a retry is pointless; `None`: it may be usable."""
        finish = finish_name(choice.finish or "")
        if finish == "content_filter":
            told = f": {printable(choice.refusal)[:200]}" if choice.refusal else ""
            return (REFUSED if choice.finish == "refusal" else FILTERED) + told
        if finish == "tool_calls" and not self._prompt.tools:
            return "the model called a tool, and none was offered"
        return None

    def _fault(self, choice: ReplyChoice, *, has_hidden: bool) -> str | None:
        """Why a reply cannot be used and is to be retried; `None`: it can be used.

        `has_hidden`: the server counts reasoning tokens, whether it shows them or not.
        """
        finish = choice.finish
        if finish is None:
            return "the reply does not say why it ended: it may have been cut short"
        if finish_name(finish) == "error":
            return f"the server broke the reply off (finish_reason {printable(finish)[:40]!r})"
        if choice.calls and self._prompt.tools:
            return None
        if choice.text if self._prompt.prefix else choice.text.strip():
            return None
        if is_cut(finish):
            return None if has_hidden or choice.reasoning is not None else "the reply is empty"
        # Continuing a complete reply adds nothing, and a stop string may come first.
        may_be_empty = self._prompt.prefix or choice.text or choice.stopped_at in self._params.stop
        return None if may_be_empty else "the reply is empty"

    def _sample(self, draw: Draw, choice: ReplyChoice, cost: Cost, n: int) -> Sample:
        is_full = not self._can.tells_cut and (cost.output_tokens or 0) >= self._params.max_tokens
        is_cut_off = is_full or finish_name(choice.finish or "") in ("length", "error")
        text, finish = choice.text, Finish.LENGTH if is_cut_off else Finish.STOP
        if self._can.echoes:
            text = text.removeprefix(self._prompt.prefix)
        stops = self._params.stop
        calls = choice.calls if self._prompt.tools else ()
        if calls and finish is not Finish.LENGTH:
            finish = Finish.TOOL_CALLS
        if stops:
            if found := [at for s in stops if (at := text.find(s)) >= 0]:
                text, finish = text[: min(found)], Finish.STOP_STRING
            elif finish is Finish.STOP and (choice.stopped_at in stops or self._asked.stop == "dropped"):
                # If the server does not report it, assume a stop string: a search that continues a reply that was
                # complete learns so from its next draw, while one that ends too early never would.
                finish = Finish.STOP_STRING
        return Sample(
            self._prompt,
            text,
            finish,
            self._with_waste(draw, cost),
            draw.number,
            self._seed(draw) if (n == 1 or self._can.batch_seeds == "counted") and self._can.seed else None,
            None if choice.logprobs is None else tuple(choice.logprobs),
            reasoning=choice.reasoning or None,
            alternatives=likeliest(choice.alternatives or (), self._params.logprobs or 0),
            batch=n if n > 1 else None,
            tool_calls=calls,
            pieces=None if choice.pieces is None else tuple(choice.pieces),
        )

    def _with_waste(self, draw: Draw, cost: Cost) -> Cost:
        wasted = self._wasted.pop(draw.number, None)
        n_retries = self._retries[draw.number]
        if wasted is None and not n_retries:
            return cost
        return replace(total([*(wasted or ()), cost]), retries=n_retries)

    def _waste(self, draws: Sequence[Draw], seconds: float) -> None:
        """Records a failed attempt of unknown cost for each of these draws."""
        unknown = replace(self._deployment.price.cost(None, None, None), calls=0, seconds=seconds / len(draws))
        for draw in draws:
            self._wasted.setdefault(draw.number, []).append(unknown)

    def _may_retry(self, tried: Sequence[Draw]) -> bool:
        """Reserves budget for another attempt at the draws among these that are left."""
        quote = self._deployment.quote(self._prompt, self._params, self._can)
        numbers = {draw.number for draw in tried}
        return all(self._purse.hold(quote) for draw in self._left if draw.number in numbers)

    def _failed(self, draw: Draw, cost: Cost, why: str) -> Sample:
        return Sample(
            self._prompt, "", Finish.ERROR, self._with_waste(draw, cost), draw.number, error=why[:400] or "failed"
        )

    def _give_up(self, why: str) -> None:
        for draw in self._left:
            if (broken := self._broken.get(draw.number)) is not None:
                self._deliver(self._sample(draw, broken, Cost(calls=1), 1))
            else:
                self._deliver(self._failed(draw, Cost(calls=1), why))
        self._left = []

    def lost(self) -> list[Cost]:
        """The costs of the draws that were begun and not delivered."""
        return [self._with_waste(draw, Cost(calls=1)) for draw in self._left if draw.number in self._wasted]
