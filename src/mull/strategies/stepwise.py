"""Shared parts of searches over steps: extending branches, scoring them, and selecting among complete replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from mull.errors import PromptError, UnknownNameError, UsageError
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import chosen, elected
from mull.types import Ask, Finish, Outcome, Params, Problem, Prompt, Sample, Score, Selection

Pick = Literal["weighted", "majority", "best"]
UNSCORED = Score(None, why="not scored")
WHOLE = (Finish.STOP, Finish.STOP_STRING)
"""Why a reply ended that is whole."""


@dataclass(slots=True, eq=False)
class Branch:
    """A partial or complete reply: its last draw and the prompt that continues it.

    Branches compare by identity: two with the same text are different branches and continue with different draws.
    """

    prompt: Prompt
    """The prompt for the next step."""
    sample: Sample | None = None
    """Its last draw; `None` at the root."""
    parent: Branch | None = None
    n_tokens: int = 0
    """Tokens of the reply so far."""
    depth: int = 0
    """Steps of the reply so far."""
    is_over: bool = False
    score: Score = field(default=UNSCORED)

    @property
    def value(self) -> float | None:
        """The verifier's score; `None` if unscored."""
        return self.score.value


def rank(branch: Branch) -> float:
    """Sort key, best first and stable; unscored branches come last."""
    return 1.0 if branch.value is None else -branch.value


def flat(groups: Iterable[Sequence[Branch]]) -> list[Branch]:
    """The branches of all groups in one list."""
    return [branch for group in groups for branch in group]


