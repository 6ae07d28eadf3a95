"""What every real server is held to, whoever wrote it: its own counters are the independent count.

`told` is the row of a server in the table of `docs/servers.md`, made from what the probe finds on the real one.
"""

import asyncio
import os
import re
import urllib.request
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mull import Budget, Finish, Params, Problem, Prompt, Run, Sample, spec
from mull.models.served.capabilities import Capabilities
from mull.models.served.model import OpenAIModel
from mull.testing import FakePurse
from mull.types import Draw

HELLO = Prompt.user("Say hello in one of many ways.")
COUNT = Prompt.user("Count to ten.")
PAGE = Path(__file__).parents[1] / "docs" / "servers.md"
MOST_SECONDS = 120.0


@dataclass(frozen=True)
class Live:
    """A model behind a running server, and the names of the server's own counters."""

    model: OpenAIModel
    generated: str
    running: str

    def count(self, name: str) -> int:
        """A counter at `/metrics`."""
        with urllib.request.urlopen(self.model.deployment.urls[0].removesuffix("/v1") + "/metrics") as page:
            found = re.search(rf"^{name}(?:{{.*}})? ([\d.e+]+)", page.read().decode(), re.MULTILINE)
        assert found is not None, name
        return int(float(found[1]))

    async def until(self, name: str, value: int) -> None:
        """Waits until a counter has a value: some servers count after they have answered."""
        async with asyncio.timeout(MOST_SECONDS):
            while await asyncio.to_thread(self.count, name) != value:
                pass


def told(can: Capabilities) -> str:
    """What the probe found on a server, as a row of the table in the docs."""
    shared = "no" if not can.n else "up to its slots" if can.slots else "yes"
    seeds = {"counted": "reply i has seed + i", "mixed": "of the request", "copied": "copies"}[can.batch_seeds]
    counts = "of all replies" if can.counts_all else "of the first reply; of each in a stream"
    cells = [
        can.backend if "unknown" in can.version else f"{can.backend} {can.version}".strip(),
        shared,
        seeds if can.seed and can.n else "kept" if can.seed else "none",
        counts if can.n else "of the reply",
        can.stop,
        "yes" if can.logprobs else "no",
        can.continues or "no",
        f"by {can.biases}" if can.biases else "no",
    ]
    return f"| {' | '.join(cells)} |"


def check_row(can: Capabilities) -> None:
    """The page has this row; with `MULL_WRITE_DOCS` set it is written there."""
    row, page = told(can), PAGE.read_text(encoding="utf-8")
    kind = re.escape(can.backend)
    if "MULL_WRITE_DOCS" in os.environ:
        page = re.sub(rf"^\| {kind}[^|]*\|(?: [^|]+\|){{7}}$", lambda _: row, page, count=1, flags=re.MULTILINE)
        PAGE.write_text(page, encoding="utf-8")
    found = re.search(rf"^\| {kind}(?: \S+)? \|(?: [^|]+\|){{7}}$", page, re.MULTILINE)
    assert found is not None, f"the table of docs/servers.md has no row of {can.backend}: {row}"
    # The version may differ where another one is installed; what it does may not.
    assert found[0].split(" | ")[1:] == row.split(" | ")[1:], row


async def drawn(model: OpenAIModel, n: int, prompt: Prompt = HELLO, **params: object) -> list[Sample]:
    return await Run(model, params=Params(**params)).draw(prompt, n)


async def check_usage(live: Live, n: int = 11) -> None:
    """Usage is the server's own to the token: cut draws have all their tokens, ended ones one more than is seen."""
    await live.model.prepare()
    before = live.count(live.generated)
    run = Run(live.model, params=Params(max_tokens=12))
    draws = await run.draw(HELLO, n)
    assert run.spent.output_tokens is not None
    await live.until(live.generated, before + run.spent.output_tokens)
    cut = [draw for draw in draws if draw.finish is Finish.LENGTH]
    assert cut
    assert all(draw.cost.output_tokens == 12 for draw in cut)
    assert max(draw.batch or 1 for draw in draws) > 1


async def check_alone(live: Live) -> None:
    """A draw is the same alone and with others.

    Rounding differs between a cached prompt and a new one, so that a few texts may part: most must not.
    """
    together = await drawn(live.model, 4, max_tokens=8)
    alone = await drawn(OpenAIModel(replace(live.model.deployment, use_n=False)), 4, max_tokens=8)
    assert ([draw.batch for draw in together], [draw.batch for draw in alone]) == ([4] * 4, [None] * 4)
    assert [draw.seed for draw in together] == [draw.seed for draw in alone]
    assert sum(one.text == other.text for one, other in zip(together, alone, strict=True)) >= 3
    assert len({draw.text for draw in together}) > 1


async def check_ceiling(live: Live) -> None:
    """A ceiling holds for runs at once."""
    await live.model.prepare()
    before = live.count(live.generated)
    runs = [Run(live.model, budget=Budget(tokens=40), params=Params(max_tokens=8), seed=seed) for seed in range(3)]
    await asyncio.gather(*(run.draw(HELLO, 9) for run in runs))
    spent = [run.spent.output_tokens or 0 for run in runs]
    assert all(0 < each <= 40 for each in spent)
    await live.until(live.generated, before + sum(spent))


async def check_texts(live: Live) -> None:
    """Log-probabilities, stop strings (more than a server takes) and the continuation of a partial reply."""
    (greedy,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12, logprobs=2)
    assert greedy.logprobs is not None
    assert greedy.alternatives is not None
    assert len(greedy.logprobs) == 12
    likeliest = [max(p for _, p in tops) for tops in greedy.alternatives]
    assert list(greedy.logprobs) == pytest.approx(likeliest), "a greedy token is the likeliest"
    stop = " " + greedy.text.split(" ")[2]
    stops = (stop, "#1", "#2", "#3", "#4")
    (short,) = await drawn(live.model, 1, COUNT, temperature=0.0, max_tokens=12, stop=stops)
    assert short.text == greedy.text[: greedy.text.index(stop)]
    assert short.finish is Finish.STOP_STRING
    begun = greedy.text[: greedy.text.index(" ", 8)]
    (rest,) = await drawn(live.model, 1, COUNT.extend(begun), temperature=0.0, max_tokens=6)
    assert greedy.text.startswith(rest.reply) or rest.reply.startswith(greedy.text)


async def check_cancelled(live: Live, most: int = 400) -> None:
    """What is cancelled ends on the server, and is told as lost."""
    await live.model.prepare()
    purse = FakePurse()
    draws = [Draw(i, 7 + i) for i in range(4)]
    async with aclosing(live.model.sample(HELLO, Params(max_tokens=most), draws, purse)) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(stream)
    assert len(purse.losses) == 4
    await live.until(live.running, 0)
    (draw,) = await drawn(live.model, 1, max_tokens=4)
    assert draw.finish is not Finish.ERROR


async def check_strategy(model: object, plan: str) -> Run:
    """A strategy has its draws, and their tokens are known; a small model's replies may have no answer."""
    run = Run(model, params=Params(max_tokens=16))  # type: ignore[arg-type]
    outcome = await spec.strategy(plan)(Problem("p", Prompt.user("Is 7 odd? Answer: yes or no.")), run)
    assert outcome.candidates
    assert [draw.error for draw in outcome.candidates if draw.error] == []
    assert run.spent.output_tokens is not None
    return run
