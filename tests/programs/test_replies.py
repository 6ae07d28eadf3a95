"""Replies in every shape that models give them, and whether the function in them does what it should, by running it."""

import json
from pathlib import Path

import pytest

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.programs.execute import Bench, Suite
from mull.replies.programs import program_of

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

CASES = Path(__file__).parents[3] / "shared" / "cases" / "programs.jsonl"
PROBLEM = Problem("square", Prompt.user("Square a number."), AnswerKind.CODE, {"entry_point": "square"})

CODE = "def square(n):\n    return n * n\n"
DOCUMENTED = 'def square(n):\n    """Squares.\n\n{}\n"""\n    return n * n\n'
WRONG = "def square(n):\n    return n + n\n"


def py(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```\n"


FENCE = py(CODE)


def indented(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


def behind(text: str) -> str:
    return py(f"{CODE}\n{text}")


SHAPES = {
    "plain": FENCE,
    "no language": f"```\n{CODE}```",
    "upper case": f"```Python\n{CODE}```",
    "space before the language": f"``` python3\n{CODE}```",
    "attributes": "```{.python .numberLines} \n" + CODE + "```",
    "a title": f'```python title="square.py"\n{CODE}```',
    "a title of words": f"```python the function\n{CODE}```",
    "a byte order mark in the fence": f"```python\n\ufeff{CODE}```",
    "tildes": f"~~~\n{CODE}~~~",
    "four bars": f"````py\n{CODE}````",
    "a fence around fences": f"````markdown\nThe function:\n{FENCE}````",
    "in a list": "1. It is this:\n\n" + indented(FENCE, "   "),
    "on the line of a list": "- ```python\n" + indented(CODE, "  ") + "  ```\n",
    "in a list, by a tab": "* It is this:\n\n" + indented(FENCE, "\t"),
    "in a quotation": indented(FENCE, "> "),
    "only the bar is indented": f"   ```python\n{CODE}   ```",
    "only the code is indented": f"```python\n{indented(CODE, '    ')}```",
    "line ends of Windows": f"Here:\n{FENCE}".replace("\n", "\r\n"),
    "text before the bar": f"**Answer:** ```python\n{CODE}```",
    "text behind the bar": f"```python\n{CODE}``` That squares it.",
    "code before the bar": f"```python\n{CODE.rstrip()}```",
    "in one line": "```python square = lambda n: n * n```",
    "in a line of prose": "Take `square = lambda n: n ** 2` for it.",
    "never closed": f"Sure.\n```python\n{CODE}",
    "never closed, prose behind": f"```python\n{CODE}\nIt returns the square of n.",
    "only closed": f"{CODE}```\nThat is it.\n\n```python\nprint(square(2))\n```",
    "only closed, with its language": f"python\n{CODE}```",
    "bare": CODE,
    "bare among prose": f"The function is this.\n\n{CODE}\nIt returns the square, in O(1).",
    "bare without empty lines": f"This:\n{CODE}Done.",
    "bare with imports": f"import math\nfrom typing import (\n    Any,\n)\n\n{CODE}",
    "bare and indented": f"This:\n\n{indented(CODE, '    ')}\nDone.",
    "bare, prose in its docstring": f"So:\n\n{DOCUMENTED.format('Of any number.')}\nDone.",
    "bare under a heading": f"# Solution\n\n{CODE}\n## Why\n\nIt is the square.",
    "an answer in tags": f"<answer>\n{CODE}</answer>",
    "a fence in tags": f"<answer>{FENCE}</answer>",
    "code in tags": f"So <code>{CODE}</code> it is.",
    "tags in brackets": f"[PYTHON]\n{CODE}[/PYTHON]\n[TESTS]\nassert square(1) == 2\n[/TESTS]",
    "an environment": f"\\begin{{verbatim}}\n{CODE}\\end{{verbatim}}",
    "a mark of the end": f"{CODE}<|endoftext|>",
    "behind a thought": f"<think>\n```python\n{WRONG}```\n</think>\n{FENCE}",
    "at a prompt": "```\n>>> def square(n):\n...     return n * n\n>>> square(2)\n4\n```",
    "a cell of a notebook": f"```python\n%%time\n{CODE}```",
    "bars in a docstring": py(DOCUMENTED.format("    ```python\n    square(2)\n    ```")) + "Done.",
    "bars at the margin of a docstring": py(DOCUMENTED.format("```\nsquare(2)\n```")),
    "bars in a comment": f"```python\n# ```\n# square(2)\n# ```\n{CODE}```",
    "bars in a string": f"```python\nBAR = '```'\n{CODE}```",
}
FORMS = {
    "lambda": "square = lambda n: n * n",
    "annotated": "from typing import Callable\nsquare: Callable[[int], int] = lambda n: n * n",
    "partial": "from functools import partial\ndef times(k, n): return n * n\nsquare = partial(times, 0)",
    "object": "class Square:\n    def __call__(self, n):\n        return n * n\nsquare = Square()",
    "another name": "def squared(n):\n    return n * n\n\nsquare = squared",
    "decorated": "from functools import lru_cache\n\n@lru_cache(maxsize=None)\ndef square(n):\n    return n * n",
    "method": "class Solution:\n    def square(self, n: int) -> int:\n        return self.times(n, n)\n"
    "    def times(self, a, b):\n        return a * b\n\nprint(Solution().square(int(input())))",
    "static method": "class Numbers:\n    @staticmethod\n    def square(n):\n        return n * n",
    "modules that are not there, unused": "import pytest_of_nobody as pytest\nfrom nowhere.at_all import plot, show\n\n"
    "def square(n):\n    return n * n\n\n@pytest.mark.slow\ndef test_square():\n    assert plot(square(2))",
    "under a condition": "import sys\nif sys.version_info >= (3,):\n    def square(n):\n        return n * n",
    "helpers behind": "def square(n):\n    return power(n)\n\nprint(square(int(input())))\n\ndef power(n):\n"
    "    return n ** EXPONENT\n\nEXPONENT = 2",
    "a table filled behind": "def square(n):\n    return table[n]\n\ntable = {}\n"
    "for i in range(9):\n    table[i] = i * i",
    "depth set behind": "def square(n, m=2000):\n    return n * n if not m else square(n, m - 1)\n\nimport sys\n"
    "sys.setrecursionlimit(9000)",
    "data class": "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass N:\n"
    "    v: Undefined\n\ndef square(n: Undefined) -> N:\n    return N(n).v * n",
}
BEHIND = {
    "a main guard": "if __name__ == '__main__':\n    print(square(int(input())))",
    "input": "n = int(input('n: '))\nprint(square(n))",
    "a loop over input": "while True:\n    try:\n        print(square(int(input())))\n"
    "    except Exception:\n        continue",
    "an endless loop": "while True: pass",
    "a pause": "import time\ntime.sleep(600)",
    "a wrong assertion": "assert square(2) == 5",
    "a wrong check": "if square(3) != 6:\n    raise ValueError('wrong')",
    "an error": "print(sqare(2))",
    "a module that is not there": "import matplotlib.pyplot as plt\nplt.plot([square(i) for i in range(9)])",
    "a test runner": "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
    "        self.assertEqual(square(1), 2)\nunittest.main()",
    "doctest": "import doctest, sys\nsys.exit(doctest.testmod().failed + 1)",
    "an exit": "import os\nos._exit(0)",
    "Python of old": "print square(2)",
    "half a line": "print(square(",
    "half a string": "print('the square of 2 is ",
}
TIMES = "def times(a, b):\n    return a * b\n"
SEVERAL = {
    "a text behind": f"{FENCE}It prints:\n```text\ndef square(n): 9\n```",
    "the later version": f"```python\n{WRONG}```\nNo, that doubles.\n{FENCE}",
    "two versions in one fence": f"```python\n{WRONG}\nassert square(3) == 9\n\n{CODE}```",
    "bare versions": f"{WRONG}\nNo, that doubles:\n\n{CODE}",
    "then tests": f"{FENCE}Tests:\n```python\nassert square(0) == 0\nresult = square(2)\n```",
    "then its signature": f"{FENCE}The signature:\n```python\ndef square(n):\n    '''Squares.'''\n    ...\n```",
    "then its output": f"{FENCE}```text\n4\n```",
    "another language too": "```javascript\nfunction square(n) { return n * n; }\n```\n" + FENCE,
    "a helper before": py(TIMES) + "Then:\n" + py("def square(n):\n    return times(n, n)"),
    "a helper after": py("def square(n):\n    return times(n, n)") + "with\n" + py(TIMES),
    "imports apart": py("import operator as op") + py("def square(n):\n    return op.mul(n, n)"),
    "a constant apart": py("POWER = 2") + py("def square(n):\n    return n ** POWER"),
    "a helper of an older version": py(f"{TIMES}\ndef square(n):\n    return times(n, 2)")
    + "Mended:\n"
    + py("def square(n):\n    return times(n, n)"),
}
FAILS = {
    "wrong": f"```python\n{WRONG}```",
    "wrong in the end": f"{FENCE}Simpler:\n```python\n{WRONG}```",
    "never defined: an exit": f"```python\nimport sys\nsys.exit(0)\n{CODE}```",
    "never defined: an end": f"```python\nimport os\nos._exit(0)\n{CODE}```",
    "never defined: an error": f"```python\nraise ValueError\n{CODE}```",
    "never defined: input": f"```python\nn = int(input())\n{CODE}```",
    "a module that is not there": "```python\nimport nowhere as np\n\ndef square(n):\n    return np.square(n)\n```",
    "a function that is not there": "```python\nfrom nowhere import by\n\ndef square(n):\n    return by(n, n)\n```",
    "another function": "```python\ndef squares(n):\n    return n * n\n```",
    "no body": "```python\ndef square(n):\n    pass\n```",
    "half of it": "```python\ndef square(n):\n    return n *",
    "printed, not returned": "```python\ndef square(n):\n    print(n * n)\n```",
    "reads what it is given": "```python\ndef square(n):\n    n = int(input())\n    return n * n\n```",
    "not a value yet": "```python\nasync def square(n):\n    return n * n\n```",
    "equal to all": behind(
        "class E:\n    def __eq__(self, other): return True\n    __hash__ = None\nsquare = lambda n: E()"
    ),
    "only in a thought": f"<think>\n{FENCE}",
    "given up after a thought": f"<think>\n{FENCE}</think>\nI do not know.",
    "prose": "The function `square` is right: square(3) == 9.",
}


