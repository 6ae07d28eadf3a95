"""Votes over classes of equal answers: the same whatever the order, and never blocked."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mull import AnswerKind, Finish, Problem, Prompt, Run, Sample, equal
from mull.equal import canonical, classes_now, pool
from mull.models.recorded import RecordedModel
from mull.replies.answers import answer_of, classes
from mull.strategies.adaptive import Adaptive
from mull.strategies.parallel import Majority
from mull.tasks.files import FileTask

PROBLEM = Problem("p", Prompt.user("How much?"), AnswerKind.MATH)


def classed(*texts: str) -> list[str | None]:
    return list(classes_now([canonical(text) for text in texts]))


def test_equal_answers_are_one_class_named_by_the_most_frequent() -> None:
    assert classed(r"\frac12", "0.5", "1/2", r"50\%", "x = 1/2", "1/3") == ["1/2"] * 5 + ["1/3"]
    assert classed(r"\sin^2 t + \cos^2 t", "1", "1") == ["1"] * 3


def test_where_equality_is_not_transitive_the_more_frequent_decide() -> None:
    """3 cm is 3 is 3 m, but 3 cm is not 3 m: 3 goes with the more frequent, and no two unequal ones are together."""
    assert classed("3 cm", "3 cm", r"3\text{ m}", "3") == ["3 cm", "3 cm", r"3 \text{m}", "3 cm"]
    assert classed("3", "3", "3 cm", "3 cm", r"3\text{ m}") == ["3"] * 4 + [r"3 \text{m}"]
    assert classed("1/3", "1/3", "0.333333", "0.333334") == ["1/3"] * 3 + ["166667/500000"]


TEXTS = [r"\frac12", "0.5", "x = 1/2", "3 cm", "3", r"3\text{ m}", "1/3", "0.333333", "0.3333333", "2", "y=3", "300 cm"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_classes_do_not_depend_on_the_order(texts: list[str], rng: random.Random) -> None:
    shuffled = texts[:]
    rng.shuffle(shuffled)
    first = dict(zip(texts, classed(*texts), strict=True))
    assert dict(zip(shuffled, classed(*shuffled), strict=True)) == first


def test_ten_thousand_samples_are_not_compared_each_with_each() -> None:
    """Three thousand classes compared pair by pair would take minutes; it takes half a second of a calm processor."""
    rng = random.Random(1)
    numbers = [rng.randrange(3000) for _ in range(10_000)]
    forms = (r"\frac{{{0}}}{{7}}", "{0}/7", r"{0} \cdot 7^{{-1}}", r"x = \frac{{{0}}}{{7}}")
    samples = [
        Sample(PROBLEM.prompt, rf"so \boxed{{{forms[i % 4].format(n)}}}", Finish.STOP) for i, n in enumerate(numbers)
    ]
    start = time.process_time()
    found = asyncio.run(classes(PROBLEM, samples))
    assert time.process_time() - start < 10
    assert len(set(found)) == len(set(numbers))
    assert found.undecided == 0


async def test_a_vote_over_many_answers_does_not_hold_up_the_event_loop() -> None:
    """While they are compared the loop turns: many times, where work in the loop would be one turn."""
    voting = asyncio.ensure_future(equal.classes([rf"\frac{{{n}}}{{997}}" for n in range(1500)]))
    turns = 0
    while not voting.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(set(voting.result())) == 1500
    assert turns > 10


def test_a_vote_of_hostile_answers_is_not_blocked() -> None:
    """A hundred answers that would take a worker two seconds each, and five that agree."""
    hostile = [rf"\boxed{{\int x^x \sin x \cos({n}x^2) dx}}" for n in range(100)]
    samples = [Sample(PROBLEM.prompt, text, Finish.STOP) for text in [*hostile, *[r"\boxed{7}"] * 5]]
    before = pool.POOL.n_killed
    found = asyncio.run(classes(PROBLEM, samples))
    assert pool.POOL.n_killed - before <= 2, "two of them use up the processor time of one vote"
    assert found[-5:] == ["7"] * 5
    assert found.count(None) >= 1


def test_what_cannot_be_read_does_not_vote_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    texts = [r"\boxed{\frac12}", r"\boxed{\frac{1}{", r"\boxed{0.5}", "no idea what this could possibly be about", "2"]
    rows = ", ".join('{"text": "' + text.replace("\\", "\\\\") + '"}' for text in texts)
    path.write_text('{"problem_id": "a", "prompt": "q", "answer": "\\\\frac{1}{2}", "samples": [' + rows + "]}\n")
    task, model = FileTask(str(path)), RecordedModel(str(path))
    (problem,) = task.problems()
    assert problem.kind is AnswerKind.MATH
    for strategy in (Majority(n=5), Adaptive(n=5, rule="curtail", wave=5)):
        outcome = asyncio.run(strategy(problem, Run(model)))
        assert outcome.answer == "1/2"
        assert outcome.notes == {"no_answer": 2, "undecided": 0}
        assert outcome.tally == (("1/2", 2.0), ("2", 1.0))
        assert outcome.best is not None
        assert asyncio.run(task.grade("a", outcome.best)).correct is True


def test_without_math_verify_answers_it_would_read_are_undecided() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "is_installed", lambda: False)
        patch.setattr("mull.equal.votes.is_installed", lambda: False)
        found = classes_now([canonical(t) for t in (r"\sum_{k=1}^{3} k", "6", "6")])
    assert list(found) == [r"\sum_{k=1}^{3} k", "6", "6"]
    assert found.undecided == 1
    assert list(classes_now([canonical(t) for t in (r"\sum_{k=1}^{3} k", "6", "6")])) == ["6", "6", "6"]


def test_other_kinds_of_answers_are_classed_by_their_text() -> None:
    problem = Problem("p", Prompt.user("q"), AnswerKind.TEXT)
    samples = [Sample(problem.prompt, text, Finish.STOP) for text in ("Paris", "paris.", r"\frac12", "0.5")]
    assert list(asyncio.run(classes(problem, samples))) == [answer_of(problem, s) for s in samples]