def shares(n: int, k: int) -> list[int]:
    """Splits `n` into `k` parts that differ by at most one, the larger ones first."""
    return [n // k + (i < n % k) for i in range(k)]


def check_options(how: str, separator: str | None = None) -> None:
    """Raises an error for an unknown selection `how` or an empty separator."""
    if how not in get_args(Pick):
        raise UnknownNameError("pick", how, get_args(Pick))
    if separator == "":
        raise UsageError("steps need a separator that is not empty, such as separator=\\n")


def check_divides(n: int, width: int) -> None:
    """Raises `UsageError` unless the width divides n."""
    if n % width:
        near = max(width, n // width * width)
        raise UsageError(f"n must be a multiple of the width {width}, not {n}: take {near} or {near + width}")


def selection_of(how: Pick) -> Selection:
    """The kind of selection among complete replies."""
    return Selection.VOTES if how == "majority" else Selection.SCORES


class Search:
    """One search: it extends branches by steps and collects complete replies in `complete`.

    A step ends before `separator`; if that is `None`, before the separator of the verifier of steps, else before a
    newline. With a `chunk` a step is that many tokens instead.
    """

    def __init__(self, problem: Problem, run: Run, separator: str | None = None, chunk: int = 0) -> None:
        self.problem, self.run, self.chunk = problem, run, chunk
        own: str | None = getattr(run.verifier, "split", None)
        self.separator = "" if chunk else separator or own or "\n"
        self.root = Branch(problem.prompt)
        self.complete: list[Branch] = []

    @classmethod
    async def start(cls, problem: Problem, run: Run, separator: str | None = None, chunk: int = 0) -> Search:
        """Starts a search. Raises an error if the model cannot continue a partial reply."""
        await run.prepare()
        run.check_continues()
        return cls(problem, run, separator, chunk)

    async def grow(self, wanted: Sequence[tuple[Branch, int]], temperature: float | None = None) -> list[list[Branch]]:
        """Draws the wanted number of next steps of each branch in parallel, unscored.

        Consecutive separators end one step. A complete reply has at most `Params.max_tokens` tokens. Fewer steps than
        wanted mean that a ceiling was reached.
        """
        grown: list[list[Branch]] = [[] for _ in wanted]
        asked = [(i, branch, n) for i, (branch, n) in enumerate(wanted) if n > 0]
        while asked:
            asks = [Ask(branch.prompt, n, self._params(branch, temperature)) for _, branch, n in asked]
            found = await self.run.draw_each(asks)
            blank: list[tuple[int, Branch, int]] = []
            for (i, branch, _), ask, samples in zip(asked, asks, found, strict=True):
                for sample in samples:
                    child = self._child(branch, sample, ask.params)
                    if child.is_over or sample.text.strip():
                        grown[i].append(child)
                    else:
                        blank.append((i, child, 1))
            asked = blank
        for (branch, _), children in zip(wanted, grown, strict=True):
            self.decided("step", children, parent=branch.sample)
        return grown

    def _params(self, branch: Branch, temperature: float | None = None) -> Params:
        params = self.run.params
        left = params.max_tokens - branch.n_tokens
        if self.chunk:
            return replace(params, max_tokens=min(self.chunk, left))
        params = replace(params, stop=(self.separator,), max_tokens=left)
        return params if temperature is None else replace(params, temperature=temperature)

    def _child(self, branch: Branch, sample: Sample, params: Params) -> Branch:
        # What a chunk or a ceiling cuts is no finished reply, however short it is: it continues where it was cut.
        is_cut = sample.finish is Finish.LENGTH
        is_over = not is_cut and (bool(self.chunk) or sample.finish is not Finish.STOP_STRING)
        # A draw without a token count had at least one token, and one that was cut may have had all.
        n_tokens = sample.cost.output_tokens or (params.max_tokens if is_cut else 1)
        child = Branch(
            branch.prompt.extend(sample.text if is_cut else sample.text + self.separator),
            sample,
            branch,
            branch.n_tokens + n_tokens,
            branch.depth + 1,
            is_over,
        )
        if not is_over and not sample.text.strip():
            # A blank draw is not a step: it extends the step before.
            child.depth = branch.depth
            if branch.sample is not None:
                child.sample, child.parent = branch.sample, branch.parent
        child.is_over = is_over or not self._has_room(child)
        return child

    def _has_room(self, branch: Branch) -> bool:
        """Whether `max_tokens` and the model's context leave room for more tokens."""
        if branch.n_tokens >= self.run.params.max_tokens:
            return False
        try:
            self.run.model.quote(branch.prompt, self.run.params)
        except PromptError:
            return False
        return True

    async def finish(self, branches: Sequence[Branch]) -> list[list[Branch]]:
        """Draws each branch to its end in one draw; omits those that a ceiling does not allow."""
        params = self.run.params
        asks = [Ask(b.prompt, 1, replace(params, max_tokens=params.max_tokens - b.n_tokens)) for b in branches]
        ends: list[list[Branch]] = []
        for branch, samples in zip(branches, await self.run.draw_each(asks), strict=True):
            ends.append([Branch(branch.prompt, sample, branch, 0, branch.depth + 1, True) for sample in samples])
            self.decided("finish", ends[-1], parent=branch.sample)
        return ends

    async def score(self, branches: Sequence[Branch]) -> None:
        """Scores branches in one call of the verifier."""
        samples = [b.sample for b in branches if b.sample is not None]
        if samples:
            for branch, score in zip(branches, await self.run.score(self.problem, samples), strict=True):
                branch.score = score

    def sift(self, branches: Sequence[Branch]) -> list[Branch]:
        """Collects the complete replies among branches; returns the rest, best first."""
        self.complete += [branch for branch in branches if branch.is_over]
        return sorted((branch for branch in branches if not branch.is_over), key=rank)

    def keep(self, ranked: Sequence[Branch], n: int) -> list[Branch]:
        """The first `n` of ranked branches; records in the trace which were kept and which were pruned."""
        self.decided("kept", ranked[:n])
        self.decided("pruned", ranked[n:])
        return list(ranked[:n])

    def decided(self, what: str, branches: Sequence[Branch], **details: object) -> None:
        """Records a decision in the trace."""
        if branches and self.run.trace is not None:
            self.run.note(what, [b.sample for b in branches if b.sample], **details)

    async def outcome(self, how: Pick, live: Sequence[Branch] = ()) -> Outcome:
        """The selection among complete replies.

        If none of them ended by itself, draws the first of `live` to its end, or a reply of its own if a ceiling does
        not allow that: `Draws.reserve` keeps back the price of one.
        """
        if not any(branch.sample and branch.sample.finish in WHOLE for branch in self.complete):
            for start in [*[branch for branch in live if not branch.is_over][:1], self.root]:
                (ends,) = await self.finish([start])
                await self.score(ends)
                self.complete += ends
                if ends:
                    break
        return await choose(self.problem, self.run, self.complete, how)


async def choose(problem: Problem, run: Run, complete: Sequence[Branch], how: Pick) -> Outcome:
    """The outcome of a vote, weighted by the scores or not, or of the best score, among complete replies.

    If none of them has a score, an unweighted vote decides.
    """
    samples = [branch.sample for branch in complete if branch.sample is not None]
    scores = [branch.score for branch in complete]
    answers = await classes(problem, samples)
    if how == "best" and any(score.value is not None for score in scores):
        outcome = await chosen(pick.best(scores, run.rng), problem, samples, scores, run.stopped)
    else:
        ballot = pick.weighted(answers, scores, run.rng) if how == "weighted" else None
        if ballot is None or ballot.answer is None:
            how, ballot = "majority", pick.majority(answers, run.rng)
        outcome = elected(ballot, answers, samples, scores, run.stopped)
    if outcome.best is not None:
        run.note("selected", [outcome.best], how=how, answer=outcome.answer, confidence=outcome.confidence)
    return outcome
