"""The built-in models, run without torch: text and costs. `runtime/engine.py` does the computation."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mull.cost import Price
from mull.cost.flops import read_config
from mull.errors import ModelError, PromptError
from mull.runtime import WEIGHTS
from mull.runtime.tokens import Content, Tokens, content_of, one_a_process
from mull.types import A_FILE, Cost, Draw, Finish, Message, Params, Prompt, Purse, Sample
from mull.types.refusals import LIMITS_THINKING, beyond_text

if TYPE_CHECKING:
    from mull.runtime.engine import Engine
    from mull.runtime.requests import Finished


class Texts(Protocol):
    """A model's tokenizer."""

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, none of them special. Raises `PromptError` for what the model cannot read."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special tokens."""
        ...

    def shown(self, token: int) -> str:
        """A token by itself, as it is reported."""
        ...

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of messages, up to where the reply begins."""
        ...


class LoadedModel(Protocol):
    """A loaded model: its engine and its tokenizer."""

    @property
    def engine(self) -> Engine: ...

    @property
    def tokens(self) -> Texts: ...


class Loaded:
    """A loaded model: its engine and its tokenizer."""

    def __init__(self, folder: Path) -> None:
        from mull.runtime.engine import Engine
        from mull.runtime.session import Session

        self.engine: Engine = Engine(Session(folder))
        self.tokens = Tokens(folder)


_load = one_a_process(Loaded, content_of)


@dataclass(frozen=True)
class EmbeddedModel:
    """A model whose weights are in a folder: a checkpoint exported by `recipes/export.py`.

    Log-probabilities are the model's own, before temperature and logit bias. A prompt is computed once for all its
    draws and charged to draw 0; for the others it counts as cached. For a partial reply, a prefix shared with an
    earlier prompt also counts as cached, so that part of the cost depends on earlier requests. FLOPs are those of
    matrix products and attention (`mull.cost.flops`).
    """

    folder: str = field(metadata=A_FILE)

    @property
    def name(self) -> str:
        return Path(self.folder).name

    @cached_property
    def identity(self) -> str:
        return f"{self.name}@{self._content.weights}"

    @cached_property
    def _content(self) -> Content:
        """The content of the folder at first access, which defines the model from then on."""
        return content_of(Path(self.folder))

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return LIMITS_THINKING if params.thinking_tokens is not None else beyond_text(prompt, params)

    @cached_property
    def _model(self) -> LoadedModel:
        return _load(Path(self.folder), self._content)

    @cached_property
    def _price(self) -> Price:
        return Price(0.0, 0.0, architecture=read_config(Path(self.folder, "config.json")))

    def _ids(self, prompt: Prompt) -> list[int]:
        """Token ids of the conversation, in the format that the models were trained on. Raises `PromptError`."""
        tokens = self._model.tokens
        ids = [*tokens.conversation(prompt.messages), *tokens.encode(prompt.prefix)]
        context = self._model.engine.session.config.context
        if len(ids) >= context:
            raise PromptError(f"the prompt has {len(ids)} tokens, and {self.name} reads at most {context - 1}")
        return ids

    def _room(self, n_prompt: int, params: Params) -> int:
        return min(params.max_tokens, self._model.engine.session.config.context - n_prompt)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        n = len(self._ids(prompt))
        self._bias(params.logit_bias)  # refused here, before anything is spent
        return self._price.cost(n, self._room(n, params))

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        from mull.runtime.requests import Request

        ids = self._ids(prompt)
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[list[Finished] | BaseException] = asyncio.Queue()

        def hand_over(item: list[Finished] | BaseException) -> None:
            # If the loop is closed, nobody is waiting for the result.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(arrived.put_nowait, item)

        request = Request(
            tuple(ids),
            len(ids) - len(self._model.tokens.encode(prompt.prefix)),
            [draw.seed for draw in draws],
            self._room(len(ids), params),
            params.temperature,
            params.top_p,
            params.top_k,
            self._stops(params.stop),
            hand_over,
            hand_over,
            self._bias(params.logit_bias),
            params.logprobs or 0,
        )
        engine = self._model.engine
        engine.submit(request)
        n_left = len(draws)
        ready: deque[Finished] = deque()
        try:
            while n_left or ready:
                if not ready:
                    item = await arrived.get()
                    if isinstance(item, BaseException):
                        n_left = 0
                        raise ModelError(f"{self.name} failed: {item}") from item
                    n_left -= len(item)
                    ready.extend(item)
                finished = ready.popleft()
                yield self._sample(prompt, params, draws[finished.place], len(ids), finished)
        finally:
            if n_left:
                n_left -= engine.cancel(request)
            while n_left:
                item = await arrived.get()
                if isinstance(item, BaseException):
                    break
                n_left -= len(item)
                ready.extend(item)
            for finished in ready:
                purse.lost(self._cost(prompt, draws[finished.place], len(ids), finished))

    def _bias(self, logit_bias: tuple[tuple[str, float], ...]) -> Any:
        """The bias of each token's logit. Raises `PromptError` for texts outside the model's vocabulary."""
        if not logit_bias:
            return None
        import numpy as np

        added = np.zeros(self._model.engine.session.config.outputs)
        for text, bias in logit_bias:
            added[self._model.tokens.encode(text)[0]] += bias
        return added

    def _stops(self, stop: tuple[str, ...]) -> Callable[[list[int]], bool] | None:
        """A check whether tokens end in a stop string, limited to the tail that the last token may have completed."""
        if not stop:
            return None
        longest = max(map(len, stop))
        decode = self._model.tokens.decode

        def is_over(tokens: list[int]) -> bool:
            tail = decode(tokens[-longest:])
            return any(s in tail for s in stop)

        return is_over

    def _cost(self, prompt: Prompt, draw: Draw, n_prompt: int, finished: Finished) -> Cost:
        shared = finished.n_cached if prompt.prefix else 0
        n_cached = n_prompt if draw.number > 0 else shared
        cost = self._price.cost(n_prompt, len(finished.tokens), n_cached)
        return Cost(1, n_prompt, len(finished.tokens), 0, n_cached, cost.flops, cost.usd, finished.seconds)

    def _sample(self, prompt: Prompt, params: Params, draw: Draw, n_prompt: int, finished: Finished) -> Sample:
        tokens = finished.tokens
        text = self._model.tokens.decode(tokens)
        finish = Finish.LENGTH
        if tokens[-1] in self._model.engine.session.config.ends:
            finish = Finish.STOP
        elif cuts := [at for s in params.stop if (at := text.find(s)) >= 0]:
            text, finish = text[: min(cuts)], Finish.STOP_STRING
        cost = self._cost(prompt, draw, n_prompt, finished)
        told = [tuple((self._model.tokens.shown(token), p) for token, p in place) for place in finished.tops]
        alternatives = tuple(told) if params.logprobs else None
        return Sample(
            prompt,
            text,
            finish,
            cost,
            draw.number,
            draw.seed,
            tuple(finished.logprobs),
            alternatives=alternatives,
            pieces=None if params.logprobs is None else tuple(self._model.tokens.decode([one]) for one in tokens),
        )


@dataclass(frozen=True)
class Nano(EmbeddedModel):
    """The small built-in model, 0.3 million parameters."""

    folder: str = field(default=str(WEIGHTS / "nano"), init=False, repr=False)


@dataclass(frozen=True)
class Mini(EmbeddedModel):
    """The larger built-in model, 14 times nano's parameters."""

    folder: str = field(default=str(WEIGHTS / "mini"), init=False, repr=False)


@dataclass(frozen=True)
class NanoR1(EmbeddedModel):
    """nano, reinforced on its own draws of long chains (GRPO)."""

    folder: str = field(default=str(WEIGHTS / "nano-r1"), init=False, repr=False)


@dataclass(frozen=True)
class NanoThink(EmbeddedModel):
    """nano, trained further to derive again after `Wait` and to give the majority answer of its derivations."""

    folder: str = field(default=str(WEIGHTS / "nano-think"), init=False, repr=False)
