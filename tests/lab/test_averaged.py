"""A strategy's accuracy is by all draws of a problem, not by those that happened to be first."""

import itertools
import random
import statistics

import pytest

from mull.files.recording import RecordedSample, Recording, Result
from mull.lab.averaged import averaged
from mull.lab.grid import Plan, run_plan, tabulate
from mull.lab.measured import study
from mull.lab.recorded import Group
from mull.models.embedded import Nano
from mull.strategies.parallel import Majority, Single
from mull.tasks.synthetic import ChainTask
from mull.types import Cost, Params

N = 8


def result(draws: int, correct: bool | None, *, covered: bool | None = None) -> Result:
    return Result("a", correct, correct if covered is None else covered, draws, "done", Cost(draws))


def problems(n: int = 20) -> list[Recording]:
    """Eight draws of answers of which `a` is right, with scores, and what strategies made of the first ones."""
    rng = random.Random(0)
    made = []
    for i in range(n):
        samples = tuple(
            RecordedSample("", answer, answer == "a", rng.choice((0.2, 0.5, 0.9)))
            for answer in rng.choices("abc", (i, n, n), k=N)
        )
        first = samples[0].correct
        votes = [s.answer for s in samples[:5]]
        mode = statistics.mode(votes) == "a"
        results = {
            "single": result(1, first),
            "majority:n=5": result(5, mode),
            "best:n=3": result(3, first),
            "adaptive:n=8": result(4, mode),
        }
        made.append(Recording(str(i), samples=samples, answers=tuple(s.answer for s in samples), results=results))
    return made


def subset_mean(one: Recording, k: int, name: str) -> float:
    """The expected verdict over all subsets of k draws, ties in equal parts."""
    values = []
    for chosen in itertools.combinations(one.samples, k):
        if name == "best":
            top = max(s.score or 0.0 for s in chosen)
            values.append(statistics.fmean(s.correct is True for s in chosen if s.score == top))
        else:
            votes = [s.answer for s in chosen]
            modes = statistics.multimode(votes)
            values.append(modes.count("a") / len(modes))
    return statistics.fmean(values)


def test_one_draw_a_vote_and_a_choice_are_means_over_all_subsets() -> None:
    made = problems()
    for name, k in (("single", 1), ("majority:n=5", 5), ("best:n=3", 3)):
        expected = [subset_mean(one, k, name.partition(":")[0]) for one in made]
        assert averaged(name, made).correct == pytest.approx(expected)
    assert averaged("single", made).oracle == averaged("single", made).accuracy
    covered = averaged("majority:n=5", made).oracle
    exact = [any(s.correct for s in chosen) for one in made for chosen in itertools.combinations(one.samples, 5)]
    assert covered == pytest.approx(statistics.fmean(exact))


def test_what_draws_do_not_tell_is_the_verdict_of_the_run() -> None:
    """A rule that stops early, a strategy that made fewer draws than it wanted, and one that was not graded."""
    made = problems(6)
    verdicts = tuple(float(one.results["adaptive:n=8"].correct is True) for one in made)
    assert averaged("adaptive:n=8", made).correct == verdicts
    short = Recording("x", samples=made[0].samples, answers=made[0].answers, results={"majority:n=5": result(2, True)})
    unknown = Recording("y", samples=made[0].samples, answers=made[0].answers, results={"single": result(1, None)})
    assert averaged("majority:n=5", [short]).correct == (1.0,)
    assert averaged("single", [unknown, short]).correct == (None, None)
    assert averaged("single", [unknown, short]).interval() is None
    no_scores = Recording("z", samples=(RecordedSample("", "a", True),) * 3, results={"best:n=2": result(2, False)})
    assert averaged("best:n=2", [no_scores]).correct == (0.0,)


def test_a_report_has_the_accuracy_of_the_draws() -> None:
    """Every first draw is wrong and one of eight is right: 12.5 %, not 0; the interval is no longer one of verdicts."""
    samples = (RecordedSample("", "b", False),) * 7 + (RecordedSample("", "a", True),)
    made = [
        Recording(str(i), samples=samples, answers=("b",) * 7 + ("a",), results={"single": result(1, False)})
        for i in range(20)
    ]
    single = study(Group("model", made)).strategies[0]
    assert (single.name, single.accuracy, single.is_replayed) == ("single", 0.125, False)
    assert single.oracle == 0.125


async def test_a_sweep_has_the_accuracy_of_all_draws() -> None:
    task, model = ChainTask(ops=3), Nano()
    plan = Plan(task, model, {"single": Single(), "majority:n=8": Majority(8)}, params=Params(1.0, 200))
    cells = await run_plan(plan, None, n_problems=6)
    single, majority = tabulate(task, model, cells).rows
    grades = [grade.correct for cell in cells["majority:n=8"] for grade in cell.candidates]
    assert single.accuracy == pytest.approx(statistics.fmean(grade is True for grade in grades))
    assert single.oracle == single.accuracy
    assert majority.oracle is not None
    assert majority.accuracy is not None
    assert majority.oracle >= majority.accuracy
