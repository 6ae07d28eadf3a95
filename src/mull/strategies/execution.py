"""Selection among programs by running them on tests that the model wrote, or by comparing them on inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from mull.errors import UnknownNameError
from mull.programs import ask
from mull.replies.answers import answers_of
from mull.replies.aside import aside
from mull.replies.fingerprint import fingerprint
from mull.replies.programs import asked, programs_of
from mull.replies.tests import assertions_of, calls_of, pairs_of
from mull.run import Run
from mull.strategies import agreement
from mull.strategies.agreement import Count, Loss, Output
from mull.strategies.outcomes import check_at_least
from mull.types import Behaviour, Need, Outcome, Problem, Sample, Scaling, Score, Selection, Trial

PER_DRAW = 5
"""Maximum number of tests taken from one draw, as in CodeT."""

Test = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Programs:
    """Draws and their programs. Programs that differ only in layout have equal `names`; `None`: no program."""

    samples: tuple[Sample, ...]
    texts: tuple[str | None, ...]
    names: tuple[str | None, ...]


async def read(problem: Problem, samples: Sequence[Sample]) -> Programs:
    """The programs in these draws."""
    texts = tuple(await programs_of(problem, samples))
    size = sum(map(len, filter(None, texts)))
    names = await aside(lambda: tuple(None if text is None else fingerprint(text) for text in texts), size)
    return Programs(tuple(samples), texts, names)


async def written_tests(problem: Problem, run: Run, n: int) -> list[Test]:
    """The distinct tests that the model writes in `n` draws."""
    what = asked(problem.given)
    replies = [sample.reply for sample in await run.draw(ask.tests(problem, PER_DRAW), n)]

    def read_all() -> list[Test]:
        if what.entry_point:
            return [test for text in replies for test in assertions_of(text, what.entry_point, PER_DRAW)]
        return [pair for text in replies for pair in pairs_of(text)[:PER_DRAW]]

    return list(dict.fromkeys(await aside(read_all, sum(map(len, replies)))))


async def written_inputs(problem: Problem, run: Run, n: int) -> list[str]:
    """The distinct inputs of tests that the model writes in `n` draws; expected outputs are ignored."""
    if n == 0:
        return []
    return list(dict.fromkeys(await inputs_in(problem, await run.draw(ask.tests(problem, PER_DRAW), n))))


async def inputs_in(problem: Problem, samples: Sequence[Sample]) -> list[str]:
    """The inputs of tests that these draws contain."""
    replies = [sample.reply for sample in samples]
    size = sum(map(len, replies))
    return await aside(lambda: [source for text in replies for source in inputs_of(problem, text)], size)


def inputs_of(problem: Problem, text: str) -> list[str]:
    """The inputs in a text: calls of the requested function, or standard inputs of a program."""
    entry_point = asked(problem.given).entry_point
    return calls_of(text, entry_point, PER_DRAW) if entry_point else [pair[0] for pair in pairs_of(text)[:PER_DRAW]]


def public_tests(problem: Problem) -> list[Test]:
    """The problem's public tests, which a strategy may see."""
    what = asked(problem.given)
    return list(what.tests) if what.entry_point else list(what.pairs)


def tried_by(problem: Problem, test: Test) -> list[str]:
    """The inputs on which a test tries a program."""
    return inputs_of(problem, test) if isinstance(test, str) else [test[0]]


def public_inputs(problem: Problem) -> list[str]:
    """The distinct inputs of all public tests."""
    return list(dict.fromkeys(source for test in public_tests(problem) for source in tried_by(problem, test)))


async def tried(
    problem: Problem, run: Run, programs: Programs, tests: Sequence[Test] = (), inputs: Sequence[str] = ()
) -> list[Behaviour | None]:
    """The behaviour of each draw's program; runs each distinct program once. `None`: no program, or sandbox failure."""
    first = {name: text for name, text in zip(programs.names, programs.texts, strict=True) if name and text}
    names = sorted(first)
    behaviours = await run.execute(problem, [Trial(first[name], tuple(tests), tuple(inputs)) for name in names])
    found = {name: behaviour for name, behaviour in zip(names, behaviours, strict=True) if behaviour.is_known}
    return [None if name is None else found.get(name) for name in programs.names]


def outputs_of(behaviour: Behaviour) -> tuple[Output, ...]:
    """A program's result on each input: its output, or the type of its exception; `None` if it did not end."""
    return tuple(
        text if text is not None else _raised(error)
        for text, error in zip(behaviour.outputs, behaviour.errors, strict=True)
    )


