"""The problems that a model is trained on: endless, in an order that a seed and a position decide."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from mull.errors import UsageError
from mull.types import Problem, Task


def check_for_training(task: Task) -> None:
    """Raises `UsageError` for a task whose problems are kept for measuring, with what to train on instead."""
    split = getattr(task, "split", None)
    if split == "train" or (split is None and task.size is not None and hasattr(task, "path")):
        return
    if split is not None:
        raise UsageError(
            f"the problems of {task.name} are held out for measuring: add split=train, for problems that never occur "
            "among them"
        )
    raise UsageError(
        f"{task.name} has no training split, and a model trained on its problems could not be measured on them: train "
        "on problems of your own (file:PATH) or on a task with split=train, such as chain:ops=8,split=train"
    )


class ProblemOrder:
    """Problems by position: tasks take turns; a finite task is shuffled anew each time it has been gone through."""

    def __init__(self, tasks: Sequence[Task], seed: int) -> None:
        for task in tasks:
            check_for_training(task)
        self.tasks, self.seed = tasks, seed
        self._coming: list[Iterator[Problem]] = [iter(task.problems()) for task in tasks]
        self._known: list[list[Problem]] = [[] for _ in tasks]
        self._skipped = [0 for _ in tasks]

    def at(self, position: int) -> tuple[Task, Problem]:
        """The task and the problem at a position; positions must not decrease for endless tasks."""
        which, index = position % len(self.tasks), position // len(self.tasks)
        task = self.tasks[which]
        if task.size is None:
            ahead = index - self._skipped[which]
            if ahead < 0:
                raise ValueError("positions of an endless task must not decrease")
            self._skipped[which] = index + 1
            return task, next(islice(self._coming[which], ahead, None))
        known = self._known[which] or list(self._coming[which])
        if not known:
            raise UsageError(f"{task.name} has no problems")
        self._known[which] = known
        epoch, place = divmod(index, len(known))
        order = random.Random(f"{self.seed}/{task.name}/{epoch}").sample(range(len(known)), len(known))
        return task, known[order[place]]
