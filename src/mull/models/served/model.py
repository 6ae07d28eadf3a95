"""Models behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment, short_name
from mull.models.served.known import known
from mull.types import Cost, Draw, Params, Prompt, Purse, Sample

FIXED = {"temperature": "--temperature", "top_p": "top_p"}
"""Parameters that some hosted models refuse, and how they are set."""
UNKNOWN = "it is not known yet what its server can do: run mull list models --probe, or await model.prepare()"


@dataclass(frozen=True)
class OpenAIModel:
    """The model of a deployment."""

    deployment: Deployment

    @property
    def name(self) -> str:
        return self.deployment.name

    @property
    def identity(self) -> str:
        return self.deployment.identity

    @property
    def about(self) -> str:
        """The server's name for the model, and where it is."""
        return f"{short_name(self.deployment.served)} at {', '.join(self.deployment.urls)}"

    @property
    def at_once(self) -> int:
        """The most requests that may be in progress at the same time."""
        return self.deployment.limits.concurrency * len(self.deployment.urls)

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server can do; `None`: not probed yet."""
        return known(self.deployment)

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        """Why the server cannot serve this request, according to the probe that `prepare` runs."""
        can = self.capabilities
        is_completions = self.deployment.api == "completions"
        continues = is_completions or (can or Capabilities()).continues is not None
        if not prompt.is_plain and is_completions:
            return 'accepts only text, because it uses the completions API: set api = "chat"'
        if prompt.prefix and not continues:
            return f"cannot continue a partial reply: {UNKNOWN if can is None else can.why}"
        if prompt.prefix and not prompt.is_plain and can is not None and can.continues == "template":
            return "continues a partial reply only after plain text"
        if params.logit_bias and (can is None or can.biases is None):
            why = "its server ignores logit_bias, or does not report token ids (POST /tokenize)"
            return f"does not support a logit bias: {UNKNOWN if can is None else why}"
        if params.thinking_tokens is not None and (can is None or can.limits is None):
            return f"has no thinking budget of its own: {UNKNOWN if can is None else _no_limit(can, continues)}"
        if can is not None and params.thinking_tokens is not None and params.thinking_tokens < can.least_limit:
            least = f"{can.least_limit:,} tokens, as its server says"
            return f"has a thinking budget of at least {least}: {params.thinking_tokens:,} are too few"
        refused = [] if can is None else [name for name in FIXED if name in can.rejects and getattr(params, name) != 1]
        if refused:
            return f"accepts no {' and no '.join(refused)}, as its server says: leave {FIXED[refused[0]]} at 1"
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that a draw can cost; a prompt has at most one token per byte, plus what its template adds."""
        return self.deployment.quote(prompt, params, self.capabilities)

    async def prepare(self, purse: Purse | None = None) -> None:
        """Probes the server, unless its capabilities are known. Raises `ModelError` or `UsageError`."""
        from mull.models.served.hello import greet
        from mull.models.served.opened import opened

        if self.capabilities is None:
            await greet(await opened(self.deployment), purse)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        # Import the HTTP client only when there is something to draw: the bank may hold every draw.
        from mull.models.served.drawing import Batch
        from mull.models.served.hello import greet
        from mull.models.served.opened import opened
        from mull.models.served.requests import ask
        from mull.models.served.tokens import first_tokens

        here = await opened(self.deployment)
        can = here.can or await greet(here, purse)
        deployment = here.named
        token_ids = await first_tokens(here, [text for text, _ in params.logit_bias], can)
        # Greedy draws are all the same, and some servers refuse several of them.
        is_shared = deployment.use_n and can.n and len(draws) > 1 and params.temperature > 0
        in_time = is_shared and purse.until is not None
        asked = ask(deployment, prompt, params, can, token_ids, in_time=in_time)
        # A deadline cuts a request whole unless it is streamed: then draws in separate requests keep what is finished.
        is_shared = is_shared and not asked.cut_at and (asked.is_streamed or not in_time or deployment.stream is False)
        is_shared = is_shared and (can.counts_all or (asked.is_streamed and can.stream_n))
        width = here.width(can, len(draws)) if is_shared else 1
        for endpoint in here.link.pool.endpoints:
            endpoint.expect(can.rate, width * params.max_tokens)
        arrived: asyncio.Queue[Sample | BaseException] = asyncio.Queue()
        batches = [
            Batch(here, asked, prompt, params, draws[i : i + width], can, purse, arrived.put_nowait)
            for i in range(0, len(draws), width)
        ]

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                arrived.put_nowait(error)

        todo = iter(batches)

        async def work() -> None:
            for batch in todo:
                await batch.run()

        # No more workers than can be active at once: waiting ones only cost time.
        n_workers = min(len(batches), self.at_once)
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
                purse.lost(unseen.cost)
            for batch in batches:
                for cost in batch.lost():
                    purse.lost(cost)


def _taken(arrived: asyncio.Queue[Sample | BaseException]) -> Iterator[Sample]:
    """Removes the draws that wait in a queue."""
    while not arrived.empty():
        if isinstance(item := arrived.get_nowait(), Sample):
            yield item


def _no_limit(can: Capabilities, continues: bool) -> str:
    """Why the server has no thinking budget, and a remedy."""
    remedy = "use force:at_most=..." if continues else "set a field that its server enforces in extra_body"
    if can.no_limit:
        return f"its server refuses one ({can.no_limit}); set effort in mull.toml, or {remedy}"
    if can.ignores:
        return f"its server accepts {', '.join(can.ignores)} but does not think less; {remedy}"
    return f"no field was found that limits its thinking, if it thinks at all; {remedy}"
