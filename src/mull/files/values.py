"""Converts cells of tables to values; errors name the line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.recording import ABOUT, DrawCounts, RecordedSample, Result, Samples
from mull.types import Cost

USUAL = {"text": str, "answer": str, "correct": bool, "score": float, "tokens": int, "logprob": float}
"""The type that each part of a sample has in JSON."""
VERDICTS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def sample_of(path: Path, line: int, where: str, parts: Mapping[str, Any]) -> RecordedSample:
    """Builds a sample from its parts; an empty reply has an empty text. NaN is missing, except as score or logprob."""
    parts = {
        part: None if part not in ("score", "logprob") and _is_nan(value) else value for part, value in parts.items()
    }
    tokens = _number(path, line, f"{where}`output_tokens`", parts.get("tokens"))
    if tokens is not None and (tokens < 0 or not float(tokens).is_integer()):
        raise FileFormatError(path, line, f"{where}`output_tokens` must be a whole number, not {parts['tokens']!r}")
    logprob = _number(path, line, f"{where}`logprob`", parts.get("logprob"))
    if logprob is not None and logprob > 0:
        raise FileFormatError(path, line, f"{where}`logprob` is at most 0, not {logprob:g}: it is a natural logarithm")
    answer = text_of(parts.get("answer"))
    text = _reply(parts.get("text"))
    return RecordedSample(
        text=answer or "" if text is None else text,
        answer=answer,
        correct=_verdict(path, line, where, parts.get("correct")),
        score=_number(path, line, f"{where}a score", parts.get("score")),
        output_tokens=None if tokens is None else int(tokens),
        logprob=logprob,
    )


def samples_alike(
    samples: Sequence[Any], parts_of: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]
) -> Samples | None:
    """What `sample_of` makes of objects that all have the same fields, none missing and of the usual types.

    `parts_of` tells the fields of the parts of one; `None`: they are not that alike.
    """
    if set(map(type, samples)) != {dict} or set(map(len, samples)) != {len(samples[0])} or None in samples[0].values():
        return None
    first, names = samples[0], dict(parts_of(samples[0]))
    if not {"text", "answer"} & set(names) or not all(name in first for name in names.values()):
        return None
    try:
        fields = {name: tuple(map(itemgetter(name), samples)) for name in first}
    except KeyError:
        return None
    columns = {part: fields[name] for part, name in names.items()}
    if any(set(map(type, column)) != {USUAL[part]} for part, column in columns.items()):
        return None
    if any(value > 0 for value in columns.get("logprob", ())):
        return None
    tokens = columns.pop("tokens", None)
    if tokens is not None and not 0 <= min(tokens) <= max(tokens) < 2**53:
        return None
    texts = columns.get("text") or columns["answer"]
    return Samples(len(samples), {**columns, "text": texts, "output_tokens": tokens})


def _is_nan(value: Any) -> bool:
    """Whether a cell is NaN, which tables of numbers use for a missing value."""
    return isinstance(value, float) and math.isnan(value)


def _reply(value: Any) -> str | None:
    """A reply as text: the content of a message, or of the last message of a conversation."""
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        value = value[-1]
    if isinstance(value, dict):
        value = value.get("content", value)
    return text_of(value)


def prompt_of(value: Any) -> str | None:
    """A prompt as text; for a conversation, the last user message."""
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        asked = [turn.get("content") for turn in value if turn.get("role") in ("user", "human", None)]
        value = asked[-1] if asked else None
    return text_of(value)


def _verdict(path: Path, line: int, where: str, value: Any) -> bool | None:
    if value is None:
        return None
    known = VERDICTS.get(str(value).strip().lower()) if isinstance(value, bool | int | float | str) else None
    if known is None:
        raise FileFormatError(path, line, f"{where}`correct` must be true or false, not {value!r}")
    return known


def _number(path: Path, line: int, what: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        if not isinstance(value, int | float | str):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise FileFormatError(path, line, f"{what} must be a number, not {value!r}") from None


def text_of(value: Any) -> str | None:
    """A value as text: numbers without a needless fraction, lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value
    if _is_nan(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)


def counts_of(path: Path, line: int, row: Mapping[str, Any]) -> DrawCounts | None:
    """The numbers of samples and of correct samples, in a row that has only these."""
    if "n_samples" not in row or "n_correct" not in row:
        return None
    try:
        n, n_correct = int(row["n_samples"]), int(row["n_correct"])
    except (TypeError, ValueError, OverflowError):
        raise FileFormatError(path, line, "n_samples and n_correct must be whole numbers") from None
    if not 0 <= n_correct <= n or n < 1:
        what = f"n_samples is {n} and n_correct {n_correct}: there is at least one sample, and at most all are correct"
        raise FileFormatError(path, line, what)
    return DrawCounts(n, n_correct)


def about_of(path: Path, line: int, row: Mapping[str, Any], sweep: Mapping[str, Any]) -> Mapping[str, str]:
    """The values of a row, or else of the sweep that wrote it, under the names of `ABOUT`."""
    parts = {name: row.get(name, sweep.get(name)) for name in ABOUT}
    for name, value in parts.items():
        if not isinstance(value, str | None):
            raise FileFormatError(path, line, f"`{name}` must be text, not {value!r}")
    return {name: value for name, value in parts.items() if value is not None}


def result_of(path: Path, line: int, name: str, row: Any) -> Result:
    """The result of a strategy on a problem, as a sweep writes it."""
    try:
        # Files from before retries were counted lack them.
        cost = Cost(**{f.name: {"retries": 0, **row["cost"]}[f.name] for f in fields(Cost)})
        if not all(row[verdict] in (True, False, None) for verdict in ("correct", "covered")):
            raise ValueError("a verdict is true, false or null")
        notes = dict(row.get("notes", {}))
        draws, stopped = int(row["draws"]), str(row["stopped"])
        return Result(row["answer"], row["correct"], row["covered"], draws, stopped, cost, notes)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(path, line, f"the outcome of {name!r} is not as a sweep writes it: {error!r}") from error
