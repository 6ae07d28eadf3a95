"""Dynasor: probes a thought for its answer at intervals, and ends it when the answer no longer changes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mull.errors import UnknownNameError, UsageError
from mull.replies import thinking
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.thought import Thought, room_of
from mull.types import Finish, Need, Outcome, Problem, Sample, Scaling, Selection, Stopped

Watch = Literal["probe", "both"]
HEDGES = "wait|hold|but|okay|no|hmm"
"""Words that Dynasor reads as doubt."""


def certaindex(answers: Sequence[str | None]) -> float | None:
    """Agreement of answers: 1 - H / H_max, with H_max the entropy of as many distinct answers; `None` for none.

    Dynasor's measure of certainty (Fu et al. 2024, arXiv 2412.20993); a missing answer does not count.
    """
    counts = Counter(a for a in answers if a is not None)
    n = sum(counts.values())
    if n == 0:
        return None
    entropy = -math.fsum(c / n * math.log(c / n) for c in counts.values())
    return 1 - entropy / math.log(n) if n > 1 else 1.0


def hedged(text: str, words: str) -> bool:
    """Whether a text has one of the words, separated by `|`, as a whole word: `no` does not match `now` or `know`."""
    found = [re.escape(word.strip()) for word in words.split("|") if word.strip()]
    return bool(found) and re.search(rf"\b(?:{'|'.join(found)})\b", text, re.IGNORECASE) is not None


def agree(answers: Sequence[str | None], k: int) -> bool:
    """Whether there are `k` last answers, none of them missing and all equal."""
    last = answers[-k:]
    return len(last) == k and last[0] is not None and len(set(last)) == 1


@dataclass(frozen=True)
class ProbeStop:
    """One chain of thought that ends when its answer no longer changes (Dynasor: Fu et al. 2024, arXiv 2412.20993).

    After every `chunk` tokens a probe closes the thought, appends the cue and draws `probe` tokens at `temperature`;
    it is discarded, but its tokens count. The thought ends when the last `k` probes all give the same answer and none
    contains one of the `hedges` (`watch=both`: nor does the thought since the probe before). The answer is the last
    probe's, completed if it was cut. The paper's levels are `k` 8, 5, 3 and 2 with chunks of 64 tokens, and 2 with 32.
    `n_answer`, `think` and `cue` are as in `force`.
    """

    needs = frozenset({Need.CONTINUATION})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    k: int = 3
    chunk: int = 64
    probe: int = 20
    temperature: float = 0.6
    hedges: str = HEDGES
    watch: Watch = "probe"
    n_answer: int = 32
    think: str = "think"
    cue: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, k=self.k, chunk=self.chunk, probe=self.probe, n_answer=self.n_answer)
        if not self.temperature >= 0:
            raise UsageError(f"the temperature of probes must be 0 or more, not {self.temperature:g}")
        if self.watch not in get_args(Watch):
            raise UnknownNameError("watch", self.watch, get_args(Watch))
        if not thinking.delimiters(self.think, self.cue).cue.strip():
            raise UsageError("the cue must not be empty: a probe asks for the answer with it")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        most = room_of(run.params, self.n_answer)
        thought = await Thought.start(problem, run, thinking.delimiters(self.think, self.cue), self.n_answer)
        probes: list[Sample] = []
        doubts: list[bool] = []
        answers: list[str | None] = []
        while thought.n_tokens < most:
            piece = await thought.think(min(self.chunk, most - thought.n_tokens))
            if piece is None or thought.end != "length":
                break
            asked = replace(run.params, max_tokens=self.probe, temperature=self.temperature)
            with run.reserve(thought.cut, thought.answer_params):
                drawn = await run.draw(thought.cut, 1, asked)
            if not drawn:
                break
            probes += drawn
            doubts.append(self._is_doubtful(drawn[0], piece))
            found = await classes(problem, probes)
            answers = [None if doubt else a for a, doubt in zip(found, doubts, strict=True)]
            run.note("probe", drawn, answer=answers[-1])
            if agree(answers, self.k):
                is_whole = drawn[0].finish is Finish.STOP
                outcome = await self._outcome(thought, drawn[0] if is_whole else await thought.answer(), answers)
                return replace(outcome, stopped=Stopped.EARLY)
        return await self._outcome(thought, await thought.answer(), answers)

    def _is_doubtful(self, probe: Sample, piece: Sample) -> bool:
        """Whether a probe is inconclusive: it hedges, or was cut before the end of its answer's line or box."""
        is_cut = probe.finish is Finish.LENGTH and "\n" not in probe.text.strip() and "}" not in probe.text
        return is_cut or hedged(probe.text, self.hedges) or (self.watch == "both" and hedged(piece.text, self.hedges))

    @staticmethod
    async def _outcome(thought: Thought, sample: Sample | None, answers: Sequence[str | None]) -> Outcome:
        return await thought.outcome(sample, probes=len(answers), certaindex=certaindex(answers))
