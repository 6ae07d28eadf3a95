"""Sampling from the model's own sharpened distribution by MCMC (Karan and Du 2025, arXiv 2510.14901)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mull.errors import ModelError, PromptError, UsageError
from mull.replies import thinking
from mull.replies.answers import answers_of
from mull.run import Run
from mull.strategies.outcomes import check_at_least
from mull.types import Finish, Need, Outcome, Params, Problem, Sample, Scaling, Selection


def places(sample: Sample) -> tuple[tuple[tuple[str, float], ...], ...]:
    """The likeliest tokens at each position of a draw. Raises `ModelError` if the model does not report them."""
    if sample.alternatives is None and sample.finish is not Finish.ERROR:
        raise ModelError(f"a draw has no likeliest tokens at its positions: {sample.text[:40]!r}")
    return sample.alternatives or ()


def log_norms(sample: Sample, alpha: float) -> float:
    """The sum over a draw's tokens of log sum_v p(v)^alpha, over the likeliest tokens v."""
    return math.fsum(math.log(math.fsum(math.exp(alpha * p) for _, p in place)) for place in places(sample))


def log_ratio(old: Sequence[Sample], new: Sequence[Sample], at: int, alpha: float) -> float:
    """Log of the Metropolis-Hastings ratio p^alpha(new) q(old | new) / (p^alpha(old) q(new | old)); both agree to `at`.

    A proposal cuts the reply at the start of one of its chunks, each equally likely, and draws the rest with
    p(v)^alpha / sum_u p(u)^alpha. So p^alpha cancels, and only the sums and the numbers of chunks are left.
    """
    gained = math.fsum(log_norms(sample, alpha) for sample in new[at:])
    return gained - math.fsum(log_norms(sample, alpha) for sample in old[at:]) + math.log(len(old) / len(new))


def tokens_left(parts: Sequence[Sample], params: Params) -> int:
    """How many tokens a reply of these chunks may still get; 0 if it has ended."""
    n = sum(len(places(part)) for part in parts)
    return 0 if parts and parts[-1].finish is not Finish.LENGTH else params.max_tokens - n


def is_whole(parts: Sequence[Sample], params: Params) -> bool:
    return bool(parts) and parts[-1].finish is not Finish.ERROR and tokens_left(parts, params) <= 0


@dataclass(frozen=True)
class PowerSampling:
    """Power sampling: one reply from p^alpha, the model's distribution over whole replies, sharpened.

    A low temperature sharpens token by token and so likes a likely word with unlikely continuations; this prefers
    replies that are likely as a whole, without a verifier. The first reply is drawn in chunks at temperature 1 / alpha.
    Each of `steps` then cuts it at a random chunk, draws the rest anew, and takes the new reply by the
    Metropolis-Hastings rule; what a ceiling interrupts is not taken. The `top` reported log-probabilities must be those
    of temperature 1, as most servers report them (arXiv 2510.14901).
    """

    needs = frozenset({Need.CONTINUATION})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    alpha: float = 4.0
    steps: int = 8
    chunk: int = 16
    top: int = 20

    def __post_init__(self) -> None:
        check_at_least(1, chunk=self.chunk, top=self.top)
        check_at_least(0, steps=self.steps)
        if not 1 <= self.alpha < math.inf:
            raise UsageError(f"alpha is a power of the distribution, 1 or more, not {self.alpha:g}")

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        reply = await self._grown(problem, run, [])
        ends, accepted = reply[-1:], 0
        for _ in range(self.steps if is_whole(reply, run.params) else 0):
            at = run.rng.randrange(len(reply))
            new = await self._grown(problem, run, reply[:at])
            ends += new[-1:]
            if not is_whole(new, run.params):
                break
            if math.log(1 - run.rng.random()) < log_ratio(reply, new, at, self.alpha):
                reply, accepted = new, accepted + 1
        (answer,) = await answers_of(problem, reply[-1:]) or [None]
        return Outcome(
            next(iter(reply[-1:]), None), answer, tuple(ends), (), (), None, run.stopped, {"accepted": accepted}
        )

    async def _grown(self, problem: Problem, run: Run, kept: Sequence[Sample]) -> list[Sample]:
        """The chunks of a reply that begins with these; not all if a ceiling, the context or an error ends it."""
        parts, marks = list(kept), thinking.delimiters()
        params = replace(run.params, temperature=1 / self.alpha, top_p=1.0, top_k=0, logprobs=self.top)
        while (left := tokens_left(parts, run.params)) > 0:
            prompt = parts[-1].prompt.extend(thinking.written(parts[-1], marks)) if parts else problem.prompt
            try:
                drawn = await run.draw(prompt, 1, replace(params, max_tokens=min(self.chunk, left)))
            except PromptError:
                if not parts:
                    raise
                break  # the model's context is full
            parts += drawn
            if not drawn or not places(drawn[0]):
                break
        return parts
