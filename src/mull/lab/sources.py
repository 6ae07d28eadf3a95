"""What curves are made of: a sweep's output, a bank, recorded samples or a table of counts."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mull.answers import answer_of, canonical
from mull.bank_sql import SqlBank
from mull.errors import FileFormatError, UsageError
from mull.lab.grid import Cell, pool_of
from mull.lab.metrics import Pool
from mull.records import Recording, read_recordings
from mull.run import digest, question
from mull.types import Model, Params, Stopped, Task

MOST_DRAWS = 1_000_000


def read_pools(path: Path) -> dict[str, list[Pool]]:
    """The pools of a file by group: `.csv` is a table of counts, anything else lines of recorded samples."""
    return _counts(path) if path.suffix == ".csv" else _recorded(path)


def _recorded(path: Path) -> dict[str, list[Pool]]:
    groups: dict[str, list[Pool]] = {}
    for recording in read_recordings(path):
        groups.setdefault(recording.group or path.name, []).append(_pool(path, recording))
    return groups


def _pool(path: Path, recording: Recording) -> Pool:
    if not recording.samples:
        raise FileFormatError(path, recording.line, "no samples: curves need recorded samples")
    answers = tuple(None if s.answer is None else canonical(s.answer) for s in recording.samples)
    gold = None if recording.gold is None else canonical(recording.gold)
    correct = []
    for sample, answer in zip(recording.samples, answers, strict=True):
        if sample.correct is None and gold is None:
            raise FileFormatError(
                path,
                recording.line,
                "a sample has no `correct` and the row has no `answer`: no draw is known to be right or wrong, and "
                "nothing can be said of coverage; add the gold answer as `answer`, or `correct` to every sample",
            )
        correct.append(answer == gold if sample.correct is None else sample.correct)
    scores = tuple(s.score for s in recording.samples)
    tokens = tuple(s.tokens for s in recording.samples)
    return Pool(recording.id, len(correct), sum(correct), answers, tuple(correct), scores, tokens)


def _counts(path: Path) -> dict[str, list[Pool]]:
    groups: dict[str, list[Pool]] = {}
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
                group = row.get("model") or path.name
                groups.setdefault(group, []).append(Pool(str(reader.line_num), n, n_correct))
    except OSError as error:
        raise FileFormatError(path, None, f"cannot be read: {error.strerror}") from error
    if not groups:
        raise FileFormatError(path, None, "no rows in it")
    return groups


async def bank_pools(
    bank: SqlBank, task: Task, model: Model, params: Params, seed: int, n_problems: int
) -> dict[str, list[Pool]]:
    """The pools of the draws that a bank holds for a task, graded by it; problems without draws are left out."""
    pools = []
    for problem in itertools.islice(task.problems(), n_problems):
        key = digest(question(model, problem.prompt, params, seed))
        samples = list(bank.get(key, problem.prompt, 0, MOST_DRAWS).values())
        if samples:
            grades = [await task.grade(problem.id, sample) for sample in samples]
            pools.append(pool_of(problem, samples, grades, ()))
    if not pools:
        raise UsageError(f"the bank {bank.url} has no draws of {model.name} for {task.name} with these parameters")
    return {f"{model.name} {task.name}": pools}


def recording_rows(model: Model, cells: Mapping[str, Sequence[Cell]]) -> Iterable[dict[str, Any]]:
    """A grid as lines of recorded samples, one for each problem: the draws of its widest strategy.

    Only strategies that draw the same number for every problem count: where the number depends on what was
    drawn, averages over subsets would be biased.
    """
    steady = {n: c for n, c in cells.items() if all(x.outcome.stopped is not Stopped.EARLY for x in c)}
    if not steady:
        return
    name = max(steady, key=lambda n: sum(len(cell.outcome.candidates) for cell in steady[n]))
    for cell in steady[name]:
        scores = cell.outcome.scores or (None,) * len(cell.outcome.candidates)
        yield {
            "problem_id": cell.problem.id,
            "prompt": cell.problem.prompt.messages[-1].content,
            "model": model.name,
            "strategy": name,
            "samples": [
                {
                    "text": sample.text,
                    "final_answer": answer_of(cell.problem, sample),
                    "correct": grade.correct,
                    "score": None if score is None else score.value,
                    "tokens": sample.cost.output_tokens,
                }
                for sample, grade, score in zip(cell.outcome.candidates, cell.candidates, scores, strict=True)
            ],
        }


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSONL, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    part.replace(path)
