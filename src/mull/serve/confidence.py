"""Calibrated confidence: how often a preset's answers were right at such a confidence, on questions with known answers.

The curve is an isotonic regression (Zadrozny and Elkan 2002) of right or wrong on the preset's own confidence.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mull.config.schema import PresetTable
from mull.errors import FileFormatError, UsageError, cannot_read
from mull.verifiers.combine import Isotonic, isotonic

LEAST = 20
"""The fewest answers that a curve is fitted to."""
Share = Annotated[float, Field(ge=0, le=1)]


class MadeFor(BaseModel):
    """What a curve is true of: a model's name and all of a preset that changes its answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    strategy: str
    verifier: str | None = None
    judge: str | None = None
    answer: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None

    @classmethod
    def of(cls, model: str, table: PresetTable) -> MadeFor:
        names = ("strategy", "verifier", "judge", "answer", "temperature", "max_tokens")
        return cls(model=model, **{name: getattr(table, name) for name in names})


class ConfidenceCurve(BaseModel):
    """A curve, as its file has it. `n` answers were chosen in the way `chosen_by`; others keep their own confidence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["mull-confidence"] = "mull-confidence"
    version: Literal[1] = 1
    made_for: MadeFor
    chosen_by: str
    n: Annotated[int, Field(ge=1)]
    starts: tuple[float, ...]
    values: tuple[Share, ...]

    @model_validator(mode="after")
    def _check(self) -> ConfidenceCurve:
        if not self.starts or len(self.starts) != len(self.values):
            raise ValueError("`starts` and `values` must be equally many")
        if list(self.starts) != sorted(self.starts) or list(self.values) != sorted(self.values):
            raise ValueError("`starts` and `values` must be ascending")
        return self

    def chance(self, chosen_by: str, confidence: float | None) -> float | None:
        """The share of right answers at this confidence; `None` where the curve says nothing."""
        if confidence is None or chosen_by != self.chosen_by:
            return None
        return float(Isotonic(self.starts, self.values)([confidence])[0])

    @property
    def text(self) -> str:
        """The text of its file."""
        return json.dumps(self.model_dump(), indent=1) + "\n"


def read(path: Path) -> ConfidenceCurve:
    """Reads a curve. Raises `FileFormatError`."""
    try:
        return ConfidenceCurve.model_validate_json(path.read_bytes())
    except OSError as error:
        raise cannot_read(path, error) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise FileFormatError(path, None, f"not a file of `mull train confidence`: {where}: {first['msg']}") from error


class LabelledAnswer(NamedTuple):
    """The answer to a question of which the right one is known."""

    chosen_by: str
    confidence: float
    is_right: bool


def fit(made_for: MadeFor, rows: Sequence[LabelledAnswer]) -> ConfidenceCurve:
    """The curve of the answers chosen in the most frequent way. Raises `UsageError` for fewer than `LEAST`."""
    ways = Counter(row.chosen_by for row in rows)
    chosen_by, n = max(ways.items(), key=lambda item: item[1], default=("", 0))
    if n < LEAST:
        what = f"a curve needs at least {LEAST} answers with a confidence, and there are {n}"
        raise UsageError(f"{what}: give more questions")
    used = [row for row in rows if row.chosen_by == chosen_by]
    curve = isotonic([row.confidence for row in used], [row.is_right for row in used])
    return ConfidenceCurve(made_for=made_for, chosen_by=chosen_by, n=n, starts=curve.starts, values=curve.values)


def brier(rows: Sequence[LabelledAnswer]) -> tuple[float, float]:
    """The mean squared error of the confidence, as it is and calibrated on the other half of the questions."""
    halves = [rows[0::2], rows[1::2]]
    raw = math.fsum((row.confidence - row.is_right) ** 2 for row in rows)
    done = 0.0
    for half, other in (halves, halves[::-1]):
        curve = isotonic([row.confidence for row in other], [row.is_right for row in other])
        errors: Any = curve([row.confidence for row in half]) - np.array([row.is_right for row in half])
        done += float(np.square(errors).sum())
    return raw / len(rows), done / len(rows)
