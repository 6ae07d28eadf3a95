"""A model file in GGUF format, run by llama.cpp in this process (`pip install 'mull-scaling[gguf]'`).

llama.cpp generates several replies at once from one prompt, which it computes once, and reply i is that of the seed
plus i. Its own server answers on a port of this machine alone, and is asked as any other server.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mull.cost import Price, total
from mull.errors import FileFormatError, ModelError, UsageError, install
from mull.files.gguf import Header, digest, read_header
from mull.models import law
from mull.models.files import located
from mull.models.hf import Hf
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment, bound
from mull.models.served.known import assume
from mull.models.served.model import OpenAIModel
from mull.models.sizes import architecture, free_memory, gib
from mull.types import Cost, Draw, Params, Prompt, Purse, Sample
from mull.wire.endpoints import Limits

NOWHERE = "http://127.0.0.1:9/v1"
"""Stands for the server before it is started."""
RATHER_MORE = 256 << 20
"""Bytes that the engine needs beside the weights and the context."""
USUAL_SLOTS = 16
HOUR = 3600.0

_servers: dict[tuple[Any, ...], str] = {}
_kept: list[Any] = []
_checked: set[str] = set()
"""Servers whose draws were held against their log-probabilities."""
_starting = threading.Lock()


@dataclass(frozen=True)
class Gguf:
    """A model file in GGUF format, run by llama.cpp in this process: `gguf:FILE` or `gguf:hf.co/OWNER/REPO/FILE`.

    A name alone is also looked for among files fetched before and in installed packages (`mull list models`).
    `slots` replies are generated at once (16 by default, or fewer where memory is short), each with `context` tokens
    for prompt and reply (at most what the model was trained on). `threads` leaves one processor free by default:
    llama.cpp waits in a loop for its slowest thread, so that with all of them in use it is many times slower beside
    other work. `api=completions` is for models without a chat template.

    `engine=own` runs it by mull's own engine instead (`hf`): Llama, Qwen2 and Qwen3, weights dequantised to `dtype`
    (float32, or bfloat16). Raises `FileFormatError` if the file is not a whole GGUF file.
    """

    file: str
    slots: int | None = None
    context: int = 4096
    threads: int | None = None
    api: Literal["chat", "completions"] = "chat"
    engine: Literal["llama.cpp", "own"] = "llama.cpp"
    dtype: Literal["float32", "bfloat16"] | None = None

    def __post_init__(self) -> None:
        if self.engine not in ("llama.cpp", "own"):
            raise UsageError(f"engine of a gguf model is llama.cpp or own, not {self.engine!r}")
        if self.engine == "own":
            if (self.slots, self.threads, self.api) != (None, None, "chat"):
                raise UsageError(
                    "slots, threads and api of a gguf model are llama.cpp's: leave them out, or engine=own"
                )
            assert self._own
            return
        if self.dtype is not None:
            raise UsageError(
                "dtype of a gguf model goes with engine=own: llama.cpp computes with the file's own weights"
            )
        if any(one is not None and one < 1 for one in (self.slots, self.context, self.threads)):
            raise UsageError("slots, context and threads of a gguf model are at least 1")
        if self.api not in ("chat", "completions"):
            raise UsageError(f"api of a gguf model is chat or completions, not {self.api!r}")
        if self.api == "chat" and not self._header.fields.get("tokenizer.chat_template"):
            raise FileFormatError(self.path, None, "its model has no chat template: add the option api=completions")

    @cached_property
    def _own(self) -> Hf | None:
        """The same by mull's own engine, if that runs it."""
        return Hf(str(self.path), self.dtype or "float32", self.context) if self.engine == "own" else None

    @cached_property
    def path(self) -> Path:
        """The file; one of the hub is fetched if it is not there yet."""
        return located(self.file)

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def _header(self) -> Header:
        return read_header(self.path)

    @cached_property
    def identity(self) -> str:
        if self._own is not None:
            return self._own.identity
        odd = "" if self.api == "chat" else f"/{self.api}"
        return f"{self.name}@{digest(self.path, self._header.n_bytes)}{odd}"

    @property
    def about(self) -> str:
        """Its architecture, and the memory that it needs with these options."""
        size, kind = gib(self._header.n_bytes), self._header.architecture or "unknown architecture"
        if self._own is not None:
            return f"{kind}, {size}; by mull's own engine"
        return f"{kind}, {size}; needs about {gib(self.n_bytes)} of memory with {self.n_slots} slots"

    @property
    def n_context(self) -> int:
        """Tokens of prompt and reply together."""
        trained = self._header.number("context_length")
        return self.context if trained is None else min(self.context, trained)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory that it needs: the weights, and keys and values of all slots in 16 bits."""
        return self._bytes_of(self.n_slots)

    def _bytes_of(self, n_slots: int) -> int:
        layers, heads = self._header.number("block_count") or 0, self._header.number("attention.head_count") or 1
        width = self._header.number("embedding_length") or 0
        head = self._header.number("attention.key_length") or width // heads
        values = 2 * layers * (self._header.number("attention.head_count_kv") or heads) * head
        return self._header.n_bytes + 2 * values * self.n_context * n_slots + RATHER_MORE

    @cached_property
    def n_slots(self) -> int:
        """Replies that are generated at once: as many as fit into the memory that is free, at most `USUAL_SLOTS`."""
        if self.slots is not None:
            return self.slots
        free, n = free_memory(), USUAL_SLOTS
        while n > 1 and free is not None and self._bytes_of(n) > free:
            n //= 2
        return n

    @cached_property
    def capabilities(self) -> Capabilities:
        """What its server can do, which is known."""
        return Capabilities(
            "llama.cpp",
            n=True,
            seed=True,
            seed_bits=31,
            logprobs=True,
            stream=True,
            stream_usage=True,
            stream_n=True,
            slots=self.n_slots,
            counts_all=False,
            batch_seeds="counted",
            context=self.n_context,
            echoes=True,
            continues="flag" if self.api == "chat" else "trailing",
            overhead=256,
            biases="ids",
        )

    @cached_property
    def _price(self) -> Price:
        return Price(0.0, 0.0, architecture=architecture(self._header))

    def _at(self, url: str) -> OpenAIModel:
        deployment = Deployment(
            self.name,
            (url,),
            self.name,
            self.api,
            price=self._price,
            limits=Limits(concurrency=self.n_slots, timeout=HOUR, idle=HOUR),
            most_n=self.n_slots,
            bank_as=self.identity,
        )
        assume(deployment, self.capabilities)
        return OpenAIModel(deployment)

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        if self._own is not None:
            return self._own.refuses(prompt, params)
        return self._at(NOWHERE).refuses(prompt, params)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that a draw can cost; a prompt has at most one token per byte, plus what its template adds."""
        if self._own is not None:
            return self._own.quote(prompt, params)
        most = bound(prompt, self.capabilities)
        n_prompt = None if most is None else min(most, self.n_context)
        return self._price.cost(n_prompt, min(params.max_tokens, self.n_context))

    async def prepare(self, purse: Purse | None = None) -> None:
        """Loads the model, and checks once that its draws follow its log-probabilities.

        Raises `UsageError` without the engine, `ModelError` if it cannot be loaded or draws from another law.
        """
        if self._own is None:
            await self._opened(purse)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        model = self._own or await self._opened(purse)
        stream = model.sample(prompt, params, draws, purse)
        try:
            async for sample in stream:
                yield sample
        finally:
            await stream.aclose()

    async def _opened(self, purse: Purse | None) -> OpenAIModel:
        """The model behind its server, ready to be asked."""
        from mull.models.served.opened import opened

        model = self._at(await asyncio.to_thread(self._start))
        here = await opened(model.deployment)
        async with here.lock:
            if here.can is None:
                for endpoint in here.link.pool.endpoints:
                    endpoint.slots = self.n_slots
                here.can = self.capabilities
                if model.deployment.urls[0] not in _checked:
                    await self._check(model, purse)
                    _checked.add(model.deployment.urls[0])
        return model

    async def _check(self, model: OpenAIModel, purse: Purse | None) -> None:
        """Raises `ModelError` if first tokens do not follow the law that the engine reports.

        Skipped if the ceilings leave no room for it.
        """
        prompt = law.QUESTION if self.api == "chat" else Prompt.user("The")
        quote = replace(self.quote(prompt, law.FIRST), calls=1)
        if purse is not None and not purse.hold(total([quote] * law.N_DRAWS)):
            return
        spent = purse or Unmetered()
        drawn = [Draw(i, i) for i in range(law.N_DRAWS)]
        draws = [sample async for sample in model.sample(prompt, law.FIRST, drawn, spent)]
        spent.pay(total(sample.cost for sample in draws))
        if (why := law.departs(draws)) is not None:
            raise ModelError(f"{self.name}: llama.cpp does not draw from the law that it reports: {why}")

    def _start(self) -> str:
        """The URL of the server in this process, started when it is first needed."""
        key = os.getpid(), self.identity, self.n_slots, self.n_context, self.threads, self.api
        with _starting:
            if key not in _servers:
                _servers[key] = self._begin()
            return _servers[key]

    def _begin(self) -> str:
        try:
            import xllamacpp
        except ImportError as error:
            raise UsageError(f"gguf models need llama.cpp: {install('gguf')}") from error
        free = free_memory()
        if free is not None and self.n_bytes > free:
            raise ModelError(
                f"{self.name} needs about {gib(self.n_bytes)} with slots={self.n_slots} and context={self.n_context}, "
                f"and {gib(free)} are free: lower these options"
            )
        options = xllamacpp.CommonParams()
        options.model.path = str(self.path)
        options.model_alias = {self.name}
        options.hostnames, options.port = ["127.0.0.1"], 0
        options.n_parallel, options.n_ctx, options.kv_unified = self.n_slots, self.n_slots * self.n_context, False
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = self.threads or default_threads()
        options.n_threads_http = self.n_slots + 4
        options.timeout_read = options.timeout_write = int(HOUR)
        options.endpoint_metrics, options.ui, options.fit_params = True, False, False
        options.verbosity = 0
        try:
            server = xllamacpp.Server(options)
        except RuntimeError as error:
            kind = self._header.architecture or "unknown"
            raise ModelError(
                f"llama.cpp cannot load {self.path}: {error} Its architecture is {kind!r}, which this version of "
                "llama.cpp may not know"
            ) from error
        _kept.append(server)
        return f"{server.listening_address}/v1"


class Unmetered:
    """The purse of draws that no run pays for."""

    until: float | None = None

    def lost(self, cost: Cost) -> None:
        pass

    def hold(self, cost: Cost) -> bool:
        return True

    def pay(self, cost: Cost) -> None:
        pass


def default_threads() -> int:
    """All processors that this process may use but one."""
    return max(1, len(os.sched_getaffinity(0)) - 1) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 2) // 2
