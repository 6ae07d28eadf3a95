"""What every real server is held to, whoever wrote it: its own counters, or its tokenizer, are the independent count.

Each check of `CHECKS` returns a word for the table in `docs/servers.md`: what the server cannot do is named there, and
the client refuses it before it draws anything.
"""

import asyncio
import re
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from mull import Budget, Finish, MemoryBank, Params, Problem, Prompt, Run, Sample, UsageError, spec
from mull.models.served.model import OpenAIModel
from mull.testing import FakePurse, FakeVerifier
from mull.types import Cost, Draw, Judge, Model, Pair, Verifier
from mull.verifiers.judge import GenRM, Pairwise

HELLO = Prompt.user("Say hello in one of many ways.")
COUNT = Prompt.user("Count to ten.")
STORY = Prompt.user("Write a long story about a fox, a lighthouse and the sea.")
ODD = Problem("p", Prompt.user("Is 7 odd? Answer: yes or no."))
MOST_SECONDS = 600.0
YES, REFUSED, UNSCORED = "yes", "refused", "no score"


@dataclass(frozen=True)
class Live:
    """A model behind a running server, with an independent count of its tokens.

    `kind` is its column in the table. `generated` and `running` name counters on the page `counters`, by default that
    of the server itself; a server without counters has `n_tokens` instead, which counts those of a text.
    """

    model: OpenAIModel
    kind: str
    generated: str = ""
    running: str = ""
    counters: str | None = None
    n_tokens: Callable[[str], int] | None = None

    def count(self, name: str) -> int:
        """A counter at `/metrics`."""
        base = self.counters or self.model.deployment.urls[0].removesuffix("/v1")
        with urllib.request.urlopen(base + "/metrics") as page:
            found = re.search(rf"^{name}(?:{{.*}})? ([\d.e+]+)", page.read().decode(), re.MULTILINE)
        assert found is not None, name
        return int(float(found[1]))

    async def until(self, name: str, wanted: Callable[[int], bool]) -> int:
        """Waits until a counter has such a value, and returns it: some servers count after they have answered."""
        async with asyncio.timeout(MOST_SECONDS):
            while not wanted(value := await asyncio.to_thread(self.count, name)):
                pass
            return value

    async def idle(self) -> int | None:
        """The tokens that it has generated, once nothing runs there; `None` if it does not count them."""
        if not self.generated:
            return None
        await self.until(self.running, lambda n: n == 0)
        return await asyncio.to_thread(self.count, self.generated)

    async def generates(self, before: int | None, n: int | None) -> None:
        """Waits until the server has counted `n` tokens since `before`, and checks that it counted no more."""
        assert n is not None, "the tokens are not known"
        if before is not None:
            value = await self.until(self.generated, lambda value: value >= before + n)
            assert value == before + n


async def drawn(model: OpenAIModel, n: int, prompt: Prompt = HELLO, **params: object) -> list[Sample]:
    return await Run(model, params=Params(**params)).draw(prompt, n)


async def observed(check: Callable[[Live], Awaitable[str]], live: Live) -> str:
    """What a check finds; `refused` if the client refused it, which must have cost nothing."""
    await live.model.prepare()
    before = await live.idle()
    try:
        return await check(live)
    except UsageError:
        assert await live.idle() == before
        return REFUSED


async def check_shared(live: Live) -> str:
    """Several replies to one request, or each alone; all arrive, and not all say the same."""
    draws = await drawn(live.model, 4, max_tokens=8)
    assert [draw.error for draw in draws] == [None] * 4
    assert len({draw.text for draw in draws}) > 1
    can = live.model.capabilities
    assert can is not None
    # Where the tokens of each cannot be counted, they are asked for one by one.
    is_shared = can.n and (can.counts_all or can.stream_n)
    assert [draw.batch for draw in draws] == ([4] * 4 if is_shared else [None] * 4)
    return YES if is_shared else "one by one"


async def check_seeds(live: Live) -> str:
    """A draw is the same alone and with others; on some servers only where no others are made at once.

    Rounding differs between a cached prompt and a new one, so that a few texts may part: most must not.
    """

    def shared(others: list[Sample]) -> int:
        return sum(one.text == other.text for one, other in zip(alone, others, strict=True))

    deployment = live.model.deployment
    single = OpenAIModel(replace(deployment, use_n=False, limits=replace(deployment.limits, concurrency=1)))
    together = await drawn(live.model, 4, max_tokens=8)
    alone = await drawn(single, 4, max_tokens=8)
    seeds = [draw.seed for draw in together]
    if None in seeds:
        return "none"
    assert seeds == [draw.seed for draw in alone]
    assert len({draw.text for draw in alone}) > 1
    if shared(together) >= 3:
        return YES
    assert shared(await drawn(single, 4, max_tokens=8)) >= 3
    return "one at a time"


