"""Input of curves and reports from a bank: its draws for a task, graded."""

from __future__ import annotations

import itertools
from pathlib import Path

from mull.bank.keys import digest, question
from mull.bank.sql import SqlBank
from mull.errors import UsageError
from mull.files.spool import Spool
from mull.lab.grid import recorded
from mull.lab.recorded import Group, Source
from mull.run.asks import MOST_DRAWS
from mull.types import Model, Params, Task


async def bank_source(bank: SqlBank, task: Task, model: Model, params: Params, seed: int, n_problems: int) -> Source:
    """The banked draws for a task, graded by it; problems without draws are left out."""
    found = Spool()
    for problem in itertools.islice(task.problems(), n_problems):
        key = digest(question(model, problem.prompt, params, seed))
        samples = list(bank.get(key, problem.prompt, 0, MOST_DRAWS).values())
        if samples:
            found.append(recorded(problem, samples, [await task.grade(problem.id, sample) for sample in samples]))
    if not len(found):
        raise UsageError(f"the bank {bank.url} has no draws of {model.name} for {task.name} with these parameters")
    return Source(Path(bank.url), {f"{model.name} {task.name}": Group(model.name, found.done(), task.name)})
