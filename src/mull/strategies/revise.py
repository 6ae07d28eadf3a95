"""Revisions: chains of answers, each drawn with the ones before it in view (Snell et al. 2024, arXiv 2408.03314)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from mull.equal import Answers
from mull.errors import PromptError, UnknownNameError, UsageError
from mull.programs.ask import fence
from mull.replies import thinking
from mull.replies.answers import classes
from mull.replies.thinking import Delimiters
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected
from mull.types import Ask, Finish, Message, Need, Outcome, Problem, Prompt, Sample, Scaling, Score, Selection, Stopped

Feedback = Literal["none", "critique", "score", "tests", "oracle"]
Show = Literal["auto", "turns", "text", "thought"]

AGAIN = (
    "Look at this answer again, step by step. If there is a mistake, say where it is and answer anew; if there is "
    "none, give the same answer. End in the form that was asked for."
)
CRITIQUE = (
    "Check this answer step by step, and say where its first mistake is, or that there is none. Do not answer anew."
)


@dataclass(slots=True, eq=False)
class Attempt:
    """One answer of a chain, the feedback on it, and its score if it has one."""

    sample: Sample
    remark: str = ""
    score: Score = field(default=Score(None, why="not scored"))


@dataclass(frozen=True)
class Revise:
    """Sequential revision: n answers in chains of `chain`, each drawn with the previous `context` in its prompt.

    `feedback` comes between two answers: `none`, a `critique` that the model writes, the verifier's `score`, the
    verifier's report on `tests` (a chain ends when all pass), or `oracle`, which says that the answer is wrong and ends
    a chain at the first right answer: an upper bound, and marked as one. Earlier answers are shown as `turns` of the
    conversation, as `text` in one message, or as a `thought` of the reply, which continues after `string`; `auto` uses
    turns, or the thought for a model that cannot follow instructions, such as the built-in ones. The last answer is
    not simply returned: with a verifier, best-of-n weighted selects an answer within each chain and then among the
    chains' best solutions; without one, all answers vote together (Snell et al. 2024).
    """

    draws = Scaling.SEQUENTIAL
    selects = Selection.SCORES

    n: int = 16
    chain: int = 4
    context: int = 4
    feedback: Feedback = "none"
    show: Show = "auto"
    string: str = "Wait"
    think: str = "think"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, chain=self.chain, context=self.context)
        for name, kinds in (("feedback", Feedback), ("show", Show)):
            if getattr(self, name) not in get_args(kinds):
                raise UnknownNameError(name, getattr(self, name), get_args(kinds))
        thinking.delimiters(self.think)
        if self.n % self.chain:
            near = max(self.chain, self.n // self.chain * self.chain)
            raise UsageError(
                f"n must be a multiple of chain={self.chain}, not {self.n}: take {near} or {near + self.chain}"
            )

    @property
    def needs(self) -> frozenset[Need]:
        verifier = {Need.VERIFIER} if self.feedback in ("score", "tests", "oracle") else set()
        return frozenset(verifier | ({Need.CONTINUATION} if self.show == "thought" and self.chain > 1 else set()))

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        self._check_verifier(run)
        asking = await RevisionAsking.start(problem, run, self)
        chains = [[Attempt(s)] for s in await run.draw(problem.prompt, self.n // self.chain)]
        live = chains
        for _ in range(self.chain - 1):
            live = await asking.go_on(live)
        await asking.score([a for one in chains for a in one])
        return await self._chosen(problem, run, chains)

    def _check_verifier(self, run: Run) -> None:
        """Raises an error, before any draw, for feedback without a source and for an oracle without feedback=oracle."""
        is_oracle = bool(getattr(run.verifier, "is_oracle", False))
        if self.feedback in ("score", "tests", "oracle") and run.verifier is None:
            raise UsageError(f"feedback={self.feedback} needs a verifier: name one with --verifier or verifier=")
        if is_oracle != (self.feedback == "oracle"):
            raise UsageError("feedback=oracle and an oracle need each other: no other feedback may use gold answers")

    async def _chosen(self, problem: Problem, run: Run, chains: Sequence[Sequence[Attempt]]) -> Outcome:
        attempts = [attempt for one in chains for attempt in one]
        samples, scores = [a.sample for a in attempts], [a.score for a in attempts]
        answers = await classes(problem, samples)
        if run.verifier is not None and self.feedback != "oracle":
            outcome = hierarchical([len(one) for one in chains], answers, samples, scores, run)
        else:
            ballot = pick.majority(answers, run.rng)
            outcome = elected(ballot, answers, samples, scores if self.feedback == "oracle" else (), run.stopped)
        right = next((i for i, score in enumerate(scores) if self.feedback == "oracle" and score.value == 1), None)
        if right is not None:
            outcome = replace(outcome, best=samples[right], answer=answers[right], stopped=Stopped.EARLY)
        notes = {**outcome.notes, "chains": len(chains)}
        return replace(outcome, notes={**notes, "oracle": 1.0} if self.feedback == "oracle" else notes)


def hierarchical(
    lengths: Sequence[int], answers: Answers, samples: Sequence[Sample], scores: Sequence[Score], run: Run
) -> Outcome:
    """Best-of-n weighted within each chain, then among the best solutions of the winners; chains are contiguous."""
    heads: list[int] = []
    start = 0
    for n in lengths:
        places = range(start, start + n)
        ballot = pick.weighted([answers[i] for i in places], [scores[i] for i in places], run.rng)
        best = pick.representative(ballot.answer, [answers[i] for i in places], [scores[i] for i in places])
        heads += [] if best is None else [start + best]
        start += n
    # If no chain has a score, all answers vote together.
    if not heads:
        return elected(pick.majority(answers, run.rng), answers, samples, scores, run.stopped)
    ballot = pick.weighted([answers[i] for i in heads], [scores[i] for i in heads], run.rng)
    place = pick.representative(ballot.answer, [answers[i] for i in heads], [scores[i] for i in heads])
    outcome = elected(ballot, answers, samples, scores, run.stopped)
    return outcome if place is None else replace(outcome, best=samples[heads[place]])


class RevisionAsking:
    """Builds the prompts for the next answers of chains, and draws them."""

    def __init__(self, problem: Problem, run: Run, revise: Revise, show: Show) -> None:
        self.problem, self.run, self.revise, self.show = problem, run, revise, show
        self.marks: Delimiters = thinking.delimiters(revise.think)

    @classmethod
    async def start(cls, problem: Problem, run: Run, revise: Revise) -> RevisionAsking:
        """Chooses how earlier answers are shown; raises an error, before any draw, if the model cannot read them."""
        await run.prepare()
        show: Show = revise.show
        asking = cls(problem, run, revise, "turns" if show == "auto" else show)
        if revise.chain == 1:
            return asking
        if not asking.can_read() and show == "auto":
            asking.show = "thought"
        if asking.show == "thought":
            run.check_continues()
            if not asking.can_read():
                raise UsageError(
                    f"{run.model.name} cannot read feedback={revise.feedback}: take feedback=none, or a model that can"
                )
        return asking

    def can_read(self) -> bool:
        """Whether the model can read a revision prompt in this form and with this feedback."""
        made = Attempt(Sample(self.problem.prompt, "", Finish.STOP))
        made.remark = "" if self.revise.feedback in ("none", "oracle") else "It is checked: wrong."
        try:
            self.run.priced(self._prompt([made]))
        except PromptError:
            return False
        return True

    async def go_on(self, chains: Sequence[list[Attempt]]) -> list[list[Attempt]]:
        """Draws one more answer for each unfinished chain; returns the chains that got one."""
        await self._comment([one[-1] for one in chains])
        live = [one for one in chains if not self._is_over(one[-1])]
        if not live:
            return []
        found = await self.run.draw_each([Ask(self._fitting(one), 1, self.run.params) for one in live])
        for one, drawn in zip(live, found, strict=True):
            one += [Attempt(sample) for sample in drawn]
            self.run.note("revised", drawn, after=one[-1 - len(drawn)].sample.draw)
        return [one for one, drawn in zip(live, found, strict=True) if drawn]

    def _is_over(self, last: Attempt) -> bool:
        is_done = self.revise.feedback in ("tests", "oracle") and last.score.value == 1
        return is_done or last.sample.finish is Finish.ERROR

    async def score(self, attempts: Sequence[Attempt]) -> None:
        """Scores the attempts that have no score, if there is a verifier."""
        todo = [a for a in attempts if a.score.why == "not scored"]
        if self.run.verifier is not None and todo:
            for attempt, score in zip(todo, await self._scores(todo), strict=True):
                attempt.score = score

    async def _scores(self, attempts: Sequence[Attempt]) -> list[Score]:
        return await self.run.score(self.problem, [a.sample for a in attempts])

    async def _comment(self, attempts: Sequence[Attempt]) -> None:
        """Adds the feedback to the answers."""
        feedback = self.revise.feedback
        if feedback == "critique":
            asks = [Ask(self._prompt([a], CRITIQUE), 1, self.run.params) for a in attempts]
            for attempt, drawn in zip(attempts, await self.run.draw_each(asks), strict=True):
                attempt.remark = drawn[0].text.strip() if drawn else ""
        elif feedback != "none":
            await self.score(attempts)
            for attempt in attempts:
                attempt.remark = self._said(attempt.score)

    def _said(self, score: Score) -> str:
        """A score in words; empty if there is none."""
        if score.value is None or self.revise.feedback == "oracle":
            return ""
        if self.revise.feedback == "tests":
            return f"It was run on tests. {score.why}" if score.why else ""
        return f"A checker gives it {score.value:.2f} of 1."

    def _fitting(self, chain: Sequence[Attempt]) -> Prompt:
        """The prompt with as many of the last answers as fit the model's context together with a new one."""
        longest = max(a.sample.cost.output_tokens or 0 for a in chain)
        for first in range(max(0, len(chain) - self.revise.context), len(chain)):
            prompt = self._prompt(chain[first:])
            try:
                room = self.run.model.quote(prompt, self.run.params).output_tokens
            except PromptError:
                continue
            if room is None or room >= min(longest, self.run.params.max_tokens):
                return prompt
        return self.problem.prompt

    def _prompt(self, shown: Sequence[Attempt], ask: str = AGAIN) -> Prompt:
        """The prompt with the problem and these answers."""
        prompt = self.problem.prompt
        if self.show == "thought" and ask is AGAIN:
            return replace(prompt, prefix=self._thought(shown))
        turns: list[Message] = []
        for attempt in shown:
            said = f"{attempt.remark}\n\n{ask}".strip() if ask is AGAIN else ask
            turns += [Message("assistant", self._spoken(attempt.sample)), Message("user", said)]
        if self.show == "turns":
            return replace(prompt, messages=(*prompt.messages, *turns), prefix="")
        *before, last = prompt.messages
        parts = [
            last.text,
            *(
                f"An answer to this was:\n\n{fence(turn.text)}" if i % 2 == 0 else turn.text
                for i, turn in enumerate(turns)
            ),
        ]
        return replace(prompt, messages=(*before, Message(last.role, "\n\n".join(parts))), prefix="")

    def _spoken(self, sample: Sample) -> str:
        """The text of an answer, without the thought before it."""
        return thinking.split(sample.reply, self.marks).answer.strip() or sample.reply

    def _thought(self, shown: Sequence[Attempt]) -> str:
        text = self.marks.open + "\n"
        for attempt in shown:
            text += self._own(attempt.sample)
            text = thinking.again(text, self.revise.string) + (f" {attempt.remark}" if attempt.remark else "") + "\n"
        return text

    def _own(self, sample: Sample) -> str:
        """The part of the thought that an answer added."""
        added = thinking.written(sample, self.marks)
        own = added.partition(self.marks.close)[0]
        return own.lstrip().removeprefix(self.marks.open).lstrip("\n")
