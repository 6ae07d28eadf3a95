"""The probe: short questions that reveal what a server can do, whatever its model knows.

Once a greedy reply is known, the probe sends the first part of it as a partial reply: a server that returns the rest
can continue, one that begins anew or returns anything else cannot. Nothing depends on the model understanding the
question.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from mull.errors import ModelError, UsageError, install
from mull.models.served import backends
from mull.models.served.asker import TOKENS, Asker
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.models.served.looking import both, cuts, goes_on, is_counted, only, piece, said, text_of, thought_tokens
from mull.models.served.refused import adapted, least_budget
from mull.models.served.requests import bias_fields
from mull.models.served.tokens import first_token
from mull.shown import Inert
from mull.types import Prompt
from mull.wire.faults import Rejected
from mull.wire.finishes import is_cut, is_ended
from mull.wire.link import Link
from mull.wire.replies import Reply, ReplyChoice

log = logging.getLogger(__name__)

QUESTIONS = (
    "Count from one to twenty in words, separated by spaces.",
    "Say the letters of the alphabet in order, separated by spaces.",
    "a:7;b:a*6;c:b-5;c?",
)
"""The last one is for models with a small vocabulary."""
SHORTEST = 6
"""The fewest characters of a reply that can be cut in two."""
SHORT_THOUGHT, SLACK = 4, 4
"""The limit on thinking tokens to try, and how many tokens more the end of the thinking may take."""
FEWER = 16
"""Tokens of a reply that is shorter than others, and as long as the shortest that the Responses API allows."""
TOPS = (backends.MOST_TOPS, 5, 2)
"""Numbers of likeliest tokens to ask for, until one is not rejected: OpenAI's chats have 20, its completions 5."""
OTHER_SEEDS = (11, 12, 13)
NOWHERE = "~~~"
"""A stop string that no reply has."""


