"""Repair of programs from public test results, and selection by inputs on which they differ (S*)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from mull.errors import UnknownNameError
from mull.programs import ask
from mull.replies.answers import extract
from mull.replies.aside import aside
from mull.run import Run
from mull.strategies import agreement, pick
from mull.strategies.execution import (
    PER_DRAW,
    Behaved,
    Cluster,
    Test,
    behaved,
    inputs_in,
    one_of,
    outcome_of,
    outputs_of,
    public_inputs,
    public_tests,
    read,
    scores_of,
    tried,
    tried_by,
)
from mull.strategies.outcomes import check_at_least, chosen
from mull.types import AnswerKind, Ask, Behaviour, Need, Outcome, Problem, Sample, Scaling, Score, Selection, Trial

Pick = Literal["distinguish", "cluster", "tests"]


class Version(NamedTuple):
    """One version of a program, and its results on the public tests."""

    sample: Sample
    text: str | None
    behaviour: Behaviour | None
    score: Score

    @property
    def fails(self) -> bool:
        """Whether it fails a public test, with a result to report to the model."""
        return self.text is not None and self.behaviour is not None and False in self.behaviour.passed

    def is_as_good_as(self, other: Version) -> bool:
        """Whether it passes at least as large a share of the public tests as `other`; false if its share is unknown."""
        return self.score.value is not None and self.score.value >= (other.score.value or 0.0)


async def _versions(problem: Problem, run: Run, samples: Sequence[Sample]) -> list[Version]:
    programs = await read(problem, samples)
    behaviours = await tried(problem, run, programs, public_tests(problem), public_inputs(problem))
    return list(map(Version, samples, programs.texts, behaviours, scores_of(programs, behaviours)))


def what_failed(problem: Problem, behaviour: Behaviour) -> str:
    """The public tests that a program fails, each with its result."""
    did = {
        source: f"raises {error}" if output is None else output
        for source, output, error in zip(public_inputs(problem), behaviour.outputs, behaviour.errors, strict=False)
    }
    return "\n\n".join(
        _told(test, [(source, did[source]) for source in tried_by(problem, test) if source in did])
        for test, passed in zip(public_tests(problem), behaviour.passed, strict=False)
        if passed is False
    )


def _told(test: Test, did: Sequence[tuple[str, str]]) -> str:
    if isinstance(test, str):
        return "\n".join([test, *(f"but {source} gives {what}" for source, what in did)])
    return "\n".join([f"input:\n{test[0]}\noutput:\n{test[1]}", *(f"but it gives:\n{what}" for _, what in did)])


async def repaired(
    problem: Problem, run: Run, samples: Sequence[Sample], rounds: int
) -> tuple[list[Sample], list[Version]]:
    """The draws, each repaired up to `rounds` times from its public test results, and the discarded versions.

    The model sees the tests that a program fails and its results. A program that passes all tests is not changed; a
    repaired version replaces the one before only if it passes at least as many tests.
    """
    if not rounds or not samples or not public_tests(problem):
        return list(samples), []
    current, given_up = await _versions(problem, run, samples), list[Version]()
    for _ in range(rounds):
        places = [i for i, version in enumerate(current) if version.fails]
        asks = [
            Ask(ask.repair(problem, version.text or "", what_failed(problem, version.behaviour)), 1, run.params)
            for version in (current[i] for i in places)
            if version.behaviour is not None
        ]
        replies = await run.draw_each(asks) if asks else []
        # The original question, so that a reply that continues its function header is parsed as one.
        new = {
            i: replace(drawn[0], prompt=current[i].sample.prompt)
            for i, drawn in zip(places, replies, strict=True)
            if drawn
        }
        if not new:
            break
        for i, version in zip(new, await _versions(problem, run, list(new.values())), strict=True):
            better, worse = (version, current[i]) if version.is_as_good_as(current[i]) else (current[i], version)
            run.note("repaired" if better is version else "not repaired", [version.sample], score=version.score.value)
            current[i] = better
            given_up.append(worse)
    return [version.sample for version in current], given_up


@dataclass(frozen=True)
class Distinguish:
    """Clusters n programs and runs a tournament on inputs that distinguish the clusters (S*, arXiv 2502.14382).

    Programs that fail a public test are repaired up to `rounds` times. The `top` largest clusters are compared in
    pairs: the model sees the outputs of both on inputs where they differ, which it writes if none is known, and says
    which is right, in both orders; if it contradicts itself neither wins. Equal wins go to the larger cluster.
    """

    needs = frozenset({Need.EXECUTOR})
    draws = Scaling.SEQUENTIAL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    tests: int = 4
    rounds: int = 1
    top: int = 4
    shown: int = 3

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, tests=self.tests, top=self.top, shown=self.shown)
        check_at_least(0, rounds=self.rounds)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples, _ = await repaired(problem, run, await run.draw(problem.prompt, self.n), self.rounds)
        return await self.among(problem, run, samples)

    async def among(self, problem: Problem, run: Run, samples: Sequence[Sample]) -> Outcome:
        """The choice among existing draws."""
        programs = await read(problem, samples)
        if not any(programs.texts):
            return await outcome_of(None, problem, programs, (), (), None, run)
        seen = await behaved(problem, run, programs, self.tests)
        groups = agreement.clusters(seen.outputs, seen.names)[: self.top]
        scores = scores_of(programs, seen.behaviours)
        if not groups:
            return await outcome_of(None, problem, programs, scores, (), None, run)
        heads = [one_of(group.programs, programs, run) for group in groups]
        wins = [0.0] * len(groups)
        for a, b in itertools.combinations(range(len(groups)), 2):
            share = await self._match(problem, run, seen, heads[a], heads[b])
            wins[a] += share
            wins[b] += 1 - share
        ranked = sorted(range(len(groups)), key=lambda g: (-wins[g], -groups[g].size, g))
        tally = [(f"behaviour {g + 1}: {groups[g].size} draws", wins[g]) for g in ranked]
        confidence = wins[ranked[0]] / (len(groups) - 1) if len(groups) > 1 else None
        return await outcome_of(heads[ranked[0]], problem, programs, scores, tally, confidence, run)

    async def _match(self, problem: Problem, run: Run, seen: Behaved, a: int, b: int) -> float:
        """The first program's share of one point."""
        first, second = seen.programs.texts[a], seen.programs.texts[b]
        assert first is not None
        assert second is not None
        places = agreement.separating(seen.outputs, a, b)[: self.shown] if seen.inputs else []
        cases = [(seen.inputs[k], str(seen.outputs[a][k]), str(seen.outputs[b][k])) for k in places]
        if not cases:
            cases = await self._written(problem, run, first, second)
        if not cases:
            return 0.5
        swapped = [(source, y, x) for source, x, y in cases]
        one = await run.draw(ask.decide(problem, first, second, cases))
        other = await run.draw(ask.decide(problem, second, first, swapped))
        replies = [sample.reply for sample in (*one, *other)]
        says = await aside(lambda: [extract(reply, AnswerKind.CHOICE) for reply in replies], sum(map(len, replies)))
        return {"A B": 1.0, "B A": 0.0}.get(" ".join(map(str, says)), 0.5)

    async def _written(self, problem: Problem, run: Run, first: str, second: str) -> list[tuple[str, str, str]]:
        """Inputs written by the model on which the two programs do differ."""
        inputs = await inputs_in(problem, await run.draw(ask.separate(problem, first, second, PER_DRAW)))
        if not inputs:
            return []
        behaviours = await run.execute(problem, [Trial(p, inputs=tuple(inputs)) for p in (first, second)])
        if not all(behaviour.is_known for behaviour in behaviours):
            return []
        x, y = map(outputs_of, behaviours)
        return [(inputs[k], str(x[k]), str(y[k])) for k in agreement.separating([x, y], 0, 1)][: self.shown]


