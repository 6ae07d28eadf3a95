"""A language model as process verifier: it checks a solution step by step in writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from mull.cost import total
from mull.errors import UnknownNameError, UsageError
from mull.replies import steps
from mull.replies.steps import Fold
from mull.types import Calls, Cost, Finish, Problem, Prompt, Said, Sample, Score
from mull.verifiers.fence import RULES
from mull.verifiers.judge import YES_NO, Opinion, Speaker

STEP = f"""\
You check one step of a solution to a problem. Check this step alone: earlier steps may be taken as they are, and the
solution need not be finished.

{RULES}

{{problem}}

Steps before, and the step to check:

{{answer}}

{{other}}

"""
STEP_WORD = STEP + "Is the last step correct (Yes/No)? Reply with this one word and nothing else."
STEP_THOUGHT = STEP + (
    "Do what the last step does once more and compare. Then end with one line of this form, where X is Yes or No:\n"
    "Verification: Is the step correct (Yes/No)? X"
)
NAMES = "steps before", "step"
FIRST = "(nothing)"
"""What stands before the first step."""


@dataclass(frozen=True)
class GenPRM(Speaker):
    """Checks each step of a reply in writing and scores it by the verdicts (ThinkPRM, arXiv 2504.16828).

    A step's score is the mean of P(Yes) over `k` written checks, each of which sees the problem, the steps before and
    the step; with `k=0` it is that of one word without a check. `fold` makes one score of them. Steps end at `split`.
    Prefixes that replies share, as in a search, are checked once. A step without a verdict leaves the reply without a
    score. `template` may contain `{code}`, `{problem}`, `{answer}` (the steps before) and `{other}` (the step).
    """

    k: int = 1
    fold: Fold = "min"
    split: str = "\n\n"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold not in get_args(Fold):
            raise UnknownNameError("fold", self.fold, get_args(Fold))
        if not self.split:
            raise UsageError("steps need a separator that is not empty, such as split=\\n")

    @property
    def identity(self) -> str:
        return f"{super().identity} {self.fold} {self.split!r}"

    def _template(self, is_thought: bool) -> str:
        return STEP_THOUGHT if is_thought else STEP_WORD

    def _checks(self, problem: Problem, reply: str) -> list[Prompt]:
        """The prompt for each step."""
        parts = steps.split(reply, self.split)
        before = ["".join(parts[:i]).strip() or FIRST for i in range(len(parts))]
        return [self._prompt(problem, [a, b.strip()], NAMES) for a, b in zip(before, parts, strict=True)]

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        replies = dict.fromkeys(s.reply for s in samples if s.finish is not Finish.ERROR and s.reply.strip())
        checks = {reply: self._checks(problem, reply) for reply in replies}
        asked = list(dict.fromkeys(prompt for prompts in checks.values() for prompt in prompts))
        heard = await calls.draw(self.model, [[self._ask(prompt)] for prompt in asked], self.seed)
        said = dict(zip(asked, (one for (one,) in heard), strict=True))
        scores: list[Score] = []
        paid: set[Prompt] = set()
        for sample in samples:
            if sample.reply not in checks:
                why = "the draw failed" if sample.finish is Finish.ERROR else "the reply is empty"
                scores.append(Score(None, why=why))
                continue
            prompts = checks[sample.reply]
            drawn = total(said[prompt].cost for prompt in prompts if prompt not in paid)
            paid.update(prompts)
            scores.append(replace(self._folded([said[prompt] for prompt in prompts]), drawn=drawn))
        return scores

    def _folded(self, heard: Sequence[Said]) -> Score:
        """The score of one reply from what was said of its steps."""
        opinions: list[Opinion] = [self._opinion(said, YES_NO) for said in heard]
        whys = [f"step {i}: {one.why}" for i, one in enumerate(opinions, 1) if one.why]
        values = tuple(one.p for one in opinions if one.p is not None)
        if len(values) < len(opinions):
            return Score(None, why=whys[0])
        return Score(steps.fold(values, self.fold), values, Cost(), whys[0] if whys else "")
