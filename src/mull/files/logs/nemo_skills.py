"""NeMo-Skills' `output.jsonl` and `output-rs*.jsonl`, as written by its generation and its evaluation of answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample

TOOL = "NeMo-Skills"
PARTS = "output-rs*.jsonl"
"""Files of a folder: one for each seed, with one draw of every problem."""
VERDICTS = ("symbolic_correct", "is_correct", "judgement")
"""Newer names first; a judgement is a judge's text that ends in `Judgement: Yes` or `No`."""
JUDGED = re.compile(r"Judg[e]?ment:\s*\**\s*(yes|no)\b", re.IGNORECASE)


def read(path: Path, content: Any = None) -> Log:
    """A file of generations, or a folder with one file for each seed: a problem's generations are its draws.

    Raises `FileFormatError` for generations that were not evaluated and have no expected answer.
    """
    parts = sorted(path.glob(PARTS), key=lambda part: (len(part.name), part.name)) if path.is_dir() else [path]
    problems: dict[str, LoggedProblem] = {}
    verdict: str | None = None
    n_unclear = n_empty = 0
    for part in parts:
        for line, row in read_jsonl(part):
            if not row:
                n_empty += 1  # an unfinished generation
                continue
            if not isinstance(row.get("generation"), str):
                raise base.half(part, line, TOOL, "`generation` is not text")
            prompt = next((row[name] for name in ("problem", "question") if isinstance(row.get(name), str)), "")
            gold = base.as_text(row.get("expected_answer"))
            key = prompt or str(row.get("id", line))
            if key not in problems:
                id = str(row.get("id", row.get("problem_idx", f"line {line}")))
                problems[key] = LoggedProblem(id, prompt, gold, path.name if path.is_dir() else path.stem, line=line)
            verdict = verdict or next((name for name in VERDICTS if name in row), None)
            is_right = _is_right(part, line, verdict, row)
            if is_right is None and verdict is not None:
                n_unclear += 1
                continue
            answer = "" if "predicted_answer" in row and row["predicted_answer"] is None else None
            answer = base.as_text(row.get("predicted_answer")) if answer is None else answer
            tokens = base.whole(row.get("num_generated_tokens"))
            finish = base.FINISHES.get(str(row.get("finish_reason")))
            score = base.number(row.get("reward_model_score"))
            text = row["generation"]
            problems[key].samples.append(
                RecordedSample(
                    text, base.met(gold, answer) if is_right else answer, is_right, score, tokens, None, finish
                )
            )
    notes = [f"graded by {verdict}"] if verdict else []
    scores = [sample.score for problem in problems.values() for sample in problem.samples if sample.score is not None]
    if not all(0 <= score <= 1 for score in scores):
        low, high = min(scores), max(scores)
        notes.append(f"reward_model_score runs from {low:g} to {high:g}, not in [0, 1]: no vote or choice uses it")
        for problem in problems.values():
            problem.samples = [sample._replace(score=None) for sample in problem.samples]
    if n_unclear:
        notes.append(f"{n_unclear} generations have no clear {verdict} and are left out")
    if n_empty:
        notes.append(f"{n_empty} generations were not finished and are left out")
    return base.log_of(path, TOOL, problems.values(), notes)


def _is_right(path: Path, line: int, verdict: str | None, row: Mapping[str, Any]) -> bool | None:
    """The verdict of a row on its generation; `None` if it has none."""
    value = None if verdict is None else row.get(verdict)
    if value is None or isinstance(value, bool):
        return value
    if verdict == "judgement" and isinstance(value, str):
        found = JUDGED.findall(value)
        return found[-1].lower() == "yes" if found else None
    raise FileFormatError(path, line, f"`{verdict}` is {value!r}, neither true nor false")
