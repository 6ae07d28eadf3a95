"""Programs on tests in the real sandbox: what holds, what does not, and what the program cannot get at."""

import json
import os
from pathlib import Path

import pytest

from mull.programs import execute
from mull.programs.assertions import AssertionVerdict
from mull.programs.execute import Bench, Suite

pytestmark = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap on this machine")

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[3] / "shared" / "data"))

SUITE = Suite("f", ())
DOUBLE = "def f(x):\n    return x * 2\n"


async def verdicts(program: str, *tests: str, **options: str) -> list[bool | None]:
    return [v.passed for v in await Bench(Suite("f", tests, **options)).run(program)]


async def checked(program: str, body: str) -> AssertionVerdict:
    lines = "\n".join("    " + line for line in body.splitlines())
    return (await Bench(Suite("f", (f"def check(candidate):\n{lines}\n",))).run(program))[0]


async def test_assertions_of_every_form_are_decided() -> None:
    held = [
        "assert f(2) == 4",
        "assert 4 == f(2)",
        "assert f(2) != 5",
        "assert f(2)",
        "assert not f(0)",
        "assert f(True) is not True",
        "assert abs(f(1.5) - 3) < 1e-9",
        "assert math.isclose(f(0.1), 0.2)",
        "assert f(f(2)) == 8",
        "assert f(1) == f(1)",
        "assert set(f([1, 2])) == {1, 2}",
        "assert [f(i) for i in range(3)] == [0, 2, 4]",
        "assert f(float('inf')) == float('inf')",
        "assert f('ab') == 'abab', 'text'",
        "x = f(3)\nassert x == 6\nassert x > 5",
        "try:\n    f({})\n    assert False\nexcept TypeError:\n    pass",
    ]
    assert await verdicts(DOUBLE, *held) == [True] * len(held)
    nothing = "def f(x):\n    return None\n"
    failed = [test for test, passed in zip(held, await verdicts(nothing, *held), strict=True) if not passed]
    passed = ["assert f(2) != 5", "assert not f(0)", "assert f(True) is not True", "assert f(1) == f(1)"]
    assert failed == [test for test in held if test not in passed]


async def test_a_program_that_fails_is_told_from_a_test_that_does() -> None:
    """A test with an error of its own has no verdict and a reason, whatever the program is."""
    found = await Bench(
        Suite("f", ("assert f(1) == 2", "assert f(1", "import nothing_such\nassert f(1) == 2", "x = 3"))
    ).run(DOUBLE)
    assert [v.passed for v in found] == [True, None, None, None]
    assert "SyntaxError" in found[1].why
    assert "nothing_such" in found[2].why
    assert found[3].why == "it checks nothing"


@pytest.mark.parametrize(
    "program",
    [
        "def f(x):\n    while True: pass\n",
        "def f(x):\n    import os; os._exit(0)\n",
        "import os; os._exit(0)\ndef f(x): return x * 2\n",
        "def f(x):\n    raise SystemExit(0)\n",
        "def f(x):\n    class Equal:\n        def __eq__(self, other): return True\n    return Equal()\n",
        "def f(x):\n    return [x] * 10**10\n",
        "def f(x:\n",
        "",
        "def g(x):\n    return x * 2\n",
        "class A(int):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef f(x):\n    return A(7)\n",
    ],
)
async def test_no_program_passes_by_a_trick(program: str) -> None:
    bench = Bench(
        Suite("f", ("assert f(2) == 4", "def check(candidate):\n    assert abs(candidate(2) - 4) < 1e-6\n")),
        call_seconds=1.0,
    )
    assert [v.passed for v in await bench.run(program, "restarted")] == [False, False]


async def test_the_program_cannot_find_what_is_expected() -> None:
    """It looks for the expected number in all that it can reach: its memory, its frames, every process in sight."""
    program = """
import gc, os, sys
def f(x):
    secret = int("736251942") + 1
    places = [repr(o) for o in gc.get_objects() if isinstance(o, (list, tuple, dict, set)) and len(o) < 1000]
    frame = sys._getframe().f_back
    while frame:
        places.append(repr(frame.f_locals))
        frame = frame.f_back
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                places.append(open(f"/proc/{pid}/{name}").read())
            except OSError:
                pass
    return [secret, any(str(secret) in place for place in places), len(places) > 20]
"""
    verdict = (await Bench(Suite("f", ("assert f(0) == [736251943, False, True]",))).run(program))[0]
    assert verdict.passed is True, verdict.why


async def test_a_check_file_has_a_verdict_for_every_assertion() -> None:
    body = "assert candidate(1) == 2\nassert candidate(2) == 5\nfor i in range(3):\n    assert candidate(i) == i * 2"
    verdict = await checked(DOUBLE, body)
    assert verdict.passed is False
    assert verdict.lines == (True, False, True)
    assert verdict.why == "line 3: the assertion is false"


async def test_what_comes_behind_a_failed_call_is_not_the_tests_fault() -> None:
    body = "for _ in range(2):\n    found = candidate(None)\n    assert abs(found) < 9"
    verdict = await checked(DOUBLE, body)
    assert verdict.passed is False
    assert verdict.why == "line 3: TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'"


