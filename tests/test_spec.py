"""Specs: from a command line to a value and back, and what is said about a wrong one."""

import pytest

from mull import UsageError, spec
from mull.errors import UnknownNameError
from mull.strategies.adaptive import Adaptive
from mull.strategies.parallel import BestOfMajority, Majority, Single


def test_a_spec_names_a_frozen_value() -> None:
    assert spec.strategy("single") == Single()
    assert spec.strategy("majority:n=4") == Majority(4)
    assert spec.strategy(" adaptive:n=64, rule=eprocess ,delta=0.01") == Adaptive(64, "eprocess", delta=0.01)


@pytest.mark.parametrize(
    "text", ["single", "majority:n=4", "best-of-majority:n=16,alpha=0.2", "adaptive:n=32,rule=window,width=8"]
)
def test_there_and_back(text: str) -> None:
    assert spec.describe(spec.STRATEGIES, spec.strategy(text)) == text


def test_a_description_leaves_out_defaults_but_for_the_number_of_draws() -> None:
    assert spec.describe(spec.STRATEGIES, BestOfMajority(alpha=0.3)) == "best-of-majority:n=16,alpha=0.3"
    assert spec.describe(spec.STRATEGIES, Majority()) == "majority:n=16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("majorty", "unknown strategy 'majorty': did you mean 'majority'?"),
        ("majority:m=3", "unknown option of majority 'm': known: n"),
        ("adaptive:wav=3", "did you mean 'wave'?"),
        ("adaptive:rule=betta", "did you mean 'beta'?"),
        ("majority:n=many", "majority:n must be a whole number, not 'many'"),
        ("majority:n=2.5", "must be a whole number"),
        ("best-of-majority:alpha=x", "must be a number"),
        ("majority:16", "not of the form option=value"),
        ("majority:n=(4", "a bracket is not closed"),
        ("majority:n=4)", "a bracket too many"),
        ("", "unknown strategy ''"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        spec.strategy(text)
    assert message in str(caught.value)


def test_what_is_required_may_come_first_without_its_name(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "1+1", "answer": 2}\n')
    assert spec.build("task", spec.TASKS, f"file:{path}").path == str(path)
    assert spec.build("task", spec.TASKS, f"file:{path},grading=numeric").grading == "numeric"
    with pytest.raises(UsageError, match="'file' needs path"):
        spec.build("task", spec.TASKS, "file")


def test_defaults_fill_what_the_spec_leaves_out() -> None:
    assert spec.build("strategy", spec.STRATEGIES, "majority", n=3) == Majority(3)
    assert spec.build("strategy", spec.STRATEGIES, "majority:n=5", n=3) == Majority(5)
    assert spec.build("strategy", spec.STRATEGIES, "single", n=3) == Single()


def test_every_path_in_the_tables_leads_to_a_class_with_a_docstring() -> None:
    for table in (spec.STRATEGIES, spec.VERIFIERS, spec.MODELS, spec.TASKS):
        for path in table.values():
            assert spec.load(path).__doc__


def test_unknown_names_are_listed_where_none_is_near() -> None:
    with pytest.raises(UnknownNameError, match=r"known: chain, countdown, file"):
        spec.build("task", spec.TASKS, "zzz")
