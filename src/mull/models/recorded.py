"""A model that serves recorded samples as draws, to try any strategy on real data at no cost."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mull.errors import FileFormatError, PromptError, UsageError
from mull.files.columns import Named
from mull.files.logs import formats
from mull.files.recording import RecordedSample, Recording
from mull.replies.asking import unasked
from mull.types import A_FILE, Cost, Draw, Finish, Params, Prompt, Purse, Sample
from mull.types.refusals import BIASES, CONTINUES, LIMITS_THINKING, beyond_text


def cost_of(output_tokens: int | None) -> Cost:
    """A recorded draw counts as one call of so many tokens, where they were recorded; the rest was not."""
    return Cost(1, None, output_tokens, 0, None, None, None, None)


def sample_of(prompt: Prompt, recorded: RecordedSample, number: int = 0, seed: int | None = None) -> Sample:
    """A recorded sample as draw `number`."""
    finish, calls = recorded.finish or Finish.STOP, recorded.run.tool_calls if recorded.run else ()
    cost = cost_of(recorded.output_tokens)
    return Sample(prompt, recorded.text, finish, cost, number, seed, answer=recorded.answer, tool_calls=calls)


@dataclass(frozen=True)
class RecordedModel(Named):
    """Serves each recorded sample of a problem once, in an order that the seed determines.

    After the last one there are no more draws. `model` selects the rows of one model. The other options name columns
    that do not have the usual names, and the range of scores (`LOW,HIGH`), as for `file:`. A prompt that asks for a
    form of answer is looked up without that sentence too.
    """

    path: str = field(metadata=A_FILE)
    model: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._places  # noqa: B018 - a malformed file must be refused before anything is drawn

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        if prompt.prefix:
            return CONTINUES
        if params.logit_bias:
            return BIASES
        return LIMITS_THINKING if params.thinking_tokens is not None else beyond_text(prompt, params)

    @property
    def name(self) -> str:
        return "recorded:" + Path(self.path).name + (f",model={self.model}" if self.model else "")

    @cached_property
    def identity(self) -> str:
        path = Path(self.path)
        parts = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
        content = hashlib.blake2b(digest_size=10)
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    content.update(block)
        return f"{self.name}@{content.hexdigest()}/{self.seed}"

    @cached_property
    def _recordings(self) -> Sequence[Recording]:
        return formats.recordings(Path(self.path), self.model, self)

    @cached_property
    def _places(self) -> dict[bytes, int]:
        """Where each prompt is among the recordings."""
        found: dict[bytes, int] = {}
        for place, recording in enumerate(self._recordings):
            first = found.setdefault(_digest(recording.prompt or ""), place)
            if first != place:
                twin = self._recordings[first]
                where = f"problem {twin.id!r}" if twin.line is None else f"line {twin.line}"
                raise FileFormatError(
                    self.path, recording.line, f"the same prompt as {where}: pick one model's rows with model="
                )
        return found

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        if params.logprobs is not None:
            raise UsageError(f"{self.name}: recorded samples have no log-probabilities, but logprobs was requested")
        return cost_of(None)

    def _order(self, recording: Recording) -> list[int]:
        order = list(range(len(recording.samples)))
        random.Random(f"{self.seed}/{recording.id}".encode(errors="surrogatepass")).shuffle(order)
        return order

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        asked = prompt.question
        place = self._places.get(_digest(asked))
        place = self._places.get(_digest(unasked(asked))) if place is None else place
        if place is None:
            raise PromptError(f"{self.path} has no recording of the prompt {asked[:60]!r}")
        recording = self._recordings[place]
        order = self._order(recording)
        for draw in draws:
            if draw.number < len(order):
                yield sample_of(prompt, recording.samples[order[draw.number]], *draw)


def _digest(prompt: str) -> bytes:
    return hashlib.blake2b(prompt.encode(errors="surrogatepass"), digest_size=16).digest()
