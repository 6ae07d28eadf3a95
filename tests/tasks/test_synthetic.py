"""The generated tasks: endless, seeded, solvable, and never seen in training."""

import asyncio
import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_text import content_of_text, derive
from corpus import CHAIN_OPS, COUNTDOWN_NUMBERS, Example, chain_example, countdown_example, examples
from mull import AnswerKind, Finish, Prompt, Sample, UsageError
from mull.replies.expression import evaluate, misses
from mull.tasks.synthetic import (
    MAX_OPS,
    Chain,
    ChainTask,
    CountdownTask,
    after,
    apply,
    chain,
    content_of,
    countdown,
    expression,
    split_of,
)

seeds = st.integers(0, 10**9)


@given(seeds, st.integers(1, MAX_OPS), st.sampled_from(["train", "test"]))
def test_a_chain_asks_what_its_facts_tell(seed: int, ops: int, split: str) -> None:
    problem = chain(random.Random(seed), ops, split)  # type: ignore[arg-type]
    assert derive(problem.text) == problem.answer == problem.lines[-1].value
    assert len(problem.lines) == ops + 1
    assert len(problem.facts) > len(problem.lines), "there are distractors"
    assert split_of(problem.content) == split
    assert all(0 < line.value <= 999 for line in problem.lines)


@given(seeds, st.integers(2, 6), st.sampled_from(["train", "test"]))
def test_a_countdown_can_be_solved_with_all_its_numbers(seed: int, numbers: int, split: str) -> None:
    puzzle = countdown(random.Random(seed), numbers, split)  # type: ignore[arg-type]
    text = expression(puzzle.moves)
    assert misses(text, puzzle.numbers, puzzle.target) == ""
    assert sorted(evaluate(text).numbers) == sorted(puzzle.numbers)
    left = list(puzzle.numbers)
    for move in puzzle.moves:
        assert apply(move.operator, move.a, move.b) == move.value
        left = after(left, move)
    assert left == [puzzle.target]


def test_the_splits_are_a_tenth_and_the_rest() -> None:
    """26 of 256: 2,000 contents, outside +- .03 with a probability under 1e-5."""
    share = sum(split_of(str(i)) == "test" for i in range(2000)) / 2000
    assert share == pytest.approx(26 / 256, abs=0.03)


def told(example: Example) -> str:
    return "".join(piece.text for piece in example.reply)


def test_no_training_text_asks_a_held_out_problem() -> None:
    """By construction: whatever is drawn for training lies in the training split, read back from the text."""
    n_chain = n_countdown = 0
    for example in itertools.islice(examples(1), 3000):
        if example.prompt.startswith("reach"):
            target, *numbers = map(int, re.findall(r"\d+", example.prompt))
            assert split_of(f"countdown {sorted(numbers)} {target}") == "train"
            n_countdown += 1
        else:
            assert split_of(content_of_text(example.prompt)) == "train"
            n_chain += 1
    assert n_chain > 1000
    assert n_countdown > 1000


def test_the_problems_of_a_task_are_held_out() -> None:
    for ops in (1, 4, MAX_OPS):
        for problem in itertools.islice(ChainTask(ops).problems(), 50):
            assert split_of(content_of_text(problem.prompt.messages[0].content)) == "test"
    for problem in itertools.islice(CountdownTask(4).problems(), 50):
        assert split_of(f"countdown {sorted(problem.given['numbers'])} {problem.given['target']}") == "test"


@given(seeds, st.sampled_from(CHAIN_OPS))
def test_every_training_reply_to_a_chain_ends_right(seed: int, ops: int) -> None:
    example = chain_example(random.Random(seed), ops)
    text = told(example)
    assert text.endswith(f"</think>\nanswer: {derive(example.prompt)}")
    for line in re.findall(r"=(\d+)([-+*])(\d+)=(\d+)\n(?!Wait)", text.partition("Wait")[2] or text):
        assert apply(line[1], int(line[0]), int(line[2])) == int(line[3])


def test_slips_are_noticed_and_carry_no_loss() -> None:
    rng = random.Random(4)
    n_slips = 0
    for _ in range(400):
        example = chain_example(rng, 4)
        unlearned = [piece.text for piece in example.reply if not piece.learn]
        if unlearned:
            n_slips += 1
            assert len(unlearned) == 1
            assert "Wait" in told(example)
    assert 40 < n_slips < 130, "about a fifth"


@given(seeds, st.sampled_from(COUNTDOWN_NUMBERS))
def test_every_training_reply_to_a_countdown_solves_it(seed: int, numbers: int) -> None:
    example = countdown_example(random.Random(seed), numbers)
    target, *given = map(int, re.findall(r"\d+", example.prompt))
    assert misses(told(example).rpartition("answer: ")[2], given, target) == ""


@pytest.mark.parametrize("task", [ChainTask(3), CountdownTask(4), ChainTask(3, seed=1)])
def test_a_problem_does_not_depend_on_how_many_are_asked_for(task: ChainTask | CountdownTask) -> None:
    few, many = list(itertools.islice(task.problems(), 3)), list(itertools.islice(task.problems(), 9))
    assert many[:3] == few
    assert len({problem.prompt for problem in many}) == 9
    assert len({problem.id for problem in many}) == 9


def test_problems_of_the_splits_of_countdown_never_meet() -> None:
    for split in ("test", "train"):
        for problem in itertools.islice(CountdownTask(3, split=split).problems(), 50):
            target, *given = map(int, re.findall(r"\d+", problem.prompt.question))
            assert split_of(f"countdown {sorted(given)} {target}") == split
    assert next(CountdownTask(3, split="train").problems()).id == "countdown:numbers=3,split=train/0/0"


def test_another_seed_gives_other_problems() -> None:
    first, second = next(ChainTask(4).problems()), next(ChainTask(4, seed=1).problems())
    assert first.prompt != second.prompt
    assert first.id != second.id


def graded(task: ChainTask | CountdownTask, index: int, text: str) -> bool | None:
    problem = next(itertools.islice(task.problems(), index, None))
    sample = Sample(problem.prompt, text, Finish.STOP)
    return asyncio.run(task.grade(problem.id, sample)).correct


def test_a_chain_is_graded_by_its_answer() -> None:
    task = ChainTask(2)
    problem = next(task.problems())
    assert problem.kind is AnswerKind.NUMBER
    gold = derive(problem.prompt.messages[0].content)
    assert graded(task, 0, f"<think>...</think>\nanswer: {gold}")
    assert graded(task, 0, f"answer: {gold + 1}") is False
    assert graded(task, 0, "no idea") is False


def test_a_countdown_is_graded_by_what_its_expression_comes_to() -> None:
    task = CountdownTask(3)
    problem = next(task.problems())
    puzzle = task._countdown(0)
    assert graded(task, 0, f"answer: {expression(puzzle.moves)}")
    assert graded(task, 0, "answer: 1+1") is False
    assert problem.given == {"numbers": puzzle.numbers, "target": puzzle.target}


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: ChainTask(0), "ops"), (lambda: ChainTask(17), "ops"), (lambda: CountdownTask(1), "numbers")],
)
def test_a_difficulty_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_equal_contents_are_equal_problems() -> None:
    problem = chain(random.Random(1), 3, "test")
    renamed = Chain(problem.lines, tuple(reversed(problem.facts)))
    assert renamed.content == problem.content == content_of(problem.lines)
    assert Prompt.user(renamed.text) != Prompt.user(problem.text)
