"""A vote that answers when it is sure and gives up when it is hopeless (Conformal Thinking, arXiv 2602.03814)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.allocate.risk import Thresholds, certainty, leader
from mull.equal import Answers
from mull.errors import UsageError
from mull.replies.answers import classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected
from mull.types import NO_NEEDS, Outcome, Problem, Sample, Scaling, Selection, Stopped


@dataclass(frozen=True)
class SureVote:
    """Majority vote of at most n draws that answers once it is sure and otherwise gives no answer.

    After each `wave` of draws it answers if the leader's votes are at least a share `sure` of the draws and two more,
    and from `look` draws on gives up if they are at most a share `hopeless`; it also ends if no answer can become sure
    any more. `mull.allocate.risk.calibrate` finds the thresholds with which an error rate is held on problems like
    those that it is given (arXiv 2602.03814). The answer that it withholds is in the notes.
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 40
    sure: float = 0.8
    hopeless: float = 0.0
    wave: int = 4
    look: int = 8

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, wave=self.wave, look=self.look)
        for name in ("sure", "hopeless"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share of the draws, between 0 and 1, not {getattr(self, name):g}")

    @classmethod
    def of(cls, found: Thresholds) -> SureVote:
        """The vote with these thresholds."""
        return cls(found.n, found.sure, found.hopeless, found.wave, found.look)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        rule = Thresholds(self.sure, self.hopeless, self.n, self.wave, self.look)
        samples, answers, verdict = list[Sample](), Answers(), None
        while verdict is None:
            wave = await run.draw(problem.prompt, min(self.wave, self.n - len(samples)))
            if not wave:
                break
            samples += wave
            answers = await classes(problem, samples)
            verdict = rule.verdict(certainty(answers), len(answers))
        stopped = Stopped.EARLY if verdict is not None and len(samples) < self.n else run.stopped
        ballot = pick.majority(answers, run.rng)._replace(answer=leader(answers))
        outcome = elected(ballot, answers, samples, (), stopped)
        notes = {**outcome.notes, "certainty": certainty(answers)}
        if verdict:
            return replace(outcome, notes=notes)
        return replace(outcome, best=None, answer=None, notes={**notes, "withheld": outcome.answer})