@dataclass(frozen=True)
class Repair:
    """Repairs n programs up to `rounds` times from public test results, then selects one (S*, arXiv 2502.14382).

    The model sees its program, the public tests that it fails and its results; the better version is kept.
    `pick=distinguish` selects by a tournament on inputs where programs differ, `cluster` by the largest cluster with
    equal outputs, `tests` by the share of public tests passed. `tests` draws write inputs for the first two.
    """

    needs = frozenset({Need.EXECUTOR})
    draws = Scaling.SEQUENTIAL
    reuses = True

    n: int = 8
    rounds: int = 2
    pick: Pick = "distinguish"
    tests: int = 4
    top: int = 4

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, rounds=self.rounds, tests=self.tests, top=self.top)
        if self.pick not in get_args(Pick):
            raise UnknownNameError("pick", self.pick, get_args(Pick))

    @property
    def selects(self) -> Selection:
        return Selection.SCORES if self.pick == "tests" else Selection.VOTES

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        samples, given_up = await repaired(problem, run, await run.draw(problem.prompt, self.n), self.rounds)
        if self.pick == "distinguish":
            outcome = await Distinguish(self.n, self.tests, 0, self.top).among(problem, run, samples)
        elif self.pick == "cluster":
            outcome = await Cluster(self.n, self.tests).among(problem, run, samples)
        else:
            scores = [version.score for version in await _versions(problem, run, samples)]
            outcome = await chosen(pick.best(scores, run.rng), problem, samples, scores, run.stopped)
        more = [version.score for version in given_up] if outcome.scores else []
        return replace(
            outcome,
            candidates=(*outcome.candidates, *(version.sample for version in given_up)),
            scores=(*outcome.scores, *more),
            notes={**outcome.notes, "repairs": len(given_up)},
        )