async def passes(replies: dict[str, str], problem: Problem, test: str) -> dict[str, bool]:
    """Whether the function in each reply passes the test."""
    bench = Bench(Suite(problem.given["entry_point"], (test,)))
    found = {}
    for name, reply in replies.items():
        program = program_of(problem, Sample(problem.prompt, reply, Finish.STOP))
        found[name] = program is not None and (await bench.run(program))[0].passed is True
    return found


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param(SHAPES, id="shapes"),
        pytest.param({name: f"```python\n{code}\n```" for name, code in FORMS.items()}, id="forms"),
        pytest.param({name: behind(text) for name, text in BEHIND.items()}, id="behind"),
        pytest.param({name: f"So:\n\n{CODE}\n{text}\n" for name, text in BEHIND.items()}, id="bare, behind"),
        pytest.param(SEVERAL, id="several"),
    ],
)
async def test_a_function_that_is_right_passes(replies: dict[str, str]) -> None:
    found = await passes(replies, PROBLEM, "assert square(3) == 9")
    assert [name for name, passed in found.items() if not passed] == []


async def test_a_function_that_is_not_right_or_not_there_fails() -> None:
    found = await passes(FAILS, PROBLEM, "assert square(3) == 9")
    assert [name for name, passed in found.items() if passed] == []


