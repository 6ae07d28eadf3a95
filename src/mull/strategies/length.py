"""Selection by length: a vote of the shortest replies, and rejection, the baseline for budget forcing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mull.errors import UsageError
from mull.replies.answers import answers_of, classes
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected
from mull.types import NO_NEEDS, Finish, Outcome, Problem, Sample, Scaling, Selection, Stopped


@dataclass(frozen=True)
class LengthReject:
    """Rejection sampling by length: draws up to n replies until one has at most `tokens` tokens (s1, section 5.2).

    From s1 (Muennighoff et al. 2025, arXiv 2501.19393). A reply is cut at that length, since a longer one is rejected.
    Short replies are likelier on problems that the model finds easy, so more tokens can look worse. If no reply fits,
    there is no answer.
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.NONE

    tokens: int
    n: int = 64
    wave: int = 1

    def __post_init__(self) -> None:
        check_at_least(1, tokens=self.tokens, n=self.n, wave=self.wave)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        if run.params.temperature == 0:
            raise UsageError("at temperature 0 all draws are the same: rejection needs a temperature above it")
        params = replace(run.params, max_tokens=min(self.tokens, run.params.max_tokens))
        samples: list[Sample] = []
        while len(samples) < self.n:
            wave = await run.draw(problem.prompt, min(self.wave, self.n - len(samples)), params)
            if not wave:
                break
            samples += wave
            fits = [s for s in wave if s.finish in (Finish.STOP, Finish.STOP_STRING)]
            if fits:
                (answer,) = await answers_of(problem, fits[:1])
                n_tries = samples.index(fits[0]) + 1
                return Outcome(fits[0], answer, tuple(samples), stopped=Stopped.COMPLETE, notes={"tries": n_tries})
        warning = f"none of {len(samples)} replies had at most {self.tokens} tokens"
        notes: dict[str, float | str | None] = {"tries": len(samples)}
        if samples:
            notes["warning"] = warning
        return Outcome(None, None, tuple(samples), stopped=run.stopped, notes=notes)


@dataclass(frozen=True)
class Shortest:
    """Majority vote of the k shortest of n complete replies, such as the first to finish (arXiv 2512.02008).

    Long thoughts are often those that went astray. A reply that was cut is not complete. Length is counted in tokens,
    or in characters (and noted so) if the model does not report tokens.
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    k: int = 4

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, k=self.k)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, self.n)
        whole = [sample for sample in samples if sample.finish not in (Finish.LENGTH, Finish.ERROR)]
        tokens = [sample.cost.output_tokens for sample in whole]
        lengths = [n if n is not None else -1 for n in tokens]
        if None in tokens:
            lengths = [len(sample.reply) + len(sample.reasoning or "") for sample in whole]
        ranked = sorted(range(len(whole)), key=lambda i: (lengths[i], whole[i].draw))[: self.k]
        voters = [whole[i] for i in sorted(ranked)]
        answers = await classes(problem, voters)
        outcome = elected(pick.majority(answers, run.rng), answers, voters, (), run.stopped)
        by = "characters" if None in tokens else "tokens"
        notes = {**outcome.notes, "longest": max((lengths[i] for i in ranked), default=None), "length": by}
        return replace(outcome, candidates=tuple(samples), notes=notes)
