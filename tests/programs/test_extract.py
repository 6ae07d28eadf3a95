"""Programs, tests and inputs as models write them, read out of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.replies.answers import answer_of
from mull.replies.fingerprint import fingerprint
from mull.replies.programs import program_of
from mull.replies.tests import assertions_of, calls_of, examples_of, pairs_of

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


def test_a_fence_that_never_closes_reaches_as_far_as_its_code() -> None:
    code = "x = int(input())\nprint(x)\n"
    assert program("```python\n" + code, WHOLE) == code
    assert program("```python\n" + code + "\nThis prints x.", WHOLE) == code


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


READS = "n = int(input())\nprint(n + 1)\n"


@pytest.mark.parametrize(
    "reply",
    [
        READS,
        f"It adds one.\n\n{READS}\nThat is all.\n",
        f"```\n5\n```\n```python\n{READS}```\n```text\n{'6 ' * 99}\n```\n",
        f"```python\nprint(int(input()) + 2)\n```\nNo:\n```python\n{READS}```\n1.\n```python\nn = int(input())\n```",
        f"```python\n{READS}```\nSome values:\n```python\nfor n in range(100):\n    print(n, n + 1)  # {'x' * 99}\n```",
        f"```cpp\n{'int main() {}' * 9}\n```\n```python\n{READS}```\n",
        f"Run it:\n```bash\npython add.py < input.txt && echo it printed all of it\n```\n~~~py\n{READS}~~~",
    ],
)
def test_a_program_that_reads_is_the_last_piece_that_reads_and_prints(reply: str) -> None:
    assert program(reply, WHOLE) == READS


def test_a_program_that_reads_has_its_helpers_in_front() -> None:
    reply = "```python\nprint(add(int(input())))\n```\nwith\n```python\ndef add(n):\n    return n + 1\n```\n"
    assert program(reply, WHOLE) == "def add(n):\n    return n + 1\n\nprint(add(int(input())))\n"


def test_a_method_stands_behind_the_imports_of_its_header() -> None:
    header = "from typing import List\n\nclass Solution:\n    def area(self, xs: List[int]) -> int:\n        "
    asked = Problem("m", Prompt.user("Area."), AnswerKind.CODE, {"entry_point": "area", "header": header})
    code = "class Solution:\n    def area(self, xs: List[int]) -> int:\n        return xs[0]\n"
    assert program(f"```python\n{code}```", asked) == "from typing import List\n\n" + code


def test_imports_of_the_future_stay_in_front() -> None:
    reply = "```python\nfrom __future__ import annotations\ndef area(r: R):\n    return r\n```"
    assert (program(reply) or "").startswith("from __future__ import annotations\nimport math\n")


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
