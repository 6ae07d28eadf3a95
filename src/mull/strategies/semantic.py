"""Choice among replies in free text: a vote of groups that say the same, and minimum Bayes risk by shared words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mull.errors import UnknownNameError
from mull.replies.answers import answers_of, classes, extract
from mull.replies.aside import aside
from mull.run import Run
from mull.strategies.outcomes import check_at_least, turnout
from mull.strategies.quoting import check_reads, legible, numbered, quoting, said
from mull.types import NO_NEEDS, AnswerKind, Ask, Outcome, Problem, Sample, Scaling, Selection

By = Literal["model", "text"]
SAME = (
    "Do not do the task. Do these two replies give the same answer to it, so that whoever accepts one must accept the "
    "other? Wording, length and order do not matter. Think briefly, then end with the line `answer: yes` or "
    "`answer: no`."
)
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.casefold())


def overlap(a: Sequence[str], b: Sequence[str], order: int = 2) -> float:
    """The F1 of shared n-grams of two lists of words, the mean over n from 1 to `order`; 1 for equal lists."""
    if list(a) == list(b):
        return 1.0
    found = []
    for n in range(1, order + 1):
        x, y = (Counter(zip(*(one[i:] for i in range(n)), strict=False)) for one in (a, b))
        total = x.total() + y.total()
        found.append(2 * (x & y).total() / total if total else 0.0)
    return sum(found) / order


@dataclass(frozen=True)
class Semantic:
    """Vote of groups of replies that say the same, for free text (semantic groups, arXiv 2302.09664).

    Replies with equal answers, or without an answer equal words, are one group. With `by=model` the model then says of
    each further group whether it gives the same answer as a larger one, and it joins the largest that does. The largest
    group wins, the first drawn among equals, and its first reply stands for it. Where a ceiling leaves no room for a
    question, groups stay apart.
    """

    needs = NO_NEEDS
    selects = Selection.VOTES
    reuses = True

    n: int = 8
    by: By = "model"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        if self.by not in get_args(By):
            raise UnknownNameError("by", self.by, get_args(By))

    @property
    def draws(self) -> Scaling:
        return Scaling.SEQUENTIAL if self.by == "model" else Scaling.PARALLEL

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        if self.by == "model":
            await check_reads(problem, run, SAME)
        samples = await run.draw(problem.prompt, self.n)
        answers = await classes(problem, samples)
        groups: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            if legible([sample]):
                groups.setdefault(answers[i] or " ".join(words(said(sample))), []).append(i)
        ranked = sorted(groups.values(), key=lambda group: (-len(group), group[0]))
        merged: list[list[int]] = []
        for group in ranked:
            same = await self._same(problem, run, samples, merged, group) if self.by == "model" else None
            if same is None:
                merged.append(group)
            else:
                same += group
            merged.sort(key=lambda one: (-len(one), min(one)))
        names = [str(answers[group[0]] or said(samples[group[0]])) for group in merged]
        tally = tuple((name, float(len(group))) for name, group in zip(names, merged, strict=True))
        notes = {**turnout(answers), "groups": len(merged)}
        if not merged:
            return Outcome(None, None, tuple(samples), stopped=run.stopped, notes=notes)
        share = len(merged[0]) / sum(map(len, merged))
        best = merged[0][0]
        return Outcome(samples[best], answers[best], tuple(samples), (), tally, share, run.stopped, notes)

    async def _same(
        self, problem: Problem, run: Run, samples: Sequence[Sample], groups: Sequence[list[int]], group: Sequence[int]
    ) -> list[int] | None:
        """The first of the groups whose first reply says the same as that of another group."""
        texts = [said(samples[one[0]]) for one in groups]
        own = said(samples[group[0]])
        asks = [Ask(quoting(problem, numbered([text, own]), SAME, run.seed), 1, run.params) for text in texts]
        replies = [said(drawn[0]) if drawn else "" for drawn in await run.draw_each(asks)]
        told = await aside(lambda: [extract(reply, AnswerKind.YES_NO) for reply in replies], sum(map(len, replies)))
        return next((one for one, verdict in zip(groups, told, strict=True) if verdict == "yes"), None)


@dataclass(frozen=True)
class TextMbr:
    """Minimum Bayes risk over texts: the reply that shares most words and word pairs with the others.

    Each reply is scored by its mean F1 of word n-grams up to `order` with every other one, so an outlier loses and the
    reply nearest to all wins, the first drawn among equals. No model is asked (Eikema and Aziz 2020, arXiv 2005.10283;
    Bertsch et al. 2023, arXiv 2310.01387).
    """

    needs = NO_NEEDS
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    order: int = 2

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, order=self.order)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        samples = await run.draw(problem.prompt, self.n)
        shown = legible(samples)
        texts = [said(sample) for sample in shown]
        means = await aside(lambda: self._means([words(text) for text in texts]), len(texts) * sum(map(len, texts)))
        best = max(range(len(shown)), key=means.__getitem__, default=None)
        if best is None:
            return Outcome(None, None, tuple(samples), stopped=run.stopped)
        (answer,) = await answers_of(problem, [shown[best]])
        return Outcome(shown[best], answer, tuple(samples), confidence=means[best], stopped=run.stopped)

    def _means(self, texts: Sequence[list[str]]) -> list[float]:
        """The mean overlap of each text with the others; 1 for a single text."""
        n = len(texts)
        pairs = {(i, j): overlap(texts[i], texts[j], self.order) for i in range(n) for j in range(i)}
        return [
            sum(pairs[max(i, j), min(i, j)] for j in range(n) if j != i) / (n - 1) if n > 1 else 1.0 for i in range(n)
        ]
