"""Cells of tables as what they mean; what is wrong with one is said with its line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.recording import RecordedSample

VERDICTS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def sample_of(path: Path, line: int, where: str, told: Mapping[str, Any]) -> RecordedSample:
    """A sample by its parts; an empty reply has an empty text. NaN is nothing, but for scores and log-probabilities."""
    told = {
        part: None if part not in ("score", "logprob") and _is_nan(value) else value for part, value in told.items()
    }
    tokens = _number(path, line, f"{where}`output_tokens`", told.get("tokens"))
    if tokens is not None and (tokens < 0 or not float(tokens).is_integer()):
        raise FileFormatError(path, line, f"{where}`output_tokens` must be a whole number, not {told['tokens']!r}")
    logprob = _number(path, line, f"{where}`logprob`", told.get("logprob"))
    if logprob is not None and logprob > 0:
        raise FileFormatError(path, line, f"{where}`logprob` is at most 0, not {logprob:g}: it is a natural logarithm")
    answer = text_of(told.get("answer"))
    text = _reply(told.get("text"))
    return RecordedSample(
        text=answer or "" if text is None else text,
        answer=answer,
        correct=_verdict(path, line, where, told.get("correct")),
        score=_number(path, line, f"{where}a score", told.get("score")),
        output_tokens=None if tokens is None else int(tokens),
        logprob=logprob,
    )


def _is_nan(value: Any) -> bool:
    """Whether a cell is what tables of numbers have where there is nothing."""
    return isinstance(value, float) and math.isnan(value)


def _reply(value: Any) -> str | None:
    """A reply as text: the content of a message, or of the last of a conversation."""
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        value = value[-1]
    if isinstance(value, dict):
        value = value.get("content")
    return text_of(value)


def prompt_of(value: Any) -> str | None:
    """A prompt as text: what the user said last, where it is a conversation."""
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