@pytest.mark.skipif(not CASES.is_file(), reason=f"no cases in {CASES}")
async def test_shared_cases() -> None:
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    triple = Problem("triple", Prompt.user("Triple a number."), AnswerKind.CODE, {"entry_point": "triple"})
    found = await passes({row["why"]: row["reply"] for row in rows}, triple, "assert triple(4) == 12")
    assert found == {row["why"]: row["passes"] for row in rows}


async def test_what_stands_behind_cannot_take_part() -> None:
    """It rebinds nothing that is not used, sees no test, and takes no time from the function."""
    reply = behind(
        "import time\nstarted = time.time()\nwhile time.time() < started + 600: pass\nfor square.x in (1, 2): pass"
    )
    assert (await passes({"": reply}, PROBLEM, "assert square(3) == 9"))[""]


@pytest.mark.parametrize(
    "test",
    [
        "import asyncio\nassert asyncio.run(square(3)) == 9",
        "import asyncio\ndef check(candidate):\n    assert asyncio.run(candidate(3)) == 9\ncheck(square)",
        "import asyncio\nasync def main():\n    assert await square(3) == 9\nasyncio.run(main())",
        "import asyncio\nloop = asyncio.new_event_loop()\nassert loop.run_until_complete(square(3)) == 9",
    ],
)
async def test_a_test_of_an_async_function_is_named_and_gives_no_verdict(test: str) -> None:
    """Neither a right program nor a wrong one is judged by it."""
    bench = Bench(Suite("square", (test,)))
    for code in ("async def square(n):\n    return n * n\n", "async def square(n):\n    return n\n"):
        (verdict,) = await bench.run(code)
        assert verdict.passed is None
        assert "async functions are not run" in verdict.why
