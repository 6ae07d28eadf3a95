"""Choice among finished runs of an agent on one task: by a judge of pairs, or by the tests that the runs ran."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mull.errors import FileFormatError, UnknownNameError, UsageError, cannot_read
from mull.files.logs import formats
from mull.files.recording import AgentRun, RecordedSample
from mull.lab.run_summary import MOST, OwnTests, own_tests, steps_of, summary
from mull.replies.kinds import ExactAnswer
from mull.run.events import RunEvent, VerdictsArrived
from mull.strategies.quoting import quoting, said
from mull.types import (
    Ask,
    Budget,
    Cost,
    Draw,
    Finish,
    Judge,
    Model,
    Pair,
    Params,
    Preference,
    Problem,
    Prompt,
    Purse,
    Sample,
    Stopped,
)

if TYPE_CHECKING:
    from mull.bank import Bank
    from mull.run import Run, Strategy

TO_SUMMARISE = 4
"""A model that summarises a run is shown so many times the characters of the summary that a judge reads."""
SUMMARISE = (
    "Do not do the task. The quotation is a run of an agent on it. Summarise the run in at most 150 words: what it "
    "changed, what it checked and what the checks returned, what it left open. State only what the run shows."
)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of a task. The verdict that its log may have is not here."""

    name: str
    task: str
    prompt: str
    model: str
    sample: RecordedSample

    @property
    def run(self) -> AgentRun:
        assert self.sample.run is not None  # `gather` takes no others
        return self.sample.run

    @property
    def lacks(self) -> str | None:
        """Why the run cannot be chosen; `None`: it can."""
        if self.sample.finish is Finish.ERROR:
            return f"it failed ({self.run.ended or 'its log does not say why'})"
        if self.sample.text.strip() or (self.run.turns and not self.run.is_whole):
            return None
        return f"it has no answer (ended: {self.run.ended or 'unknown'})"

    @cached_property
    def result(self) -> str:
        """A digest of what the run leaves behind: runs with the same one are equal."""
        whole = (self.sample.text,) if self.run.is_whole else (self.sample.text, self.run.turns)
        return hashlib.blake2b(repr(whole).encode(errors="surrogatepass"), digest_size=8).hexdigest()

    @cached_property
    def tests(self) -> OwnTests | None:
        return own_tests(self.run)

    @cached_property
    def n_steps(self) -> int:
        return len(steps_of(self.run))


@dataclass(frozen=True)
class Standing:
    """How a judge sees a run against those that it was compared with: how many, and the mean preference for it."""

    met: int = 0
    preference: float | None = None


