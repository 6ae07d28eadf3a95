"""Whether exact optima cost more than the draws they grade: `python bench/bench_exact.py`.

The first grade of a problem finds the shortest tour, or decides a formula; further draws use what was found. Tells the
processor milliseconds of that, mean and most over 100 problems a level, beside those of a draw of nano, the fastest
model that mull has, of which 64 are made at once.
"""

from __future__ import annotations

import asyncio
import itertools
import string
import time

from mull import Finish, Prompt, Run, Sample, spec
from mull.models.embedded import Nano

PROBLEMS, DRAWS = 100, 64


async def first_grades(text: str, reply: str) -> list[float]:
    """Milliseconds of the first grade of each problem."""
    task = spec.build("task", spec.TASKS, text)
    found = []
    for problem in list(itertools.islice(task.problems(), PROBLEMS)):
        begun = time.process_time()
        await task.grade(problem.id, Sample(problem.prompt, reply, Finish.STOP))
        found.append(1000 * (time.process_time() - begun))
    return found


async def a_draw() -> float:
    """Milliseconds of a draw of nano."""
    run = Run(Nano())
    await run.draw(Prompt.user("a:1;b:a+2;b?"), 1)
    begun = time.process_time()
    await run.draw(Prompt.user("t:z+65;z:59;o:m-49;m:b*3;b:65;o?"), DRAWS)
    return 1000 * (time.process_time() - begun) / DRAWS


def main() -> None:
    for cities in (6, 8, 10, 12, 14):
        trip = rf"\boxed{{{', '.join(string.ascii_uppercase[:cities])}}}"
        told(f"tsp:cities={cities}", trip)
    for n, ratio in itertools.product((8, 20, 40), (3, 4.27, 6)):
        told(f"3sat:vars={n},ratio={ratio}", r"\boxed{unsatisfiable}")
    print(f"{'a draw of nano':28} {asyncio.run(a_draw()):7.2f} ms")


def told(text: str, reply: str) -> None:
    times = asyncio.run(first_grades(text, reply))
    print(f"{text:28} {sum(times) / len(times):7.2f} ms a problem, at most {max(times):7.2f} ms", flush=True)


if __name__ == "__main__":
    main()