async def check_usage(live: Live) -> str:
    """Usage is the server's own to the token: cut draws have all their tokens, ended ones one more than is seen."""
    before = await live.idle()
    run = Run(live.model, params=Params(max_tokens=12))
    draws = await run.draw(HELLO, 11)
    await live.generates(before, run.spent.output_tokens)
    cut = [draw for draw in draws if draw.finish is Finish.LENGTH]
    assert cut
    assert all(draw.cost.output_tokens == 12 for draw in cut)
    if live.n_tokens is None:
        return "its counters"
    # Of one text there may be several ways to be made of tokens, of which a greedy reply has the usual one.
    for prompt in (HELLO, COUNT, ODD.prompt):
        (draw,) = await drawn(live.model, 1, prompt, temperature=0.0, max_tokens=40)
        assert draw.cost.output_tokens == live.n_tokens(draw.text) + (draw.finish is Finish.STOP)
    return "its tokenizer"


async def check_ceilings(live: Live) -> str:
    """A ceiling holds for runs at once."""
    before = await live.idle()
    runs = [Run(live.model, budget=Budget(tokens=40), params=Params(max_tokens=8), seed=seed) for seed in range(3)]
    await asyncio.gather(*(run.draw(HELLO, 9) for run in runs))
    spent = [run.spent.output_tokens or 0 for run in runs]
    assert all(0 < each <= 40 for each in spent)
    await live.generates(before, sum(spent))
    return YES


async def check_stop(live: Live) -> str:
    """Stop strings, of which there are more than some servers take."""
    (greedy,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12)
    stop = " " + greedy.text.split(" ")[2]
    stops = (stop, "#1", "#2", "#3", "#4")
    (short,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12, stop=stops)
    assert short.text == greedy.text[: greedy.text.index(stop)]
    assert short.finish is Finish.STOP_STRING
    return YES


async def check_logprobs(live: Live) -> str:
    """Log-probabilities of every token; those of a greedy reply are the highest of their place."""
    (greedy,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12, logprobs=2)
    assert greedy.logprobs is not None
    assert greedy.alternatives is not None
    assert len(greedy.logprobs) == 12
    likeliest = [max(p for _, p in tops) for tops in greedy.alternatives]
    assert list(greedy.logprobs) == pytest.approx(likeliest), "a greedy token is the likeliest"
    return YES


async def check_continued(live: Live) -> str:
    """A partial reply is continued where it ends."""
    await drawn(live.model, 1, COUNT.extend("I"), max_tokens=1)  # refused before anything is drawn, or taken
    (greedy,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12)
    begun = greedy.text[: greedy.text.index(" ", 8)]
    (rest,) = await drawn(live.model, 1, COUNT.extend(begun), temperature=0.0, max_tokens=6)
    assert greedy.text.startswith(rest.reply) or rest.reply.startswith(greedy.text)
    return YES


async def check_cancelled(live: Live) -> str:
    """What is cancelled ends on the server, and is told as lost; a proxy may let it go on."""
    purse, before = FakePurse(), await live.idle()
    draws, most = [Draw(i, 7 + i) for i in range(4)], 400 if live.running else 60

    async def first() -> Sample:
        async with aclosing(live.model.sample(STORY, Params(max_tokens=most), draws, purse)) as stream:
            return await anext(stream)

    asked = asyncio.create_task(first())
    if live.running:
        await live.until(live.running, lambda n: n > 0)
    else:
        await asyncio.wait([asked], timeout=0.5)
    assert asked.cancel(), "the story ended before it could be cancelled"
    with pytest.raises(asyncio.CancelledError):
        await asked
    # Where each is a request of its own, some may not have been begun.
    assert 1 <= len(purse.losses) <= 4
    after = await live.idle()
    (draw,) = await drawn(live.model, 1, max_tokens=4)
    assert draw.error is None
    if before is None or after is None:
        return "not told"
    # Uncancelled, they are four times as many.
    return YES if after - before < 400 else "no, they go on"


