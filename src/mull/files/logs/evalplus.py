"""evalplus's `*_eval_results.json`: programs, and whether they passed the base tests and the extra tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample

TOOL = "evalplus"
PASSED = "pass"


def read(path: Path, content: Any) -> Log:
    """An evalplus results file: a task's programs are its draws, correct if they pass all tests that were run.

    Raises `FileFormatError` for results of another layout.
    """
    tasks = content["eval"]
    if not isinstance(tasks, dict):
        raise base.half(path, None, TOOL, "`eval` is not an object of tasks")
    name = path.stem.removesuffix("_eval_results").removesuffix("eval_results") or path.parent.name
    problems = []
    n_base_only = n_base = 0
    for id, rows in tasks.items():
        if not isinstance(rows, list):
            raise base.half(path, None, TOOL, f"{id} has no list of programs: evalplus wrote it before 0.3")
        problem = LoggedProblem(str(id), "", group=name, task=str(id).partition("/")[0])
        for place, row in enumerate(rows):
            row = base.mapping(row)
            solution, first, extra = (row.get(part) for part in ("solution", "base_status", "plus_status"))
            if not isinstance(solution, str) or not isinstance(first, str):
                raise base.half(path, None, TOOL, f"program {place} of {id} has no `solution` and `base_status`")
            n_base_only += extra is None
            n_base += first == PASSED
            problem.samples.append(RecordedSample(solution, None, first == PASSED and extra in (PASSED, None), None))
        problems.append(problem)
    n = sum(len(problem.samples) for problem in problems)
    notes = ["programs are correct if they pass the base tests and the extra ones"]
    if n_base_only:
        notes = [f"{n_base_only} of {n} programs ran on the base tests only"]
    notes.append(f"{n_base} of {n} programs pass the base tests; the questions are not in the log")
    return base.log_of(path, TOOL, problems, notes, votes=False)
