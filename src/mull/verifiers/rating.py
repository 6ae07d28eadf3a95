"""A language model that rates replies: the expected value over its score tokens, by criteria and repeats."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mull.errors import UsageError
from mull.types import Calls, Cost, Finish, Params, Problem, Prompt, Said, Sample, Score
from mull.verifiers.fence import RULES, harmless
from mull.verifiers.judge import LEAST_MASS, TAIL, Opinion, Speaker, spread
from mull.verifiers.labels import UNDECIDED, plain
from mull.verifiers.reading import Unscored

DIGITS = tuple("0123456789")
RATE = f"""\
You rate an answer to a problem by one criterion: {{criterion}}

{RULES}

{{problem}}

{{answer}}

"""
RATE_WORD = RATE + "Rate the answer from 0 (worst) to 9 (best). Reply with this one digit and nothing else."
RATE_THOUGHT = RATE + (
    "Check the answer step by step by this criterion alone. Then end with one line of this form, where X is a digit "
    "from 0 (worst) to 9 (best):\nRating (0-9): X"
)
_RATING = re.compile(
    r"rating\b[^\d\n]{0,9}(?:0 ?[-\u2013\u2014] ?9)?[^\d\n]{0,20}(?<![-\u2212])(\d)(?: ?/ ?9| out of 9)?\W*\Z", re.I
)
N_TOPS = 10
"""Alternatives at each token of a rationale: ten digits, of which the last token's position shows the likely ones."""


def expected(tokens: Sequence[tuple[str, float]]) -> float | None:
    """The expected digit over 9 from the likeliest tokens; `None` if the digits have too little probability.

    An unlisted digit is at most as likely as the last listed token: `None` too if those could move it by a hundredth.
    """
    masses = dict.fromkeys(DIGITS, 0.0)
    for token, logprob in tokens:
        if plain(token) in masses:
            masses[plain(token)] += math.exp(logprob)
    total = math.fsum(masses.values())
    if total < LEAST_MASS:
        return None
    rest = math.exp(min(p for _, p in tokens)) * sum(mass == 0 for mass in masses.values())
    unlisted = min(rest, max(0.0, 1 - math.fsum(math.exp(p) for _, p in tokens)))
    if unlisted / (total + unlisted) > UNDECIDED:
        return None
    return math.fsum(int(digit) * mass for digit, mass in masses.items()) / total / 9


@dataclass(frozen=True)
class Rating(Speaker):
    """Rates by the expected value over the digits 0 to 9 instead of the likeliest one (arXiv 2607.05391).

    Equal ratings are rare, and a rating says how sure it is. Each of `criteria` is asked about separately, and the
    score is the mean over them, in [0, 1]. With `k=0` the digit is the first token of the reply; with k rationales each
    ends in a rating, and their mean counts. Without log-probabilities a rationale's digit counts as written. A
    criterion without any rating leaves the reply without a score. `template` may contain `{code}`, `{criterion}`,
    `{problem}` and `{answer}`.
    """

    criteria: tuple[str, ...] = ("Is the answer correct?",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(criterion.strip() for criterion in self.criteria) or not self.criteria:
            raise UsageError("criteria must be one text or more, none of them empty")

    @property
    def identity(self) -> str:
        return f"{super().identity} {self.criteria}"

    def _template(self, is_thought: bool) -> str:
        return RATE_THOUGHT if is_thought else RATE_WORD

    @property
    def _params(self) -> Params:
        return replace(super()._params, logprobs=N_TOPS) if self.k else super()._params

    def _prompts(self, problem: Problem, reply: str) -> list[Prompt]:
        template = self.template or self._template(self.k > 0)
        asked = [template.replace("{criterion}", criterion) for criterion in self.criteria]
        return [replace(self, template=one)._prompt(problem, [reply]) for one in asked]

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        replies = dict.fromkeys(s.reply for s in samples if s.finish is not Finish.ERROR and s.reply.strip())
        groups = [[self._ask(prompt) for prompt in self._prompts(problem, reply)] for reply in replies]
        heard = await calls.draw(self.model, groups, self.seed)
        scores = spread(samples, dict(zip(replies, map(self._mean, heard), strict=True)))
        return [replace(score, cost=Cost(), drawn=score.cost) for score in scores]

    def _mean(self, heard: Sequence[Said]) -> Opinion:
        """The mean over the criteria; none if one of them has no rating."""
        opinions = [self._opinion(said, ()) for said in heard]
        cost = sum((said.cost for said in heard), Cost())
        whys = [one.why for one in opinions if one.why]
        told = [one.p for one in opinions if one.p is not None]
        if len(told) < len(opinions):
            return Opinion(None, cost, whys[0])
        return Opinion(math.fsum(told) / len(told), cost, whys[0] if whys else "")

    def _read(self, sample: Sample, labels: Sequence[Sequence[str]]) -> float:
        if sample.finish is Finish.ERROR:
            raise Unscored(f"the judge failed: {sample.error or 'its reply could not be used'}")
        return self._read_last(sample) if self.k else self._read_first(sample)

    def _read_first(self, sample: Sample) -> float:
        if not sample.alternatives:
            raise Unscored(
                "the judge returns no log-probabilities: set k=1 or more for rationales, or use a server that does"
            )
        value = expected(sample.alternatives[0])
        if value is None:
            raise Unscored(
                f"the judge's likeliest reply is no clear digit: it begins with {harmless(sample.text[:20])!r}"
            )
        return value

    def _read_last(self, sample: Sample) -> float:
        rating = _RATING.search(sample.text.rstrip()[-TAIL:])
        if rating is None:
            cut = " before it was cut off" if sample.finish is Finish.LENGTH else ""
            raise Unscored(f"the judge gave no rating{cut}: its reply ends in {harmless(sample.text[-40:])!r}")
        for likeliest in reversed(sample.alternatives or ()):
            value = expected(likeliest) if any(plain(token) == rating[1] for token, _ in likeliest) else None
            if value is not None:
                return value
        return int(rating[1]) / 9