def _raised(error: str) -> str | None:
    kind = error.partition(":")[0].strip()
    return (
        None if not kind.isidentifier() or kind in ("TimeoutError", "SystemError", "MemoryError") else f"raises {kind}"
    )


def scores_of(programs: Programs, behaviours: Sequence[Behaviour | None]) -> tuple[Score, ...]:
    """The share of tests that each candidate passes."""
    found = []
    for text, behaviour in zip(programs.texts, behaviours, strict=True):
        if text is None:
            found.append(Score(0.0, why="there is no program in the reply"))
        elif behaviour is None:
            found.append(Score(None, why="it could not be run"))
        else:
            steps = tuple(float(passed) for passed in behaviour.passed if passed is not None)
            found.append(Score(sum(steps) / len(steps) if steps else None, steps, why="" if steps else "no tests"))
    return tuple(found)


def one_of(places: Sequence[int], programs: Programs, run: Run) -> int:
    """One of these draws, chosen by the seed independently of their order."""
    ranked = sorted(places, key=lambda i: (programs.names[i] or "", programs.samples[i].text, i))
    return run.rng.choice(ranked) if len(ranked) > 1 else ranked[0]


async def outcome_of(
    place: int | None,
    problem: Problem,
    programs: Programs,
    scores: Sequence[Score],
    tally: Sequence[tuple[str, float]],
    share: float | None,
    run: Run,
) -> Outcome:
    best = None if place is None else programs.samples[place]
    answer = None if best is None else (await answers_of(problem, [best]))[0]
    return Outcome(best, answer, programs.samples, tuple(scores), tuple(tally), share, run.stopped)


def share_of(weights: Sequence[float]) -> float | None:
    return weights[0] / sum(weights) if weights and sum(weights) > 0 else None


@dataclass(frozen=True)
class Agree:
    """Dual execution agreement (CodeT, Chen et al. 2022, arXiv 2207.10397) of n programs and model-written tests.

    Tests come from `tests` further draws. Programs that pass exactly the same tests form a set; the set with the
    greatest product of its numbers of programs and tests wins, and the seed picks one of its programs. Unlike in the
    paper, a repeated program counts once, since trivial programs, which models write often, pass trivial tests;
    `count=samples` counts every draw.
    """

    needs = frozenset({Need.EXECUTOR})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    tests: int = 8
    count: Count = "distinct"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, tests=self.tests)
        if self.count not in get_args(Count):
            raise UnknownNameError("count", self.count, get_args(Count))

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        programs = await read(problem, await run.draw(problem.prompt, self.n))
        if not any(programs.texts):
            return await outcome_of(None, problem, programs, (), (), None, run)
        tests = await written_tests(problem, run, self.tests)
        behaviours = await tried(problem, run, programs, tests)
        passes = [[passed is True for passed in behaviour.passed] if behaviour else [] for behaviour in behaviours]
        names = [name if behaviour else None for name, behaviour in zip(programs.names, behaviours, strict=True)]
        sets = agreement.consensus(passes, names, self.count)
        if not sets:
            return await outcome_of(None, problem, programs, scores_of(programs, behaviours), (), None, run)
        tied = [one for one in sets if one.score == sets[0].score]
        chosen = run.rng.choice(tied) if len(tied) > 1 else tied[0]
        sets.sort(key=lambda one: (-one.score, one is not chosen))
        tally = [
            (f"{len(one.programs)} draws pass {len(one.tests)} tests ({i + 1})", one.score)
            for i, one in enumerate(sets)
        ]
        place = one_of(chosen.programs, programs, run)
        return await outcome_of(
            place, problem, programs, scores_of(programs, behaviours), tally, share_of([one.score for one in sets]), run
        )


@dataclass(frozen=True, slots=True)
class Behaved:
    """Programs and their outputs on inputs; excluded programs, such as those that fail public tests, have no name."""

    programs: Programs
    behaviours: tuple[Behaviour | None, ...]
    inputs: tuple[str, ...]
    outputs: tuple[tuple[Output, ...], ...]
    names: tuple[str | None, ...]


