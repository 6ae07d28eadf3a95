"""What is read out of replies and solutions that models and people wrote, against the answers recorded with them."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mull import AnswerKind
from mull.equal import compare_now
from mull.replies.answers import canonical, extract, solution_answer

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def test_the_verdicts_on_gsm8k_are_those_recorded() -> None:
    """5,276 replies of four models, with calculator annotations and `A: 18` at their ends."""
    wrong = []
    for row in rows("gsm8k/example_model_solutions.norm.jsonl.gz"):
        gold = canonical(str(row["answer"]), AnswerKind.NUMBER)
        for sample in row["samples"]:
            if (extract(sample["text"], AnswerKind.NUMBER) == gold) is not sample["correct"]:
                wrong.append(sample["text"][-80:])
    assert wrong == []


def test_the_solutions_of_gsm8k_and_math_500_give_their_answers() -> None:
    for row in rows("gsm8k/test.jsonl"):
        assert solution_answer(row["answer"]) == row["answer"].split("####")[1].strip()
        assert extract(row["answer"], AnswerKind.NUMBER) == canonical(row["answer"].split("####")[1], AnswerKind.NUMBER)
    for row in rows("math/math500_test.jsonl"):
        read, told = extract(row["solution"], AnswerKind.MATH), canonical(row["answer"], AnswerKind.MATH)
        assert read is not None
        assert read == told or compare_now(told or "", read).is_equal, row["answer"]


def test_the_verdicts_on_math_are_those_recorded() -> None:
    """800 replies to 100 problems of MATH.

    Those of one problem were recorded as wrong for the mark-up of their `4:30 p.m.`; one reply boxes a decimal and a
    mixed number beside each other.
    """
    wrong = []
    for row in rows("qwen_math_rm_example/math100x8_rm.norm.jsonl.gz"):
        for sample in row["samples"]:
            read = extract(sample["text"], AnswerKind.MATH)
            is_right = read is not None and compare_now(row["answer"], read).is_equal is True
            if is_right is not sample["correct"] and "p.m." not in row["answer"]:
                wrong.append((row["answer"], read))
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    "task", ["logical_deduction", "multistep_arithmetic", "tracking_shuffled_objects", "word_sorting"]
)
def test_chains_of_thought_that_end_in_so_the_answer_is(task: str) -> None:
    """300 each; one of them ends without saying what its answer is."""
    wrong = []
    for row in rows(f"bigbench_mistake/{task}.jsonl.gz"):
        if extract("\n".join(row["steps"])) != canonical(str(row["answer"])):
            wrong.append(row["steps"][-1])
    assert len(wrong) <= 1, wrong