async def test_tests_may_draw_at_random_and_use_helpers() -> None:
    body = (
        "import random, copy\nrng = random.Random(1)\nfor _ in range(20):\n    xs = [rng.random() for _ in range(3)]\n"
        "    y = candidate(copy.deepcopy(xs))\n    assert len(y) == 6 and y[:3] == xs\n"
        "assert candidate(random.randint(1, 9)) % 2 == 0"
    )
    assert (await checked(DOUBLE, body)).passed is True
    assert (await checked("def f(x):\n    return x\n", body)).passed is False
    suite = Suite(
        "f", ("def check(candidate):\n    assert helper(candidate(2)) == 5",), prelude="def helper(x): return x + 1"
    )
    assert (await Bench(suite).run(DOUBLE))[0].passed is True


async def test_a_test_that_asks_for_other_things_each_time_has_no_verdict() -> None:
    body = "import os\nassert candidate(os.urandom(8)) is None or candidate(int.from_bytes(os.urandom(8), 'big')) > 0"
    verdict = await checked(DOUBLE, body)
    assert (verdict.passed, verdict.why) == (None, "it asks for other calls each time it is run")


async def test_values_of_the_programs_own_types_go_back_to_it() -> None:
    program = (
        "class Pair:\n    def __init__(s, a, b): s.a, s.b = a, b\ndef f(pairs): return sum(p.a + p.b for p in pairs)\n"
    )
    assert await verdicts(program, "assert f([Pair(1, 2), Pair(3, 4)]) == 10", "assert Pair(1, 2) == Pair(1, 2)") == [
        True,
        False,
    ]
    assert await verdicts(program, "assert f([root]) == 3", setup="root = Pair(1, 2)") == [True]


@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("__import__('collections').Counter('aab')", "assert f(0) == {'a': 2, 'b': 1}"),
        ("__import__('collections').OrderedDict(a=1)", "assert f(0) == {'a': 1}"),
        ("__import__('collections').namedtuple('P', 'x y')(1, 2)", "assert f(0) == (1, 2)"),
        ("iter([1, 2])", "assert list(f(0)) == [1, 2]"),
        ("__import__('fractions').Fraction(1, 2)", "assert f(0) == 0.5"),
        ("__import__('decimal').Decimal('0.5')", "assert f(0) == 0.5"),
        ("range(3)", "assert list(f(0)) == [0, 1, 2]"),
        ("{(1, 2): {3}}", "assert f(0) == {(1, 2): {3}}"),
        ("10 ** 400", "assert f(0) == 10 ** 400"),
        ("'\\ud800'", "assert f(0) == '\\ud800'"),
    ],
)
async def test_values_of_the_standard_library_compare_as_they_would(value: str, test: str) -> None:
    assert await verdicts(f"def f(x):\n    return {value}\n", test) == [True]


async def test_an_iterator_is_not_a_list() -> None:
    assert await verdicts("def f(x):\n    return iter([1])\n", "assert f(0) == [1]") == [False]


async def test_a_call_that_dies_costs_only_itself_unless_fate_is_shared() -> None:
    program = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x\n"
    bench = Bench(Suite("f", ("assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2")))
    assert [v.passed for v in await bench.run(program, "isolated")] == [True, False, True]
    assert [v.passed for v in await bench.run(program, "restarted")] == [True, False, True]
    assert [v.passed for v in await bench.run(program, "shared")] == [True, False, False]


async def test_state_is_kept_between_calls_only_where_they_share_a_process() -> None:
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)\n"
    bench = Bench(Suite("f", ("assert f(0) == 1", "assert f(1) == 1")))
    assert [v.passed for v in await bench.run(program, "isolated")] == [True, True]
    assert [v.passed for v in await bench.run(program, "shared")] == [True, False]


async def test_outputs_are_equal_where_values_are() -> None:
    program = "def f(x):\n    return {3, 1, 2} if x else {'b': 1, 'a': [2.0, True]}\n"
    found = await execute.outputs(SUITE, program, ["f(1)", "f(0)", "f", "g(1)"])
    assert [o.text for o in found] == [
        "set(1, 2, 3)",
        "{'a': [2.0, True], 'b': 1}",
        "<builtins.function <function f>>",
        None,
    ]
    assert found[3].error == "NameError: name 'g' is not defined"


async def test_values_that_are_deep_or_long_or_many_are_only_values() -> None:
    deep = "def f(x):\n    y = []\n    for _ in range(x): y = [y]\n    return y\n"
    found = await execute.outputs(SUITE, deep, ["f(3)", "f(400)", "f(100000)"])
    assert found[0].text == "[[[[]]]]"
    assert found[2].text is None
    long = "def f(x):\n    return 10 ** x\n"
    assert (await execute.outputs(SUITE, long, ["f(5000)"]))[0].text == hex(10**5000)
    assert await verdicts(long, "assert f(5000) == 10 ** 5000", "assert f(f(0)) == 10") == [True, True]
    assert await verdicts(deep, "assert f(100000) == []", "assert f(0) == []") == [False, True]


async def test_programs_that_read_and_print() -> None:
    program = "a, b = map(int, input().split())\nprint(a + b, end='  \\n\\n')\n"
    found = await execute.run_pairs(program, [("1 2\n", "3\n"), ("2 2", "5"), ("x", "1")])
    assert [v.passed for v in found] == [True, False, False]
    assert found[2].why.startswith("ValueError")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")
async def test_a_sixth_of_humaneval_accepts_its_own_solutions() -> None:
    for line in (DATA / "humaneval" / "HumanEval.jsonl").read_text().splitlines()[2::6]:
        row = json.loads(line)
        prelude = row["prompt"][: row["prompt"].index(f"def {row['entry_point']}(")]
        bench = Bench(Suite(row["entry_point"], (row["test"],), prelude))
        assert (await bench.run(row["prompt"] + row["canonical_solution"], "shared"))[0].passed is True, row["task_id"]
