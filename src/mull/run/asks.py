"""What is asked of a model, and the budget held for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mull.errors import UsageError
from mull.types import Cost, Params, Prompt, Sample


def check_asked(prompt: Prompt, n: int, params: Params) -> None:
    """Refuses what no model could answer."""
    if n < 1:
        raise UsageError(f"the number of draws must be at least 1, not {n}")
    if not any(message.content.strip() for message in prompt.messages):
        raise UsageError("the prompt is empty")
    if not params.temperature >= 0:
        raise UsageError(f"the temperature must be 0 or more, not {params.temperature}")
    if params.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {params.max_tokens}")
    if not 0 < params.top_p <= 1:
        raise UsageError(f"top_p must be above 0 and at most 1, not {params.top_p}")
    if params.top_k < 0:
        raise UsageError(f"top_k must be 0 (off) or more, not {params.top_k}")
    if params.thinking_tokens is not None and (params.thinking_tokens < 0 or prompt.prefix):
        raise UsageError("a server's thinking budget is 0 or more, and for whole replies, not for the rest of one")
    for text, bias in params.logit_bias:
        if not text or not -100 <= bias <= 100:
            raise UsageError(f"a logit bias is a text and a number from -100 to 100, not {text!r} and {bias}")


@dataclass(slots=True, eq=False)
class Hold:
    """Budget set aside for `n` calls that cost at most `quote` each."""

    quote: Cost
    n: int


class Ask(NamedTuple):
    """So many draws of one question."""

    prompt: Prompt
    n: int
    params: Params


class Given:
    """The draws that a run has given out, and those of them that were handed back for another use.

    Draws are told apart by identity, so that a reply that was put together from draws is none.
    """

    def __init__(self) -> None:
        self._out: dict[int, tuple[str, Sample]] = {}  # the samples are held, so that no identity is used twice
        self._back: defaultdict[str, dict[int, Sample]] = defaultdict(dict)

    @property
    def n_back(self) -> int:
        """How many were handed back and not given out again."""
        return sum(map(len, self._back.values()))

    def give(self, key: str, sample: Sample) -> None:
        """A draw of the question with this key was handed to the strategy."""
        self._out[id(sample)] = key, sample

    def has(self, sample: Sample) -> bool:
        """Whether it is a draw that was given out."""
        return self._out.get(id(sample), ("", None))[1] is sample

    def hand_back(self, samples: Iterable[Sample]) -> int:
        """Takes those back that were given out; returns how many that are."""
        n = 0
        for sample in samples:
            if self.has(sample):
                self._back[self._out[id(sample)][0]][sample.draw] = sample
                n += 1
        return n

    def withdraw(self, samples: Iterable[Sample]) -> None:
        """Those of them that were handed back and not given out again are no longer to be had."""
        for sample in samples:
            key, _ = self._out.get(id(sample), ("", None))
            if self._back[key].get(sample.draw) is sample:
                del self._back[key][sample.draw]

    def again(self, key: str) -> Sample | None:
        """The first draw of a question that was handed back, which is then given out again; `None`: there is none."""
        back = self._back.get(key)
        return back.pop(min(back)) if back else None
