"""Budget forcing: cuts a long thought, extends a short one, or discourages switching between lines of thought."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.errors import ParamError, PromptError, UsageError
from mull.replies import thinking
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.strategies.thought import Thought, room_of
from mull.types import Need, Outcome, Params, Problem, Scaling, Selection

MOST_BLANK = 2
"""Stops extending a thought below `at_least` after this many consecutive rounds without new text."""


def check_marks(think: str, cue: str | None, n_answer: int) -> None:
    """Raises an error for unknown delimiters, an empty cue, or fewer tokens for the answer than its cue has."""
    marks = thinking.delimiters(think, cue)
    if not marks.cue.strip():
        raise UsageError("the cue must not be empty: without it, the model may not give an answer")
    # About four letters per token, as in most vocabularies.
    check_at_least(1 + len(marks.cue) // 4, n_answer=n_answer)


@dataclass(frozen=True)
class Force:
    """Budget forcing (s1: Muennighoff et al. 2025, arXiv 2501.19393) of one chain of thought.

    A thought that would end is continued after `string`, `wait` times and then until it has `at_least` tokens; one that
    reaches `at_most` is cut, closed and followed by the answer. All rounds share one `at_most`. `n_answer` tokens of
    the reply are reserved for the answer. `think` names the delimiters, a family or `OPEN...CLOSE`; `cue` replaces the
    text that the family puts before an answer.
    """

    needs = frozenset({Need.CONTINUATION})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    wait: int = 0
    at_most: int | None = None
    at_least: int = 0
    string: str = "Wait"
    n_answer: int = 32
    think: str = "think"
    cue: str | None = None

    def __post_init__(self) -> None:
        check_at_least(0, wait=self.wait, at_least=self.at_least)
        check_marks(self.think, self.cue, self.n_answer)
        if self.at_most is not None:
            check_at_least(0, at_most=self.at_most)
            if self.at_least > self.at_most:
                raise UsageError(f"at_least={self.at_least} is more than at_most={self.at_most}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        most = self._most(run.params)
        string = thinking.plain(self.string)
        thought = await Thought.start(problem, run, thinking.delimiters(self.think, self.cue), self.n_answer, [string])
        n_rounds = n_blank = 0
        await thought.think(most)
        while thought.is_ended and thought.n_tokens < most:
            if n_rounds >= self.wait and (thought.n_tokens >= self.at_least or n_blank == MOST_BLANK):
                break
            thought.go_on(string)
            piece = await thought.think(most - thought.n_tokens)
            n_rounds += 1
            n_blank = n_blank + 1 if piece is not None and not piece.text.strip() else 0
        return await thought.outcome(await thought.answer(), rounds=n_rounds)

    def _most(self, params: Params) -> int:
        """The maximum tokens of the thought. Raises `ParamError` if the options do not fit in `max_tokens`."""
        most = room_of(params, self.n_answer)
        asked = max(self.at_most or 0, self.at_least)
        if asked > most:
            name = "at_most" if self.at_most is not None else "at_least"
            raise ParamError(
                "max_tokens",
                f"{name}={asked} and {self.n_answer} tokens for the answer need max_tokens={asked + self.n_answer}, "
                f"not {params.max_tokens} (--max-tokens)",
            )
        return most if self.at_most is None else self.at_most


@dataclass(frozen=True)
class Tip:
    """Thought-switch penalty (TIP: Wang et al. 2025, arXiv 2501.18585) on one chain of thought.

    Subtracts `alpha` from the logits of the first tokens of `words` for the first `beta` tokens of the thought, so
    that the model finishes a line of thought before it begins another. Words are separated by `|`; a word with a space
    before it is usually a different token. Needs a model with logit bias; the built-in ones switch with `Wait`.
    """

    needs = frozenset({Need.CONTINUATION, Need.BIAS})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    alpha: float = 3.0
    beta: int = 600
    words: str = "alternatively| alternatively|Alternatively| Alternatively"
    n_answer: int = 32
    think: str = "think"
    cue: str | None = None

    def __post_init__(self) -> None:
        check_marks(self.think, self.cue, self.n_answer)
        check_at_least(1, beta=self.beta)
        if not 0 <= self.alpha <= 100:
            raise UsageError(f"alpha, which is subtracted from logits, must be from 0 to 100, not {self.alpha}")
        if not all(self.words.split("|")):
            raise UsageError(f"words must be separated by one | each, and none may be empty: not {self.words!r}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        most = room_of(run.params, self.n_answer)
        await run.prepare()
        run.check_biases()
        penalty = tuple((word, -self.alpha) for word in self.words.split("|"))
        thought = await Thought.start(problem, run, thinking.delimiters(self.think, self.cue), self.n_answer)
        try:
            run.priced(problem.prompt, replace(run.params, logit_bias=penalty))
        except PromptError as error:
            raise PromptError(
                f"words={self.words}: {error}; name words that the model writes, as words=Wait"
            ) from error
        await thought.think(min(self.beta, most), logit_bias=penalty)
        n_penalised = thought.n_tokens
        if thought.end == "length" and n_penalised < most:
            await thought.think(most - n_penalised)
        return await thought.outcome(await thought.answer(), penalised_tokens=n_penalised)
