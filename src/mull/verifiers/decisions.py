"""Judging by `POST /v1/decisions`: vLLM 0.33 and SGLang 0.5.23 answer typed questions with probabilities.

Their request formats differ. Both read single-token labels without generating, so a verdict is one request.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from mull.cost import Price, total
from mull.types import Calls, Cost, Finish, Pair, Preference, Problem, Sample, Score
from mull.verifiers.fence import RULES, code_of, fenced
from mull.verifiers.judge import LEAST_MASS, Opinion, already, both_orders, spread
from mull.verifiers.reading import Unscored
from mull.verifiers.servers import NONSENSE, PATIENCE, Server, limits, nonsense
from mull.wire.replies import read_usage

IS_CORRECT = "Is the quoted answer to the quoted problem correct?"
WHICH = "Which of the quoted answers to the quoted problem is better? Their order means nothing."
PROMPT_TOKENS = 512
"""Maximum number of tokens that a server adds to a question."""


def _most(text: str) -> int:
    """Upper bound on the tokens that a server reads of a text."""
    return len(text.encode(errors="surrogatepass")) + PROMPT_TOKENS


@dataclass(frozen=True)
class _Decisions:
    """The options shared by both kinds of decision."""

    model: str
    base_url: str
    server: Literal["vllm", "sglang"] = "vllm"
    api_key_env: str | None = None
    seconds: float = 120.0
    patience: float = PATIENCE
    usd_per_mtok: float | None = None
    active_params: float | None = None
    seed: int = 0

    question: ClassVar[str]

    def __post_init__(self) -> None:
        _ = self._server  # a missing address or key raises an error before any request

    @cached_property
    def _server(self) -> Server:
        return Server(self.base_url, self.api_key_env, limits(self.seconds, self.patience))

    @property
    def name(self) -> str:
        return f"decisions {self.model}"

    @property
    def identity(self) -> str:
        told = hashlib.blake2b(f"{self.question}{RULES}".encode(), digest_size=4).hexdigest()
        return f"decisions {self.server} {self.model} seed={self.seed} {told}"

    def _text(self, problem: Problem, answers: Sequence[str]) -> str:
        asked = "\n\n".join(m.text for m in problem.prompt.messages if m.role == "user")
        code = code_of(self.seed, asked, *answers)
        names = ("answer",) if len(answers) == 1 else ("answer A", "answer B")
        quoted = [fenced(name, answer, code) for name, answer in zip(names, answers, strict=True)]
        return "\n\n".join([RULES.replace("{code}", code), fenced("problem", asked, code), *quoted])

    def _cost(self, n_read: int | None, n_made: int | None, seconds: float | None) -> Cost:
        price = Price(self.usd_per_mtok, self.usd_per_mtok, self.active_params)
        cost = price.cost(n_read, n_made)
        return Cost(1, n_read, 0, n_made, 0, cost.flops, cost.usd, seconds)

    def _quote(self, texts: Sequence[str]) -> Cost:
        return total(self._cost(_most(text), 1, None) for text in texts)

    async def _opinion(self, text: str) -> Opinion:
        start, cost, is_told = time.monotonic(), Cost(), False
        body = {"model": self.model, "input": text, "questions": [self._question()]}
        try:
            reply = await self._server.post("/v1/decisions", body)
            try:
                usage = read_usage(reply.get("usage")).within(_most(text), 1)
                cost, is_told = self._cost(usage.prompt, usage.output, time.monotonic() - start), True
                p, mass = self._read(reply["answers"])
            except NONSENSE as error:
                what = f"the server's decision does not have the format of {self.server}: {nonsense(error)}"
                raise Unscored(what, may_be_paid=True) from None
            if not 0 <= p <= 1:
                raise Unscored(f"the server decided with a probability of {p:g}")
            if mass is not None and not mass >= LEAST_MASS:
                raise Unscored(f"the labels have a probability of only {mass:.2f}: the model prefers other words")
        except Unscored as why:
            if why.may_be_paid and not is_told:
                cost = self._cost(None, None, time.monotonic() - start)
            return Opinion(None, cost, str(why))
        return Opinion(p, cost)

    def _question(self) -> dict[str, Any]:
        raise NotImplementedError

    def _read(self, answers: Any) -> tuple[float, float | None]:
        """The probability of the first label, and of all labels if the server reports it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Decisions(_Decisions):
    """The probability that an answer is correct, from a server's `/v1/decisions`."""

    question: ClassVar[str] = IS_CORRECT

    def _question(self) -> dict[str, Any]:
        if self.server == "vllm":
            return {"type": "predicate", "instructions": IS_CORRECT}
        return {"id": "correct", "type": "yes_no", "question": IS_CORRECT}

    def _read(self, answers: Any) -> tuple[float, float | None]:
        if self.server == "vllm":
            return float(answers[0]["probability"]), None
        answer = answers["correct"]
        return float(answer["probabilities"]["yes"]), float(answer["label_mass"])

    def _texts(self, problem: Problem, samples: Sequence[Sample]) -> dict[str, str]:
        told = (s for s in samples if s.finish is not Finish.ERROR and s.reply.strip())
        return {s.reply: self._text(problem, [s.reply]) for s in told}

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return self._quote(list(self._texts(problem, samples).values()))

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        texts = self._texts(problem, samples)
        opinions = await asyncio.gather(*map(self._opinion, texts.values()))
        return spread(samples, dict(zip(texts, opinions, strict=True)))


@dataclass(frozen=True)
class PairDecisions(_Decisions):
    """Which of two answers is better, in both orders, from a server's `/v1/decisions`."""

    question: ClassVar[str] = WHICH

    def _question(self) -> dict[str, Any]:
        if self.server == "vllm":
            choices = [{"value": value, "description": f"answer {value}"} for value in "AB"]
            return {"type": "choice", "instructions": WHICH, "choices": choices}
        options = [{"name": name, "description": f"answer {name}"} for name in "AB"]
        return {"id": "better", "type": "choice", "question": WHICH, "options": options}

    def _read(self, answers: Any) -> tuple[float, float | None]:
        if self.server == "vllm":
            told = {row["value"]: float(row["probability"]) for row in answers[0]["probabilities"]}
            return told["A"], float(answers[0]["confidence"]) / max(told.values())
        answer = answers["better"]
        return float(answer["probabilities"]["A"]), float(answer["label_mass"])

    def _texts(self, problem: Problem, pair: Pair) -> tuple[str, str]:
        first, second = pair.first.reply, pair.second.reply
        return self._text(problem, [first, second]), self._text(problem, [second, first])

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        return self._quote([text for pair in pairs if already(pair) is None for text in self._texts(problem, pair)])

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        return await asyncio.gather(*(self._compare(problem, pair) for pair in pairs))

    async def _compare(self, problem: Problem, pair: Pair) -> Preference:
        known = already(pair)
        if known is not None:
            return known
        there, back = self._texts(problem, pair)
        return both_orders(*await asyncio.gather(self._opinion(there), self._opinion(back)))
