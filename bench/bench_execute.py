"""What executing a program costs: HumanEval-sized programs a second, with their tests outside the box and without.

Prints programs a second on all processors, for the hidden tests of ten functions: graded as `mull` does it (calls in
the box, expectations outside), and beside it the bare cost of a box that runs nothing, measured in turns.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

from mull.programs.box import box
from mull.programs.execute import Bench, Suite
from mull.sandbox import Script

N_PROGRAMS, N_TURNS = 50, 5
BODIES = [
    ("[x * {k} for x in xs]", "[x * {k} for x in range(n)]"),
    ("sorted(xs, reverse=True)[:{k}]", "list(range(n))[::-1][:{k}]"),
    ("sum(x for x in xs if x > {k})", "sum(x for x in range(n) if x > {k})"),
    ("{{x: str(x) for x in xs[:{k}]}}", "{{x: str(x) for x in list(range(n))[:{k}]}}"),
    ("' '.join(map(str, xs)) * {k}", "' '.join(map(str, range(n))) * {k}"),
]


def program(i: int) -> tuple[str, str]:
    """A function of HumanEval's size and a test file of seven assertions, which is their median."""
    body, expected = BODIES[i % len(BODIES)]
    k = i % 10 + 1
    code = (
        "from typing import List\n\n\ndef solve(xs: List[int]):\n"
        '    """ Do what is asked with the numbers. """\n'
        f"    if not isinstance(xs, list):\n        raise TypeError('a list')\n    return {body.format(k=k)}\n"
    )
    lines = []
    for n in range(1, 8):
        value = eval(expected.format(k=k), {"n": n})
        lines.append(f"    assert candidate({list(range(n))}) == {value!r}")
    return code, "def check(candidate):\n" + "\n".join(lines) + "\n"


async def graded(benches: list[Bench], programs: list[str]) -> float:
    started = time.perf_counter()
    found = await asyncio.gather(*(b.run(p, "shared") for b, p in zip(benches, programs, strict=True)))
    assert all(verdict.passed for verdicts in found for verdict in verdicts)
    return len(programs) / (time.perf_counter() - started)


async def empty() -> float:
    sandbox = await box()
    started = time.perf_counter()
    await asyncio.gather(*(sandbox.run(Script("")) for _ in range(N_PROGRAMS)))
    return N_PROGRAMS / (time.perf_counter() - started)


async def main() -> None:
    made = [program(i % 10) for i in range(N_PROGRAMS)]
    by_test = {test: Bench(Suite("solve", (test,))) for _, test in made}
    for bench in by_test.values():
        await bench.plans()
    # A different text each time, as draws are.
    programs = [f"{code}\n# draw {i}\n" for i, (code, _) in enumerate(made)]
    benches = [by_test[test] for _, test in made]
    await graded(benches, programs)
    rates: list[float] = []
    bare: list[float] = []
    for _ in range(N_TURNS):
        rates.append(await graded(benches, programs))
        bare.append(await empty())
    ours, least = statistics.median(rates), statistics.median(bare)
    load = os.getloadavg()[0]
    print(f"{ours:.0f} programs a second on {os.cpu_count()} processors (best {max(rates):.0f}; load {load:.1f})")
    print(f"{least:.0f} empty boxes a second; a graded program takes {least / ours:.2f} times an empty box")


if __name__ == "__main__":
    asyncio.run(main())