@dataclass(frozen=True)
class Choice:
    """The chosen run (`None`: it cannot be told), and why.

    `sure` is the judge's preference for it over `rival`, the run that came closest among those it was compared with:
    above 1/2, and `None` if no judge was asked. `standings` are by name; `left_out` has the runs that cannot be chosen,
    and why.
    """

    chosen: FinishedRun | None
    why: str
    by: str
    candidates: tuple[FinishedRun, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    sure: float | None = None
    rival: str | None = None
    standings: Mapping[str, Standing] = field(default_factory=dict)
    comparisons: int = 0
    unjudged: int = 0
    cost: Cost = Cost()
    notes: tuple[str, ...] = ()


def gather(paths: Sequence[Path], task: str | None = None) -> list[FinishedRun]:
    """The runs of one task in these logs; a run that is there twice counts once.

    Raises `FileFormatError` for what is no log of agents' runs, and `UsageError` if they are of different tasks.
    """
    found: dict[tuple[str, str, str], FinishedRun] = {}
    for path in paths:
        if not path.exists():
            raise cannot_read(path, FileNotFoundError())
        log = formats.read(path)
        runs = [(one, sample) for one in log.recordings for sample in one.samples if sample.run] if log else []
        if not runs:
            what = "no finished runs of agents in it: `mull list formats` tells which logs are read (mini-swe-agent, "
            raise FileFormatError(path, None, f"{what}Harbor, agents in inspect_ai)")
        for one, sample in runs:
            assert sample.run is not None
            place = path / sample.run.name if path.is_dir() else path
            name = str(place) if path.is_dir() or len(runs) == 1 else f"{path}: {sample.run.name}"
            key = str(place.resolve()), sample.run.name if path.is_file() and len(runs) > 1 else "", one.id
            candidate = FinishedRun(name, one.id, one.prompt or one.id, one.group or "", sample._replace(correct=None))
            found.setdefault(key, candidate)
    tasks = Counter(one.task for one in found.values())
    if task is not None and task not in tasks:
        raise UnknownNameError("task of these runs", task, tasks)
    if task is None and len(tasks) > 1:
        told = ", ".join(f"{name} ({n})" for name, n in sorted(tasks.items())[:8]) + (", ..." if len(tasks) > 8 else "")
        raise UsageError(f"these are runs of {len(tasks)} different tasks: {told}; name one of them with --task")
    return [one for one in found.values() if task in (None, one.task)]


def answerable(runs: Sequence[FinishedRun]) -> tuple[list[FinishedRun], dict[str, str]]:
    """The runs that can be chosen, and why the others cannot."""
    return [one for one in runs if one.lacks is None], {one.name: one.lacks for one in runs if one.lacks is not None}


def settled(runs: Sequence[FinishedRun], by: str) -> Choice | None:
    """The choice if there is nothing to compare: fewer than two runs, or all with the same result; else `None`."""
    candidates, left_out = answerable(runs)

    def choice(chosen: FinishedRun | None, why: str) -> Choice:
        return Choice(chosen, why, by, tuple(candidates), left_out)

    if not candidates:
        return choice(None, f"none of the {len(runs)} runs has an answer")
    if len(runs) == 1:
        return choice(None, "there is one run: nothing to choose among")
    if len(candidates) == 1:
        return choice(candidates[0], f"it is the only one of {len(runs)} runs with an answer: nothing was compared")
    if len({one.result for one in candidates}) == 1:
        return choice(candidates[0], f"all {len(candidates)} runs with an answer have the same: nothing was compared")
    return None


def by_tests(runs: Sequence[FinishedRun]) -> Choice:
    """The run whose own tests passed, if the others' did not or had another result; a tie cannot be told."""
    if (choice := settled(runs, "tests")) is not None:
        return choice
    candidates, left_out = answerable(runs)
    passed = [one for one in candidates if one.tests is not None and one.tests.passed]
    n_told = sum(one.tests is not None for one in candidates)
    chosen = passed[0] if len({one.result for one in passed}) == 1 else None
    if n_told == 0:
        why = "none of the runs has tests of its own whose verdict is recorded"
    elif not passed:
        why = f"no run passed its own tests ({n_told} of {len(candidates)} ran some)"
    elif chosen is None:
        why = f"{len(passed)} runs with different results passed their own tests: {', '.join(p.name for p in passed)}"
    else:
        others = len(candidates) - len(passed)
        same = f"it and {len(passed) - 1} with the same result" if len(passed) > 1 else "it alone"
        why = f"{same} passed its own tests; {others} others failed theirs or recorded none"
    return Choice(chosen, why, "tests", tuple(candidates), left_out)


@dataclass(frozen=True)
class RunsModel:
    """A model whose draws are finished runs, each once and in this order; they cost nothing more."""

    replies: tuple[tuple[str, str], ...]
    """For each run what a judge reads of it, and the digest of its result."""

    @property
    def name(self) -> str:
        return "finished runs"

    @property
    def identity(self) -> str:
        content = hashlib.blake2b(repr(self.replies).encode(errors="surrogatepass"), digest_size=10).hexdigest()
        return f"{self.name}@{content}"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return "have been drawn already: only a strategy that compares them can choose" if prompt.prefix else None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost()

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for number, seed in draws:
            if number < len(self.replies):
                text, result = self.replies[number]
                yield Sample(prompt, text, Finish.STOP, Cost(), number, seed, answer=result)


@dataclass
class Margins:
    """The preferences of a judge as they arrive, by the numbers of the two runs."""

    told: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    whys: Counter[str] = field(default_factory=Counter)
    unjudged: int = 0

    def see(self, event: RunEvent) -> None:
        if not isinstance(event, VerdictsArrived):
            return
        for pair, verdict in zip(event.items, event.verdicts, strict=True):
            if not isinstance(pair, Pair) or not isinstance(verdict, Preference):
                continue
            if verdict.first is None:
                self.unjudged += 1
                self.whys[verdict.why] += 1
                continue
            a, b = pair.first.draw, pair.second.draw
            self.told.setdefault((a, b), []).append(verdict.first)
            self.told.setdefault((b, a), []).append(1 - verdict.first)

    def against(self, place: int) -> dict[int, float]:
        """The mean preference for a run over each that it was compared with."""
        return {b: math.fsum(told) / len(told) for (a, b), told in self.told.items() if a == place}


async def by_judge(
    runs: Sequence[FinishedRun],
    judge: Judge,
    strategy: Strategy,
    name: str,
    *,
    summariser: Model | None = None,
    budget: Budget | None = None,
    bank: Bank | None = None,
    seed: int = 0,
    most: int = MOST,
    tick: Callable[[], None] = lambda: None,
) -> Choice:
    """The choice of a strategy that compares the runs by a judge, in both orders, within a budget.

    The judge reads the summary of each run in at most `most` characters. What it says of the chosen run against its
    closest rival is how sure the choice is. A preference of 1/2 or less and a ceiling that was reached decide nothing.
    """
    from mull.run import Run

    if (choice := settled(runs, name)) is not None:
        return choice
    candidates, left_out = answerable(runs)
    margins = Margins()
    problem = Problem(candidates[0].task, Prompt.user(candidates[0].prompt), ExactAnswer())

    def see(event: RunEvent) -> None:
        margins.see(event)
        tick()

    first = RunsModel(tuple((summary(one.sample, most), one.result) for one in candidates))
    rng = random.Random(f"{seed}/{problem.prompt.question}".encode(errors="surrogatepass"))
    params = Params(max_tokens=1)  # of draws that are there already: a ceiling on tokens is the judge's
    run = Run(first, judge=judge, budget=budget, bank=bank, params=params, seed=seed, rng=rng, watch=see)
    notes: list[str] = []
    if summariser is not None:
        told = await _summaries(run.on(summariser), problem, candidates, most)
        if n := told.count(None):
            notes.append(f"{n} of {len(told)} runs are summarised from their steps: the model gave no summary of them")
        pairs = zip(candidates, told, strict=True)
        run = run.on(RunsModel(tuple((summary(one.sample, most, text), one.result) for one, text in pairs)))
    chooser = run.on()
    chooser.bank = None  # what the judge and the model say is kept there, but runs that were drawn elsewhere are not
    outcome = await chooser.solve(strategy, problem)
    best = None if outcome.best is None else outcome.best.draw
    against = {} if best is None else margins.against(best)
    rival = min(against, key=lambda place: (against[place], place), default=None)
    sure = None if rival is None else against[rival]
    leads = "" if best is None else f"; {candidates[best].name} leads"
    why = f"the judge prefers it to each of the {len(against)} it was compared with"
    is_told = True
    if outcome.stopped in (Stopped.BUDGET, Stopped.DEADLINE):
        why, is_told = f"a ceiling ended the judging after {_count(margins)} comparisons{leads}", False
    elif sure is None:
        reason = margins.whys.most_common(1)[0][0] if margins.whys else "it was asked about no pair"
        why, is_told = f"the judge gave no verdict: {reason}", False
    elif sure <= 0.5:
        assert best is not None  # it was compared with its rival
        assert rival is not None
        why, is_told = f"the judge does not prefer {candidates[best].name} to {candidates[rival].name}", False
    return Choice(
        candidates[best] if is_told and best is not None else None,
        why,
        name,
        tuple(candidates),
        left_out,
        sure if is_told else None,
        None if rival is None else candidates[rival].name,
        {one.name: _standing(margins.against(place)) for place, one in enumerate(candidates)},
        _count(margins),
        margins.unjudged,
        run.spent,
        tuple(notes),
    )


def _count(margins: Margins) -> int:
    """The number of comparisons with a verdict."""
    return sum(map(len, margins.told.values())) // 2


def _standing(against: Mapping[int, float]) -> Standing:
    return Standing(len(against), math.fsum(against.values()) / len(against) if against else None)


async def _summaries(run: Run, problem: Problem, candidates: Sequence[FinishedRun], most: int) -> list[str | None]:
    """A model's summary of each run; `None` where it gave none."""
    params = Params(temperature=0.0, max_tokens=400)
    shown = [summary(one.sample, TO_SUMMARISE * most) for one in candidates]
    asks = [Ask(quoting(problem, [("run", text)], SUMMARISE, run.seed), 1, params) for text in shown]
    drawn = await run.draw_each(asks)
    return [(said(one[0]) or None) if one and one[0].finish is not Finish.ERROR else None for one in drawn]
