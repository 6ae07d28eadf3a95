"""Files of step labels: a first line with their origin, then one line per problem."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mull.errors import FileFormatError, UsageError
from mull.files.lines import read_jsonl
from mull.train.label import Labelled
from mull.types import Cost

VERSION = 1


@dataclass(frozen=True, slots=True)
class LabelOrigin:
    """The origin of labels: the generator of the solutions, the labelling method, and the task."""

    model: str
    tokenizer: str
    method: str
    task: str
    separator: str
    seed: int


class LabelFile(NamedTuple):
    """The content of a label file; parts of `cost` are `None` if a line does not record them."""

    origin: LabelOrigin
    labelled: list[Labelled]
    cost: Cost


def row(problem: str, labelled: Sequence[Labelled], cost: Cost) -> dict[str, Any]:
    """One problem's line: its solutions with their steps, values and counts, and what they cost together."""
    prompt = labelled[0].prompt if labelled else None
    return {
        "problem": problem,
        "prompt": prompt,
        "cost": asdict(cost),
        "solutions": [
            {
                "steps": one.steps,
                "hits": one.hits,
                "rollouts": one.rollouts,
                "soft": one.soft,
                "hard": one.hard,
                "correct": one.correct,
            }
            for one in labelled
        ],
    }


def header(origin: LabelOrigin) -> dict[str, Any]:
    """The first line of a file of labels."""
    return {"labels": VERSION, **asdict(origin)}


def read_labels(path: Path) -> LabelFile:
    """Reads the labels of a file. Raises `FileFormatError` with the malformed line."""
    lines = read_jsonl(path)
    number, first = next(lines, (1, {}))
    if "labels" not in first:
        raise FileFormatError(path, number, "not a label file: its first line must have `labels` and their origin")
    if first["labels"] != VERSION:
        raise FileFormatError(
            path, number, f"labels of version {first['labels']}, and this mull reads version {VERSION}: label again"
        )
    missing = [name for name in LabelOrigin.__dataclass_fields__ if name not in first]
    if missing:
        raise FileFormatError(path, number, f"the first line has no {missing[0]!r}")
    origin = LabelOrigin(**{name: first[name] for name in LabelOrigin.__dataclass_fields__})
    found: list[Labelled] = []
    costs = []
    for number, line in lines:
        try:
            found += [_labelled(line, one) for one in line["solutions"]]
            costs.append(Cost(**line["cost"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(path, number, f"not the labels of a problem: {error!r}") from error
    total = Cost()
    for cost in costs:
        total = total + cost
    return LabelFile(origin, found, total)


def read_all(paths: Iterable[Path]) -> LabelFile:
    """Reads the labels of several files of one model. Raises `UsageError` with both names if origins differ."""
    files = [(path, read_labels(path)) for path in paths]
    if not files:
        raise UsageError("name at least one label file")
    (first_path, first), *rest = files
    labelled, cost = list(first.labelled), first.cost
    for path, file in rest:
        for part in ("model", "tokenizer", "separator"):
            a, b = getattr(first.origin, part), getattr(file.origin, part)
            if a != b:
                raise UsageError(f"labels of different origin: the {part} of {first_path} is {a!r}, of {path} {b!r}")
        labelled += file.labelled
        cost = cost + file.cost
    tasks = dict.fromkeys(file.origin.task for _, file in files)
    return LabelFile(replace(first.origin, task="; ".join(tasks)), labelled, cost)


def _labelled(line: Mapping[str, Any], one: Mapping[str, Any]) -> Labelled:
    parts = [tuple(one[name]) for name in ("steps", "hits", "rollouts", "hard")]
    if len({len(part) for part in parts}) != 1:
        raise ValueError("steps, hits, rollouts and hard labels differ in number")
    steps, hits, rollouts, hard = parts
    if any(label not in (0, 1, None) for label in hard):
        raise ValueError("a hard label is 0, 1 or null")
    return Labelled(str(line["problem"]), str(line["prompt"]), steps, hits, rollouts, hard, bool(one["correct"]))


def write_line(file: Any, value: Mapping[str, Any]) -> None:
    file.write(json.dumps(value, ensure_ascii=False) + "\n")