class Prober(Asker):
    """Probes what a server can do with a model."""

    def __init__(self, deployment: Deployment, link: Link, seen: Capabilities) -> None:
        super().__init__(deployment, link, seen)
        self._singles: list[str] = []
        """Replies to single requests with `OTHER_SEEDS`."""
        self._n_greedy: int | None = None
        """Tokens of the greedy reply."""
        self._thought: tuple[Prompt, float] | None = None
        """A question that made the model think, and its number of thinking tokens."""

    async def find_out(self) -> Capabilities:
        """Runs every probe. Raises `ModelError` if the server does not answer a plain question."""
        question, greedy = await self._first()
        await self._find_cut(question, greedy)
        await self._find_seed(question)
        await self._find_variety(question)
        await self._find_n(question)
        await self._find_logprobs(question)
        await self._find_stream(question)
        await self._find_stop(question, greedy.text)
        await self._find_bias(question, greedy.text)
        await self._find_limit(question)
        await self._find_continuation(question, greedy)
        return replace(self._can, cost=self.cost)

    async def _first(self) -> tuple[Prompt, ReplyChoice]:
        """A question and its greedy reply, long enough to be cut; finds the fields that the server rejects."""
        best = Prompt.user(QUESTIONS[0]), ReplyChoice(0)
        for text in QUESTIONS:
            prompt = Prompt.user(text)
            reply = await self._plain(prompt)
            choice = only(reply)
            if self._thought is None and (n_thought := thought_tokens(reply)):
                self._thought = prompt, n_thought
            if len(choice.text.strip()) > len(best[1].text.strip()):
                best, self._n_greedy = (prompt, choice), reply.usage.output
            if len(choice.text.strip()) >= SHORTEST and cuts(choice.text):
                break
        return best

    async def _plain(self, prompt: Prompt) -> Reply:
        """A reply to a plain question, without the fields that the server rejects."""
        while True:
            try:
                return await self._say(prompt)
            except Rejected as error:
                without = adapted(self._can, str(error))
                if without is None:
                    where = f"{self._deployment.name}: {self._deployment.urls[0]}"
                    raise ModelError(f"{where} rejects a plain question: {error}") from error
                log.info("%s rejects a field of the request: %s", Inert(self._deployment.name), Inert(error.plain))
                log.debug("%s said: %s", Inert(self._deployment.name), Inert(error))
                self._can = without

    async def _find_cut(self, question: Prompt, greedy: ReplyChoice) -> None:
        """Tests whether a reply that has all the tokens that it may have, and is said to have ended, was cut."""
        if not is_ended(greedy.finish) or self._n_greedy != TOKENS:
            return
        reply = await self._tries(question, fields={self._can.length: FEWER})
        is_told = reply is None or not is_ended(only(reply).finish) or reply.usage.output != FEWER
        self._can = replace(self._can, tells_cut=is_told)

    async def _find_seed(self, question: Prompt) -> None:
        """Tests one seed twice and then others: the first two replies must be equal, and another must differ.

        A seed that is accepted and not kept is still sent: a server may draw the same again whenever it is started.
        """
        if "seed" in self._can.rejects:
            return
        for bits in (53, 31):
            fields = {"seed": (1 << bits) - 9}
            reply = await self._tries(question, temperature=1.0, fields=fields)
            if reply is not None:
                break
        else:
            self._can = replace(self._can, seed=False, rejects=(*self._can.rejects, "seed"))
            return
        is_same = said(await self._tries(question, temperature=1.0, fields=fields)) == said(reply)
        varies = False
        for seed in OTHER_SEEDS:
            other = said(await self._tries(question, temperature=1.0, fields={"seed": seed}))
            self._singles.append(other)
            varies = varies or other != said(reply)
        self._can = replace(self._can, seed=is_same and (True if varies else None), seed_bits=bits, varies=varies)

    async def _find_variety(self, question: Prompt) -> None:
        """Tests whether replies differ at all, if need be at a high temperature: a server may not sample."""
        if not self._can.varies:
            texts = {said(await self._tries(question, temperature=2.0)) for _ in range(3)}
            self._can = replace(self._can, varies=len(texts) > 1)

    async def _find_n(self, question: Prompt) -> None:
        """Tests for several replies to one request, which must not be copies if separate requests differ."""
        if "n" in self._can.rejects:
            return
        seed = {"seed": OTHER_SEEDS[0]} if self._singles else {}
        for fields in ({"n": 2, **seed}, {"n": 4, **seed}, {"n": 2}):
            reply = await self._tries(question, temperature=1.0, fields=fields)
            if reply is None or len(reply.choices) != fields["n"]:
                return
            texts = [both(choice) for choice in sorted(reply.choices, key=lambda choice: choice.index)]
            if len(set(texts)) > 1:
                way = "counted" if self._can.seed and is_counted(texts, self._singles) else "mixed"
                self._can = replace(self._can, n=True, batch_seeds=way if "seed" in fields or not seed else "copied")
                await self._find_counts(question)
                return
        singles = {said(await self._tries(question, temperature=1.0)) for _ in range(2)}
        self._can = replace(self._can, n=len(singles) == 1)

    async def _find_counts(self, question: Prompt) -> None:
        """Tests whether the token counts of a request cover all its replies: several of two tokens each."""
        n = min(4, self._can.slots or 4)
        reply = await self._tries(question, temperature=1.0, fields={"n": n, self._can.length: 2})
        if reply is None or reply.usage.output is not None:
            choices = [] if reply is None else reply.choices
            least = sum(2 if is_cut(choice.finish) else bool(both(choice)) for choice in choices)
            is_all = reply is not None and 2 < least <= (reply.usage.output or 0)
            self._can = replace(self._can, counts_all=is_all)

    async def _find_logprobs(self, question: Prompt) -> None:
        """Tests for log-probabilities, and of how many tokens at each position."""
        if "logprobs" in self._can.rejects:
            return
        for n in TOPS:
            fields: dict[str, Any] = {"logprobs": True, "top_logprobs": n}
            if self._deployment.api == "completions":
                fields = {"logprobs": n}
            elif self._deployment.api == "responses":
                fields = {"include": ["message.output_text.logprobs"], "top_logprobs": n}
            reply = await self._tries(question, fields=fields)
            if reply is not None:
                choice = only(reply)
                tops = min((len(place) for place in choice.alternatives or ()), default=0)
                # One that tells fewer than it was asked for may have had no more likely ones.
                is_known = bool(choice.logprobs) and (n < TOPS[0] or not tops)
                self._can = replace(self._can, logprobs=bool(choice.logprobs), tops=tops if is_known else None)
                return

    async def _find_stream(self, question: Prompt) -> None:
        """Tests for streams: of several replies with token counts, of one with counts, of one without."""
        usage: dict[str, Any] = {"stream_options": {"include_usage": True}}
        counts_anyway = not self._deployment.is_openai_like
        ways: list[tuple[int, dict[str, Any]]] = [(2, usage)] * self._can.n + [(1, usage), (1, {})]
        for n, options in ways:
            if options and "stream_options" in self._can.rejects:
                continue
            fields = {"stream": True, **options, **({"n": n} if n > 1 else {})}
            # Several greedy replies are refused by some servers.
            reply = await self._tries(question, temperature=float(n > 1), fields=fields, stream=True)
            is_whole = reply is not None and len(reply.choices) == n and all(c.finish for c in reply.choices)
            if n > 1 and reply is not None and not self._can.counts_all:
                is_whole = is_whole and all(choice.n_tokens is not None for choice in reply.choices)
            if reply is not None and (is_whole or (n == 1 and reply.choices)):
                counts = (bool(options) or counts_anyway) and reply.usage.output is not None
                self._can = replace(self._can, stream=True, stream_usage=counts, stream_n=n > 1)
                return

    async def _find_bias(self, question: Prompt, text: str) -> None:
        """Tests whether a strong negative bias on the first word of a greedy reply makes it begin differently."""
        words = text.split()
        if not words or "logit_bias" in self._can.rejects:
            return
        word = words[0]
        way, token_ids = backends.named(self._can.backend).biases, dict[str, int]()
        if way == "ids":
            token = await first_token(self._deployment, self._link, word)
            if token is None:
                return
            token_ids[word] = token
        fields = bias_fields([(word, -100.0)], replace(self._can, biases=way), token_ids)
        text = text_of(await self._may(question, fields=fields)).strip()
        if text and not text.startswith(word):
            self._can = replace(self._can, biases=way)

    async def _find_limit(self, plain: Prompt) -> None:
        """Tests whether a field that should limit thinking does so, if the model thinks."""
        if self._deployment.api == "anthropic" and await self._is_budget_settled(plain):
            return
        if self._thought is None or self._deployment.api not in ("chat", "anthropic"):
            return
        question, n_free = self._thought
        if n_free < 2 * (SHORT_THOUGHT + SLACK):
            return
        ignores = []
        is_chat = self._deployment.api == "chat"
        for way in backends.named(self._can.backend).limits if is_chat else ("thinking",):
            reply = await self._may(question, fields=backends.thinking_fields(way, SHORT_THOUGHT))
            if reply is None:
                continue
            if reply.choices and thought_tokens(reply) <= SHORT_THOUGHT + SLACK:
                self._can = replace(self._can, limits=way)
                return
            ignores.append(way)
        self._can = replace(self._can, ignores=tuple(ignores))

    async def _is_budget_settled(self, question: Prompt) -> bool:
        """Whether a server of the Messages API refuses a small budget, which tells what it does with larger ones.

        Anthropic's own models think only if asked to, and keep to budgets from 1,024 tokens on.
        """
        fields = {**backends.thinking_fields("thinking", SHORT_THOUGHT)}
        for _ in range(2):
            try:
                await self._say(question, temperature=1.0, fields=fields)
            except Rejected as error:
                least = least_budget(str(error))
                if least is None or self._can.least_limit:
                    self._can = replace(self._can, limits=None, no_limit=str(error)[:200])
                    return True
                self._can = replace(self._can, limits="thinking", least_limit=least)
                fields = {**backends.thinking_fields("thinking", least), "max_tokens": least + TOKENS}
            else:
                break
        return self._can.least_limit > 0

    async def _find_stop(self, question: Prompt, text: str) -> None:
        """Tests a substring of a greedy reply as stop string: is the text cut there, and is that reported?"""
        if self._deployment.api == "responses":
            return  # it has none, and the client cuts replies
        stop = piece(text)
        reply = await self._tries(question, stop=(stop or NOWHERE,), can=replace(self._can, stop="dropped"))
        if stop is None and reply is not None:
            return
        if stop is None or reply is None:
            self._can = replace(self._can, stop="ignored")
            return
        choice = only(reply)
        keeps = backends.named(self._can.backend).keeps_stop
        if choice.text.endswith(stop):
            found = "kept"
        elif stop in choice.text:
            # The last token may extend a little beyond the stop string.
            found = "kept" if len(choice.text) < len(text) else "ignored"
        elif choice.stopped_at == stop:
            found = "told"
        elif keeps and text_of(await self._tries(question, stop=(stop,), fields=keeps)).endswith(stop):
            found = "kept"
        else:
            found = "dropped"
        self._can = replace(self._can, stop=found)

    async def _find_continuation(self, question: Prompt, greedy: ReplyChoice) -> None:
        """Tries the backend's ways to continue, until one continues where the greedy reply was cut."""
        if self._deployment.api == "completions":
            self._can = replace(self._can, continues="trailing")
            return
        backend = backends.named(self._can.backend)
        ways = backend.continues
        if not self._deployment.is_openai_like:
            ways = ("trailing",) if ways else ()
        reasons = []
        for way in ways:
            if way == "template":
                reason = await self._try_template(question, greedy)
            else:
                reason = await self._try_way(question, greedy, replace(self._can, continues=way))
            if reason is None:
                return
            reasons.append(reason)
        why = "; ".join(dict.fromkeys(reasons)) or f"{backend.name} has no way to continue one"
        if self._can.template is None and "template" in ways:
            why += "; give chat_template (a file) in mull.toml, and mull renders it for plain completions"
        self._can = replace(self._can, continues=None, why=why)

    async def _try_template(self, question: Prompt, greedy: ReplyChoice) -> str | None:
        if self._can.template is None:
            return "the server does not report its chat template"
        reasons = []
        for has_bos in (True, False):
            can = replace(self._can, continues="template", has_bos=has_bos)
            try:
                if not cuts(greedy.text):
                    reason = await self._try_rendered(question, can)
                else:
                    reason = await self._try_way(question, greedy, can)
            except UsageError as error:
                return str(error)
            except ImportError:
                return f"rendering a chat template needs jinja2: {install('lab')}"
            if reason is None:
                return None
            reasons.append(reason)
            if not self._can.template.bos_token:
                break
        return reasons[0]

    async def _try_rendered(self, question: Prompt, can: Capabilities) -> str | None:
        """`_try_way` if the chat hides part of the reply, such as the thinking of a reasoning model.

        No part of the chat's reply can then serve as a partial reply. The rendered prompt must have as many tokens as
        the chat's, and its own greedy reply must continue where it is cut.
        """
        assert can.template is not None  # it is what is tried
        text = can.template.render(question)
        reply = await self._tries(question, raw=text if can.has_bos else can.template.without_bos(text))
        if reply is None:
            return "the server does not support plain completions"
        in_chat = await self._say(question)
        if reply.usage.prompt != in_chat.usage.prompt:
            return "the server formats prompts differently from its chat template"
        return await self._try_way(question, only(reply), can)

    async def _try_way(self, question: Prompt, greedy: ReplyChoice, can: Capabilities) -> str | None:
        """Why this way does not work; `None`: it works."""
        places = cuts(greedy.text)
        if not places:
            return "its replies to the probe were too short to tell"
        for cut in places:
            begun = greedy.text[:cut]
            reply = await self._tries(question.extend(begun), can=can)
            if reply is None:
                return f"the server rejects a partial reply ({can.continues}): {self._refusal}"
            if goes_on(text_of(reply), greedy.text, cut):
                self._can = can
                return None
            if text_of(reply).startswith(begun) and goes_on(text_of(reply)[cut:], greedy.text, cut):
                # Either it repeats the partial reply, or it began anew and said the same: no reply begins backwards.
                backwards = begun[::-1].strip()
                if text_of(await self._tries(question.extend(backwards), can=can)).startswith(backwards):
                    self._can = replace(can, echoes=True)
                    return None
        return f"the server starts a new reply instead of continuing ({can.continues})"
