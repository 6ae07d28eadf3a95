"""Programs, tests and inputs as models write them, read out of replies."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.replies.answers import answer_of
from mull.replies.programs import assertions_of, calls_of, examples_of, fenced, fingerprint, pairs_of, program_of

HEADER = 'import math\n\ndef helper(x):\n    return x\n\ndef area(r):\n    """Area."""\n'
PROBLEM = Problem("p", Prompt.user(HEADER), AnswerKind.CODE, {"entry_point": "area", "header": HEADER})
WHOLE = Problem("w", Prompt.user("Add the numbers."), AnswerKind.CODE, {})


def program(text: str, problem: Problem = PROBLEM) -> str | None:
    return program_of(problem, Sample(problem.prompt, text, Finish.STOP))


def test_a_body_continues_the_header() -> None:
    assert program("    return math.pi * r * r\n") == HEADER + "    return math.pi * r * r\n"


@pytest.mark.parametrize("stop", ["\nclass A:", "\ndef other():", "\n# next", "\nif __name__", "\nprint(1)", "\n```"])
def test_a_body_ends_where_something_else_begins(stop: str) -> None:
    assert program("    return r\n" + stop + "\n    junk") == HEADER + "    return r\n\n"


def test_a_function_in_fences_stands_behind_the_helpers_of_the_header() -> None:
    reply = "Here:\n```python\ndef area(r):\n    return helper(r)\n```\nand a test\n```\nassert area(1)\n```\n"
    assert program(reply) == "import math\n\ndef helper(x):\n    return x\n\ndef area(r):\n    return helper(r)\n"


def test_the_last_fence_that_defines_the_function_counts() -> None:
    reply = "```python\ndef area(r):\n    return 1\n```\nWait.\n```python\ndef area(r):\n    return 2\n```\n"
    assert (program(reply) or "").endswith("return 2\n")
    assert fenced("no fence at all") is None


def test_a_fence_that_never_closes_reaches_to_the_end() -> None:
    assert fenced("```python\nx = 1\ny = 2") == "x = 1\ny = 2"


def test_a_first_indent_that_was_lost_comes_back() -> None:
    assert program("x = r\n    return x\n") == HEADER + "    x = r\n    return x\n"
    assert program("return r") == HEADER + "    return r"


def test_a_thought_is_not_the_program() -> None:
    assert (
        program("<think>\n```python\ndef area(r): return 0\n```\n</think>\n    return 1\n")
        == HEADER + "\n    return 1\n"
    )
    assert program("<think>\nstill thinking") is None


def test_nothing_is_no_program() -> None:
    assert program("  \n") is None
    assert program_of(PROBLEM, Sample(PROBLEM.prompt, "    return 1", Finish.ERROR)) is None


def test_a_program_that_reads_is_the_longest_fence_or_all() -> None:
    assert program("```\na\n```\n```python\nprint(input())\n```", WHOLE) == "print(input())\n"
    assert program("print(1)\n", WHOLE) == "print(1)\n"


def test_the_answer_of_a_programming_problem_is_the_program() -> None:
    """Whatever answer was recorded beside the text: votes are over programs."""
    sample = Sample(PROBLEM.prompt, "    return 1\n", Finish.STOP, answer="body7")
    assert answer_of(PROBLEM, sample) == HEADER + "    return 1\n"


def test_a_fingerprint_sees_through_layout_and_comments() -> None:
    plain = "def f(x):\n    return x+1\n"
    laid_out = "def f( x ):  # adds\n\n\n        # one\n        return x + 1\n\n"
    assert fingerprint(plain) == fingerprint(laid_out)
    assert fingerprint(plain) != fingerprint("def f(x):\n    return x+2\n")
    assert fingerprint('x = "a  b"') != fingerprint('x = "a b"')
    assert fingerprint("def f(:") == fingerprint("def f(:  ")


def test_assertions_reach_as_far_as_their_brackets() -> None:
    text = (
        "Tests:\nassert area(1) == 3\n  assert area(\n    [1,\n     2]) == 'a)' # remark\nassert other(1)\n"
        "assert area(2) == (1,\nnever closed"
    )
    assert assertions_of(text, "area") == ["assert area(1) == 3", "assert area(\n    [1,\n     2]) == 'a)'"]
    assert assertions_of("assert f(1)\nassert f(1)\nassert f(2)", "f", most=1) == ["assert f(1)"]
    assert assertions_of('assert f("""a\n\nb""") == "#"', "f") == ['assert f("""a\n\nb""") == "#"']


def test_calls_are_cut_out_of_assertions_and_lines() -> None:
    assert calls_of("assert f(g(1), ')') == 2\nf(3)\ndef f(x): x.f(4)", "f") == ["f(g(1), ')')", "f(3)"]


def test_inputs_and_outputs_in_fences() -> None:
    reply = "First\n```input\n1 2\n```\n```output\n3\n```\nSecond\n```input\n4\n```\n"
    assert pairs_of(reply) == [("1 2\n", "3\n"), ("4\n", "")]


def test_examples_of_a_docstring_are_public_tests() -> None:
    header = '''def f(x):
    """ Examples:
    >>> f([1, 2])
    3
    >>> round(f(2.5), 1)  # rounded
    2.5
    f("a") => "b"
    f(0) should return false.
    f(x) == 3
    f(9) - 1 == 3
    """
'''
    assert examples_of(header, "f") == [
        "assert f([1, 2]) == 3",
        "assert round(f(2.5), 1) == 2.5",
        'assert f("a") == "b"',
        "assert f(0) == False",
    ]


@given(st.text(alphabet="assert f(1)[]{}\"'\\\n#=`", max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    program(text)
    fingerprint(text)
    pairs_of(text)
    for statement in assertions_of(text, "f"):
        assert statement in text
    for call in calls_of(text, "f"):
        assert call.startswith("f")
        assert call.endswith(")")


@pytest.mark.parametrize("piece", ["assert f(", "f(", "assert f('", 'f("""', "```\n", "((", "x = '"])
def test_a_hostile_reply_is_read_in_no_time(piece: str) -> None:
    """100,000 characters within ten seconds of processor time; to read from each start to the end takes minutes."""
    text = piece * (100_000 // len(piece)) + "\n"
    started = time.process_time()
    program(text)
    fingerprint(text)
    pairs_of(text)
    assertions_of(text.replace("assert", "\nassert"), "f")
    calls_of(text, "f")
    assert time.process_time() - started < 10