async def behaved(problem: Problem, run: Run, programs: Programs, n_draws: int) -> Behaved:
    """Runs programs on the public tests, on their inputs, and on the inputs of tests that the model writes."""
    inputs = list(dict.fromkeys([*public_inputs(problem), *(await written_inputs(problem, run, n_draws))]))
    behaviours = await tried(problem, run, programs, public_tests(problem), inputs)
    return sifted(programs, behaviours, inputs)


def sifted(programs: Programs, behaviours: Sequence[Behaviour | None], inputs: Sequence[str]) -> Behaved:
    """Excludes programs without a value on any input, and those that fail a public test if another passes them all."""
    able = [t is not None and (not inputs or any(o is not None for o in t.outputs)) for t in behaviours]
    good = [
        ok and t is not None and all(p is not False for p in t.passed) for ok, t in zip(able, behaviours, strict=True)
    ]
    kept = good if any(good) else able
    outputs: list[tuple[Output, ...]] = []
    for name, behaviour in zip(programs.names, behaviours, strict=True):
        # Without inputs, a program is only known to behave like itself.
        if not inputs:
            outputs.append((name,))
        else:
            outputs.append((None,) * len(inputs) if behaviour is None else outputs_of(behaviour))
    names = tuple(name if ok else None for name, ok in zip(programs.names, kept, strict=True))
    return Behaved(programs, tuple(behaviours), tuple(inputs), tuple(outputs), names)


@dataclass(frozen=True)
class Cluster:
    """A program of the largest cluster of n programs by their outputs on inputs (AlphaCode, Li et al. 2022).

    Programs that fail a public test are excluded if another passes them all. Inputs are those of the public tests and
    of tests that the model writes in `tests` further draws (0: none), whose expected outputs are ignored.
    """

    needs = frozenset({Need.EXECUTOR})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    tests: int = 4
    count: Count = "samples"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        check_at_least(0, tests=self.tests)
        if self.count not in get_args(Count):
            raise UnknownNameError("count", self.count, get_args(Count))

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        return await self.among(problem, run, await run.draw(problem.prompt, self.n))

    async def among(self, problem: Problem, run: Run, samples: Sequence[Sample]) -> Outcome:
        """The choice among existing draws."""
        programs = await read(problem, samples)
        if not any(programs.texts):
            return await outcome_of(None, problem, programs, (), (), None, run)
        seen = await behaved(problem, run, programs, self.tests)
        groups = agreement.clusters(seen.outputs, seen.names, self.count)
        scores = scores_of(programs, seen.behaviours)
        if not groups:
            return await outcome_of(None, problem, programs, scores, (), None, run)
        tied = [one for one in groups if one.size == groups[0].size]
        chosen = run.rng.choice(tied) if len(tied) > 1 else tied[0]
        groups.sort(key=lambda one: (-one.size, one is not chosen))
        place = one_of(chosen.programs, programs, run)
        return await outcome_of(
            place, problem, programs, scores, _labels(groups), share_of([one.size for one in groups]), run
        )


def _labels(groups: Sequence[agreement.BehaviourCluster]) -> list[tuple[str, float]]:
    return [(f"behaviour {i + 1}", float(one.size)) for i, one in enumerate(groups)]


@dataclass(frozen=True)
class Mbr:
    """Minimum Bayes risk over the outputs of n programs (MBR-Exec, Shi et al. 2022, arXiv 2204.11454).

    The program with the lowest summed loss wins. `hard` loss counts the programs that differ on any input, `soft` sums
    the shares of inputs on which they differ. Inputs and public tests are used as in `cluster`.
    """

    needs = frozenset({Need.EXECUTOR})
    draws = Scaling.PARALLEL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    tests: int = 4
    loss: Loss = "hard"

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)
        check_at_least(0, tests=self.tests)
        if self.loss not in get_args(Loss):
            raise UnknownNameError("loss", self.loss, get_args(Loss))

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        programs = await read(problem, await run.draw(problem.prompt, self.n))
        if not any(programs.texts):
            return await outcome_of(None, problem, programs, (), (), None, run)
        seen = await behaved(problem, run, programs, self.tests)
        losses = agreement.losses(seen.outputs, seen.names, self.loss)
        least = min((loss for loss in losses if loss is not None), default=None)
        scores = scores_of(programs, seen.behaviours)
        if least is None:
            return await outcome_of(None, problem, programs, scores, (), None, run)
        place = one_of([i for i, loss in enumerate(losses) if loss == least], programs, run)
        others = max(len(losses) - 1, 1)
        return await outcome_of(place, problem, programs, scores, (), 1 - least / others, run)
