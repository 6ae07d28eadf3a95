"""CodeT on recorded programs: executes them all, compares with the recorded verdicts, and selects by agreement.

Usage: python recipes/codet.py DATA [--problems N] [--out build/codet.jsonl] [--samples build/codet_samples.jsonl]

DATA holds `solutions_164x100.norm.jsonl.gz` (rows with `prompt`, `entry_point`, `tests` and `samples`, each with
`correct` and `passed_generated`) and `generated_tests.jsonl.gz` (rows with `generated_tests`). A row of `--out` is
written for every problem; a run that was stopped goes on behind the last one. `--samples` writes recorded draws
of programs and of tests, which `mull sweep` can replay.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mull.programs import ask
from mull.programs.box import box
from mull.programs.execute import Bench, Suite, with_seconds
from mull.replies.fingerprint import fingerprint
from mull.replies.programs import asked
from mull.sandbox import Script, Status
from mull.strategies import agreement
from mull.strategies.execution import PER_DRAW
from mull.tasks.code import HumanEvalTask
from mull.types import Finish, Problem, Sample

SOLUTIONS, TESTS = "solutions_164x100.norm.jsonl.gz", "generated_tests.jsonl.gz"
SECONDS = 3.0


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


async def executed(task: HumanEvalTask, problem: Problem, row: dict[str, Any], tests: list[str]) -> dict[str, Any]:
    """What came of every sample of a problem on its hidden tests and on the generated ones."""
    started = time.perf_counter()
    header = asked(problem.given).header
    texts = [sample["text"] for sample in row["samples"]]
    # Without the name of a function all of a program is run, as it was when these verdicts were recorded.
    bench = Bench(Suite("", tuple(tests)), with_seconds(SECONDS), call_seconds=1.0)

    async def one(text: str) -> tuple[bool | None, str, str]:
        grade = await task.grade(problem.id, Sample(problem.prompt, text, Finish.STOP))
        verdicts = await bench.run(header + text, "restarted") if tests else []
        return grade.correct, grade.why, "".join("2" if v.passed is None else str(int(v.passed)) for v in verdicts)

    distinct = sorted(set(texts))
    found = dict(zip(distinct, await asyncio.gather(*map(one, distinct)), strict=True))
    return {
        "problem_id": problem.id,
        "seconds": time.perf_counter() - started,
        "programs": len(distinct),
        "correct": [found[text][0] for text in texts],
        "why": [found[text][1] for text in texts],
        "passed": [found[text][2] for text in texts],
        "names": [fingerprint(header + text) for text in texts],
    }


async def plainly(row: dict[str, Any], place: int) -> bool:
    """Whether a sample passes the way HumanEval runs it: program, tests and all in one file."""
    text = row["prompt"] + row["samples"][place]["text"]
    source = f"{text}\n{row['tests']}\ncheck({row['entry_point']})\n"
    return (await (await box()).run(Script(source, limits=with_seconds(SECONDS)))).status is Status.OK


def accuracy(passes: list[str], names: list[str], correct: list[bool], count: agreement.Count) -> float:
    """The probability that dual agreement picks a right program, over its ties and over the programs of a set."""
    sets = agreement.consensus([[c == "1" for c in row] for row in passes], names, count)
    best = [one for one in sets if one.score == sets[0].score]
    return sum(sum(correct[i] for i in one.programs) / len(one.programs) for one in best) / len(best)


async def report(solutions: list[dict[str, Any]], done: dict[str, dict[str, Any]]) -> None:
    """The figures over the problems that are done."""
    pairs = [(row, done[row["problem_id"]]) for row in solutions if row["problem_id"] in done]
    differ: Counter[str] = Counter()
    n_samples = n_cells = n_cells_same = 0
    for row, ours in pairs:
        for i, sample in enumerate(row["samples"]):
            n_samples += 1
            if ours["correct"][i] != sample["correct"]:
                told = f"{row['problem_id']}: recorded {sample['correct']}, here {ours['correct'][i]}"
                differ[f"{told} ({ours['why'][i]}), in one file with its tests {await plainly(row, i)}"] += 1
            cells = list(zip(sample["passed_generated"], ours["passed"][i], strict=True))
            n_cells += len(cells)
            n_cells_same += sum((a == "1") == (b == "1") for a, b in cells)
    n_same = n_samples - differ.total()
    print(f"{len(pairs)} problems, {n_samples} samples; verdicts the same: {n_same} ({n_same / n_samples:.2%})")
    for line, n in differ.most_common():
        print(f"  {n:4d}  {line}")
    print(f"generated tests: {n_cells} verdicts, the same: {n_cells_same} ({n_cells_same / max(n_cells, 1):.2%})")
    counts: tuple[agreement.Count, ...] = ("samples", "distinct")
    for count in counts:
        recorded = mixed = here = 0.0
        for row, ours in pairs:
            passes = [s["passed_generated"] for s in row["samples"]]
            labels = [s["correct"] for s in row["samples"]]
            recorded += accuracy(passes, ours["names"], labels, count)
            mixed += accuracy(ours["passed"], ours["names"], labels, count)
            here += accuracy(ours["passed"], ours["names"], [c is True for c in ours["correct"]], count)
        shares = [f"{100 * share / len(pairs):.1f} %" for share in (recorded, mixed, here)]
        print(f"dual agreement, counting {count}: as recorded {shares[0]}, tests run here {shares[1]}, all {shares[2]}")
    first = sum(sum(s["correct"] for s in row["samples"]) / len(row["samples"]) for row, _ in pairs) / len(pairs)
    print(f"pass@1 as recorded {100 * first:.1f} %")
    spent = sum(ours["seconds"] for _, ours in pairs)
    print(f"{sum(ours['programs'] for _, ours in pairs)} programs on all tests in {spent:.0f} s on the clock")


def recorded_draws(
    solutions: list[dict[str, Any]], tests: dict[str, list[str]], task: HumanEvalTask
) -> Iterator[dict[str, Any]]:
    """Every problem's programs, and the tests that the model wrote for it, as draws of the questions of `agree`."""
    by_id = {problem.id: problem for problem in task.problems()}
    for row in solutions:
        name = row["problem_id"]
        samples = [{"text": s["text"], "correct": s["correct"]} for s in row["samples"]]
        yield {"problem_id": name, "prompt": row["prompt"], "samples": samples}
        prompt = ask.tests(by_id[name], PER_DRAW).messages[-1].content
        yield {"problem_id": f"{name} tests", "prompt": prompt, "samples": [{"text": test} for test in tests[name]]}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--problems", type=int)
    parser.add_argument("--out", type=Path, default=Path("build/codet.jsonl"))
    parser.add_argument("--samples", type=Path)
    options = parser.parse_args()
    solutions = rows(options.data / SOLUTIONS)[: options.problems]
    tests = {row["problem_id"]: row["generated_tests"] for row in rows(options.data / TESTS)}
    task = HumanEvalTask(str(options.data / SOLUTIONS), seconds=SECONDS)
    if options.samples:
        drawn = (json.dumps(row) + "\n" for row in recorded_draws(solutions, tests, task))
        options.samples.write_text("".join(drawn), encoding="utf-8")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {row["problem_id"]: row for row in map(json.loads, lines)}
    problems = {problem.id: problem for problem in task.problems()}
    with options.out.open("a", encoding="utf-8") as file:
        for row in solutions:
            name = row["problem_id"]
            if name not in done:
                done[name] = await executed(task, problems[name], row, tests[name])
                file.write(json.dumps(done[name]) + "\n")
                file.flush()
                print(f"{name}: {done[name]['programs']} programs in {done[name]['seconds']:.1f} s", flush=True)
    await report(solutions, done)


if __name__ == "__main__":
    asyncio.run(main())
