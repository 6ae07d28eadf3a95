"""Files of lines of JSON, among them recorded samples; whatever is wrong with a line is said with its number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One recorded sample; all but its text is `None` where it was not recorded."""

    text: str
    answer: str | None
    correct: bool | None
    score: float | None
    output_tokens: int | None = None
    logprob: float | None = None
    """The mean natural logarithm of a token's probability."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A problem with its gold answer (if told) and its recorded samples (if any).

    `sweep` is what the file says of the sweep that wrote the row, empty where it says nothing.
    """

    line: int
    id: str
    prompt: str
    gold: str | None
    group: str | None
    samples: tuple[RecordedSample, ...]
    row: Mapping[str, Any]
    sweep: Mapping[str, Any] = field(default_factory=dict)


SCORE_FIELDS = ("score", "rm_score")


def read_recordings(path: Path, group: str | None = None) -> list[Recording]:
    """The rows of a file as recordings, only those of one `group` (the rows' `model`) if it is named.

    A row needs a `prompt` or a `problem_id`. The whole file is read before anything is returned, so that a
    malformed line stops all work before any of it is paid for. Of one problem's rows in one group only one
    may be there. A line that holds nothing but `sweep` is no problem: it tells where the rows below it are from.
    """
    found: dict[tuple[str, str | None], Recording] = {}
    groups: set[str] = set()
    sweep: dict[str, Any] = {}
    for line, row in read_jsonl(path):
        if set(row) == {"sweep"}:
            if not isinstance(row["sweep"], dict):
                raise FileFormatError(path, line, "`sweep` must be an object")
            sweep = row["sweep"]
            continue
        recording = _recording(path, line, row, sweep)
        if recording.group is not None:
            groups.add(recording.group)
        if group is not None and recording.group != group:
            continue
        key = recording.id, recording.group
        if key in found:
            raise FileFormatError(path, line, f"problem {recording.id!r} was already on line {found[key].line}")
        found[key] = recording
    if group is not None and not found:
        raise FileFormatError(
            path, None, f"no row has the model {group!r}; it has {', '.join(sorted(groups)) or 'none'}"
        )
    if not found:
        raise FileFormatError(path, None, "no problems in it")
    return list(found.values())


def _recording(path: Path, line: int, row: dict[str, Any], sweep: Mapping[str, Any]) -> Recording:
    prompt = row.get("prompt", row.get("question", row.get("problem_id")))
    if prompt is None or not str(prompt).strip():
        raise FileFormatError(path, line, "no prompt: a row needs a `prompt` (or a `question` or `problem_id`)")
    samples = row.get("samples", [])
    if not isinstance(samples, list):
        raise FileFormatError(path, line, "`samples` must be a list")
    return Recording(
        line,
        str(row.get("problem_id", row.get("id", f"line {line}"))),
        str(prompt),
        _text(row.get("answer")),
        _text(row.get("model")),
        tuple(_recorded_sample(path, line, i, sample) for i, sample in enumerate(samples)),
        row,
        sweep,
    )


def _recorded_sample(path: Path, line: int, place: int, sample: Any) -> RecordedSample:
    if not isinstance(sample, dict) or not ("text" in sample or "final_answer" in sample):
        raise FileFormatError(path, line, f"sample {place} has neither `text` nor `final_answer`")
    correct = sample.get("correct")
    if correct is not None and not isinstance(correct, (bool, int)):
        raise FileFormatError(path, line, f"sample {place}: `correct` must be true or false, not {correct!r}")
    score = next((sample[name] for name in SCORE_FIELDS if sample.get(name) is not None), None)
    if score is not None and not isinstance(score, (int, float)):
        raise FileFormatError(path, line, f"sample {place}: a score must be a number, not {score!r}")
    tokens = sample.get("output_tokens")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 0):
        raise FileFormatError(path, line, f"sample {place}: `output_tokens` must be a whole number, not {tokens!r}")
    logprob = sample.get("logprob")
    if logprob is not None and not isinstance(logprob, (int, float)):
        raise FileFormatError(path, line, f"sample {place}: `logprob` must be a number, not {logprob!r}")
    answer = _text(sample.get("final_answer"))
    text = sample.get("text")
    return RecordedSample(
        text=answer or "" if text is None else str(text),
        answer=answer,
        correct=None if correct is None else bool(correct),
        score=None if score is None else float(score),
        output_tokens=tokens,
        logprob=None if logprob is None else float(logprob),
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
