"""A kind of answer may be a value of one's own: how it is read, and when two answers are one."""

from dataclasses import dataclass

import pytest

from mull import Finish, Problem, Prompt, Run, Sample, UsageError, spec
from mull.bank.keys import score_key
from mull.replies.answers import answer_of
from mull.replies.kinds import JsonAnswer, PatternAnswer, ToolCallAnswer
from mull.testing import FakeModel
from mull.types import AnswerKind, ToolCall

PROMPT = Prompt.user("?")


def said(text: str, *calls: ToolCall, answer: str | None = None) -> Sample:
    return Sample(PROMPT, text, Finish.STOP, tool_calls=calls, answer=answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"b": 1.0, "a": [true, null]}', '{"a":[true,null],"b":1}'),
        ('Sure:\n```json\n{"a": 1}\n```\nthat is it.', '{"a":1}'),
        ('```json\n{"a": 1}\n```\nNo:\n~~~\n{"a": 2}\n~~~\n', '{"a":2}'),
        ('<think>{"a": 3}</think>{"a": 4}', '{"a":4}'),
        ('```python\nx = 1\n```\nIt is\n```json\n{"a": 1}\n```\n', '{"a":1}'),
        ('```json\n{"a": 1,\nNo, again:\n```json\n{"a": 2}\n```\n', '{"a":2}'),
        ('{"a": 1', None),
        ("NaN", None),
        ("[" * 100_000, None),
        ('<think>{"a": 3}', None),
        ("I cannot.", None),
    ],
)
def test_json_is_read_whole_and_compared_by_value(text: str, answer: str | None) -> None:
    assert answer_of(Problem("p", PROMPT, JsonAnswer()), said(text)) == answer


def test_tool_calls_are_equal_where_names_and_arguments_are() -> None:
    problem = Problem("p", PROMPT, ToolCallAnswer())
    one = said("", ToolCall("1", "weather", '{"city": "Kyoto", "days": 1}'))
    same = said("Let me look.", ToolCall("2", "weather", '{"days":1.0,"city":"Kyoto"}'))
    other = said("", ToolCall("1", "weather", '{"city": "Oslo", "days": 1}'))
    broken = said("", ToolCall("1", "weather", '{"city": '))
    assert answer_of(problem, one) == answer_of(problem, same) is not None
    assert answer_of(problem, other) not in (answer_of(problem, one), None)
    assert answer_of(problem, broken) is None
    assert answer_of(problem, said("It rains.")) is None
    assert answer_of(problem, said("", answer='[{"name": "weather", "arguments": {"days": 1, "city": "Kyoto"}}]')) == (
        answer_of(problem, one)
    )


def test_a_pattern_says_which_part_is_the_answer() -> None:
    problem = Problem("p", PROMPT, PatternAnswer(r"verdict=(\w+)"))
    assert answer_of(problem, said("verdict=Guilty ... verdict=Not")) == "not"
    assert answer_of(problem, said("no verdict")) is None
    with pytest.raises(UsageError, match="not a regular expression"):
        PatternAnswer("(")


@dataclass(frozen=True)
class FirstLetter:
    """A kind that this project does not know."""

    value: str = "first letter"

    def read(self, sample: Sample) -> str | None:
        return self.canonical(sample.text)

    def canonical(self, text: str) -> str | None:
        return text[:1] or None


async def test_a_kind_of_ones_own_is_voted_on() -> None:
    outcome = await spec.strategy("majority:n=8")(Problem("p", PROMPT, FirstLetter()), Run(FakeModel()))
    first = [sample.text[0] for sample in outcome.candidates if sample.text]  # an empty reply does not vote
    assert outcome.tally[0][0] == outcome.answer
    assert dict(outcome.tally) == {a: first.count(a) for a in set(first)}


def test_kinds_are_told_apart_in_the_keys_of_verdicts() -> None:
    kinds = [AnswerKind.TEXT, JsonAnswer(), ToolCallAnswer(), PatternAnswer("a"), PatternAnswer("b"), FirstLetter()]
    keys = {score_key("v", Problem("p", PROMPT, kind), said("x")) for kind in kinds}
    assert len(keys) == len(kinds)
    assert None not in keys
