"""What curves and reports are made of: a sweep's output, a bank, recorded samples, counts, others' logs."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mull.bank.keys import digest, question
from mull.bank.sql import SqlBank
from mull.errors import FileFormatError, UsageError
from mull.files.logs import formats
from mull.files.recording import Recording, of_counts
from mull.files.records import read_recordings
from mull.lab.grid import recorded
from mull.lab.logged import source_of_log, with_answers
from mull.lab.recorded import Group, Source, answers_of, read_recorded
from mull.types import Model, Params, Task

MOST_DRAWS = 1_000_000


def read_source(path: Path) -> Source:
    """What a file tells: a table of counts (`.csv`), another tool's log (`formats.FORMATS`), recorded samples or a
    sweep's output. Raises `FileFormatError`.
    """
    if path.suffix == ".csv":
        return _counts(path)
    log = formats.read(path)
    return read_recorded(path) if log is None else source_of_log(path, log)


def read_draws(path: Path) -> dict[str, list[Recording]]:
    """The graded draws of a file by group. Raises `FileFormatError` where a problem has no samples."""
    return draws(read_source(path))


def read_answers(path: Path) -> dict[str, list[Sequence[str | None]]]:
    """The classes of each problem's draws by group; no label is needed, and none is read. Raises `FileFormatError`."""
    if path.suffix in (".csv", ".db"):
        raise FileFormatError(path, None, "answers are wanted: recorded samples, a sweep's --out or a log of draws")
    log = formats.read(path)
    found: dict[str, list[Sequence[str | None]]] = {}
    for recording in read_recordings(path) if log is None else map(with_answers, log.recordings):
        if recording.samples:
            found.setdefault(recording.group or path.name, []).append(answers_of(recording)[1])
    if not any(found.values()):
        raise FileFormatError(path, None, "no samples in it")
    return found


def draws(source: Source) -> dict[str, list[Recording]]:
    """The graded draws of each group. Raises `FileFormatError` where a problem has no samples."""
    for group in source.groups.values():
        for one in group.recordings:
            if not one.n:
                raise FileFormatError(source.path, one.line, "no samples: curves need recorded samples")
    return {name: group.recordings for name, group in source.groups.items()}


def _counts(path: Path) -> Source:
    groups: dict[str, Group] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            missing = [name for name in ("n_samples", "n_correct") if name not in columns]
            if missing:
                raise FileFormatError(path, 1, f"no column {missing[0]!r}; it has {', '.join(columns) or 'none'}")
            for row in reader:
                try:
                    n, n_correct = int(row["n_samples"]), int(row["n_correct"])
                except (TypeError, ValueError):
                    raise FileFormatError(
                        path, reader.line_num, "n_samples and n_correct must be whole numbers"
                    ) from None
                if not 0 <= n_correct <= n or n < 1:
                    raise FileFormatError(path, reader.line_num, f"{n_correct} correct of {n} samples cannot be")
                name = row.get("model") or path.name
                id = f"line {reader.line_num}"
                one = replace(of_counts(id, n, n_correct), line=reader.line_num)
                groups.setdefault(name, Group(name, [])).recordings.append(one)
    except OSError as error:
        raise FileFormatError(path, None, f"cannot be read: {error.strerror}") from error
    if not groups:
        raise FileFormatError(path, None, "no rows in it")
    return Source(path, groups)


async def bank_source(bank: SqlBank, task: Task, model: Model, params: Params, seed: int, n_problems: int) -> Source:
    """The draws that a bank holds for a task, graded by it; problems without draws are left out."""
    found = []
    for problem in itertools.islice(task.problems(), n_problems):
        key = digest(question(model, problem.prompt, params, seed))
        samples = list(bank.get(key, problem.prompt, 0, MOST_DRAWS).values())
        if samples:
            found.append(recorded(problem, samples, [await task.grade(problem.id, sample) for sample in samples]))
    if not found:
        raise UsageError(f"the bank {bank.url} has no draws of {model.name} for {task.name} with these parameters")
    return Source(Path(bank.url), {f"{model.name} {task.name}": Group(model.name, found, task.name)})


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSONL, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    part.replace(path)