async def check_resumed(live: Live) -> str:
    """A run that was left resumes from its bank: what had arrived is there and costs nothing, the rest is drawn."""
    bank, params = MemoryBank(), Params(max_tokens=8)
    had: list[Sample] = []
    async with Run(live.model, bank=bank, params=params).sample(HELLO, 6) as stream:
        async for sample in stream:
            had.append(sample)
            if len(had) == 2:
                break
    before = await live.idle()
    again = Run(live.model, bank=bank, params=params)
    draws = await again.draw(HELLO, 6)
    assert {(one.draw, one.text) for one in had} <= {(one.draw, one.text) for one in draws}
    assert again.fresh.calls is not None
    assert again.fresh.calls <= 4
    await live.generates(before, again.fresh.output_tokens)
    third = Run(live.model, bank=bank, params=params)
    assert [one.text for one in await third.draw(HELLO, 6)] == [one.text for one in draws]
    assert third.fresh == Cost()
    assert third.spent.output_tokens == again.spent.output_tokens
    await live.generates(before, again.fresh.output_tokens)
    return YES


def check_strategy(plan: str, verifier: Verifier | None = None) -> Callable[[Live], Awaitable[str]]:
    """A strategy has its draws, each with its tokens; a small model's replies may have no answer."""

    async def check(live: Live) -> str:
        before = await live.idle()
        run = await solved(live.model, plan, verifier)
        await live.generates(before, run.spent.output_tokens)
        return YES

    return check


async def solved(model: Model, plan: str, verifier: Verifier | None = None) -> Run:
    """The run of a strategy on a short question."""
    run = Run(model, params=Params(max_tokens=16), verifier=verifier)
    outcome = await spec.strategy(plan)(ODD, run)
    assert outcome.candidates
    assert [draw.error for draw in outcome.candidates if draw.error] == []
    return run


def check_verifier(k: int) -> Callable[[Live], Awaitable[str]]:
    """The model as its own verifier, by the probability of a word or by written verdicts; its tokens are counted."""

    async def check(live: Live) -> str:
        return await check_judged(live, verifier=GenRM(live.model, k=k, max_tokens=16))

    return check


async def check_pairwise(live: Live) -> str:
    """The model as a judge of two replies, in both orders."""
    return await check_judged(live, judge=Pairwise(live.model))


async def check_judged(live: Live, verifier: Verifier | None = None, judge: Judge | None = None) -> str:
    """Verdicts come, or the reason why there is none; what was generated for them is counted."""
    run = Run(live.model, params=Params(max_tokens=8), verifier=verifier, judge=judge)
    one, other = await run.draw(ODD.prompt, 2)
    before = await live.idle()
    if judge is None:
        scores = await run.score(ODD, [one, other])
        told = [(score.value, score.why) for score in scores]
    else:
        told = [(preference.first, preference.why) for preference in await run.prefer(ODD, [Pair(one, other)])]
    assert all(value is not None or why for value, why in told)
    await live.generates(before, run.spent.verifier_tokens)
    if not run.spent.verifier_tokens:
        assert all(value is None and "log-probabilities" in why for value, why in told)
        return UNSCORED
    return YES


async def check_unrewarded(live: Live) -> str:
    """A server without pooling routes gives a reward model's replies no score, and says why."""
    deployment = live.model.deployment
    at = f"model={deployment.served},base_url={deployment.urls[0]}"
    for option in ("orm:preset=bradley-terry", "prm:preset=skywork-prm", "orm:preset=cross-encoder"):
        verifier = spec.build("verifier", spec.VERIFIERS, f"{option},{at}")
        (score,) = await Run(live.model, verifier=verifier).score(ODD, [Sample(ODD.prompt, "Yes", Finish.STOP)])
        assert score.value is None
        assert "HTTP 4" in score.why or "HTTP 5" in score.why
    return UNSCORED


REWARDS = "reward models (`orm`, `prm`)"
JUDGED: dict[str, Callable[[Live], Awaitable[str]]] = {
    "`genrm` by a word's probability": check_verifier(0),
    "`genrm` in writing": check_verifier(1),
    "`pairwise`": check_pairwise,
}
"""Their prompts are long, which takes seconds on a processor."""
CHECKS: dict[str, Callable[[Live], Awaitable[str]]] = {
    "several replies to a request": check_shared,
    "a draw is the same alone and with others": check_seeds,
    "every token counted, by": check_usage,
    "ceilings hold for runs at once": check_ceilings,
    "stop strings": check_stop,
    "log-probabilities": check_logprobs,
    "partial replies": check_continued,
    "cancelled draws end on the server": check_cancelled,
    "an interrupted run resumes": check_resumed,
    "`majority`": check_strategy("majority:n=4"),
    "`force`": check_strategy("force:at_most=8,n_answer=8"),
    "`probe-stop`": check_strategy("probe-stop:k=2,chunk=4,n_answer=8"),
    "`beam`": check_strategy("beam:n=4,width=2,depth=2", FakeVerifier()),
    **JUDGED,
}
