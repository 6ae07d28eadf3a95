"""Workers: killed when they hang, replaced, reused, and fenced off."""

import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mull.equal.pool import EqualityWorker, WorkerError, WorkerPool
from mull.equal.worker import decide, is_confirmed

HANGS = r"\int x^x \sin x \cos(x^2) dx"
"""sympy thinks about this integral for much longer than anybody waits."""


@pytest.fixture
def pool() -> object:
    made = WorkerPool()
    yield made
    made.close()


def test_a_hostile_answer_costs_two_seconds_once(pool: WorkerPool) -> None:
    pool.compare(r"\sum_{k=1}^{3} k", "6")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdict = pool.compare(HANGS, "x")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Starting the worker took processor time too; how long the machine kept it waiting does not count.
    assert 1.9 < after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 12
    assert verdict.is_equal is None
    assert verdict.why == "no decision within 2 s"
    assert pool.compare("x", HANGS) == verdict
    assert pool.n_killed == 1, "the second time it was known"
    assert pool.compare(r"\sum_{k=1}^{4} k", "10").is_equal is True


def test_a_hostile_answer_leaves_another_worker_free(pool: WorkerPool) -> None:
    pool.compare(r"\sum_{k=1}^{3} k", "6")
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(pool.compare, HANGS, "x")
        fast = [pool.compare(rf"\sum_{{k=1}}^{{{n}}} k", str(n * (n + 1) // 2)).is_equal for n in range(5, 9)]
        assert fast == [True] * 4
        assert slow.result().is_equal is None


def test_a_yes_of_math_verify_has_to_hold_to_500_digits() -> None:
    """What differs only far behind the point, or only in what is tiny on both sides, differs."""
    import sympy

    e, x = sympy.E, sympy.Symbol("x")
    assert is_confirmed(sympy.sqrt(3 + 2 * sympy.sqrt(2)), 1 + sympy.sqrt(2)) is True
    assert is_confirmed(sympy.sin(x) ** 2 + sympy.cos(x) ** 2, sympy.Integer(1)) is True
    assert is_confirmed(1 + e**-30, sympy.Integer(1)) is False
    assert is_confirmed(1 + e**-500, sympy.Integer(1)) is False
    assert is_confirmed(e**-500, 2 * e**-500) is False
    assert is_confirmed(sympy.sqrt(x**2), x) is False
    assert is_confirmed(sympy.oo * sympy.Integer(1), sympy.oo) is None


def test_a_lax_yes_is_not_taken_where_the_digits_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    import math_verify

    monkeypatch.setattr(math_verify, "verify", lambda gold, answer, **_: True)
    assert decide(r"\frac{1}{2004!}", r"\frac{1}{2006!}") is False
    assert decide(r"\cos(10^{-20})", "1") is False
    assert decide(r"\sin^2 x + \cos^2 x", "1") is True


def test_workers_are_reused(pool: WorkerPool) -> None:
    for n in range(3):
        pool.compare(rf"\sum_{{k=1}}^{{{n + 2}}} k", "1")
    assert len(pool._idle) == 1


def test_a_worker_holds_no_secret_and_no_file_of_ours_and_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    worker = EqualityWorker()
    with open(f"/proc/{worker.process.pid}/environ", "rb") as file:  # noqa: PTH123 - a file of the kernel
        assert b"secret" not in file.read()
    assert len(os.listdir(f"/proc/{worker.process.pid}/fd")) <= 5  # noqa: PTH208
    with open(f"/proc/{worker.process.pid}/limits") as file:  # noqa: PTH123
        limits = file.read()
    assert "Max address space         1073741824" in limits
    assert "Max file size             0" in limits
    worker.kill()


def test_a_worker_that_dies_is_noticed() -> None:
    worker = EqualityWorker()
    worker.process.kill()
    with pytest.raises(WorkerError, match="died"):
        worker.ask({"do": "compare", "a": "1", "b": "2"}, 2.0)


def test_nothing_is_left_behind_when_python_ends() -> None:
    """Also from a script without a main guard, which a worker must not run again."""
    code = (
        "import json, mull.equal as e; print('once')\n"
        "print(e.compare_now(r'\\sum_{k=1}^{3} k', '6').is_equal)\n"
        "from mull.equal.pool import POOL; print(json.dumps([w.process.pid for w in POOL._idle]))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    once, verdict, pids = done.stdout.splitlines()
    assert (once, verdict, done.stderr) == ("once", "True", "")
    assert all(not os.path.exists(f"/proc/{pid}") for pid in json.loads(pids))  # noqa: PTH110
