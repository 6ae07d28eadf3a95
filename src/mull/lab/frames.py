"""Tables of pandas and polars, in and out: draws and figures as rows, and draws from a table in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mull.errors import MissingExtraError, UsageError
from mull.files.columns import Layout
from mull.files.recording import Recording
from mull.files.records import PLAIN, read_table
from mull.lab.grid import Table
from mull.lab.metrics import Curves
from mull.lab.recorded import Source, source_of
from mull.types import Outcome

NAME = Path("DataFrame")
"""What messages call a table in memory; its rows are numbered from 1."""


def read_frame(frame: Any, layout: Layout = PLAIN) -> Source:
    """The graded draws of a table in memory, read as `mull curves` reads a file: one row a draw, or one a problem.

    `frame` is a DataFrame of pandas or polars, a Table of pyarrow, or a list of dicts. Raises `FileFormatError` naming
    the row, and `UsageError` for anything else.
    """
    rows = enumerate(_rows_in(frame), 1)
    found = read_table(NAME, rows, None, layout, is_text=True)
    return source_of(NAME, found.recordings, layout, found.notes)


def rows(what: Outcome | Source | Table | Curves | Iterable[Recording]) -> list[dict[str, Any]]:
    """The rows of a table: one for each draw of an outcome or of recordings, strategy of a sweep, or point of a curve.

    Those of recordings can be read again by `read_frame`. Unknown values are `None`.
    """
    if isinstance(what, Outcome):
        return _of_outcome(what)
    if isinstance(what, Curves):
        names = ("coverage", "majority", "weighted", "best", "worst")
        points = ((name, point) for name in names for point in getattr(what, name))
        return [{"curve": name, "k": p.k, "value": p.value, "low": p.ci95[0], "high": p.ci95[1]} for name, p in points]
    if isinstance(what, Table):
        return [_of_row(asdict(row)) for row in what.rows]
    recordings = [one for g in what.groups.values() for one in g.recordings] if isinstance(what, Source) else what
    return [row for one in recordings for row in _of_recording(one)]


def to_pandas(what: Outcome | Source | Table | Curves | Iterable[Recording]) -> Any:
    """`rows` as a pandas DataFrame. Raises `MissingExtraError` if pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("a DataFrame", "pandas", "pandas") from None
    return pd.DataFrame(rows(what))


def to_polars(what: Outcome | Source | Table | Curves | Iterable[Recording]) -> Any:
    """`rows` as a polars DataFrame. Raises `MissingExtraError` if polars is not installed."""
    try:
        import polars as pl
    except ImportError:
        raise MissingExtraError("a DataFrame", "polars", "polars") from None
    return pl.DataFrame(rows(what), infer_schema_length=None)


def _of_outcome(outcome: Outcome) -> list[dict[str, Any]]:
    scores = outcome.scores or (None,) * len(outcome.candidates)
    return [
        {
            "prompt": sample.prompt.question,
            "draw": sample.draw,
            "text": sample.reply,
            "score": None if score is None else score.value,
            "is_best": sample is outcome.best,
            "finish": sample.finish.value,
            "output_tokens": sample.cost.output_tokens,
            "usd": sample.cost.usd,
            "seconds": sample.cost.seconds,
            "error": sample.error,
        }
        for sample, score in zip(outcome.candidates, scores, strict=True)
    ]


def _of_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a sweep without values in values."""
    low, high = row.pop("ci95") or (None, None)
    cost = {f"cost_{name}": value for name, value in row.pop("cost").items()}
    stopped = {f"stopped_{name}": n for name, n in row.pop("stopped").items()}
    return {**row, "low": low, "high": high, **cost, **stopped}


def _of_recording(one: Recording) -> list[dict[str, Any]]:
    answers: Sequence[str | None] = one.answers or [sample.answer for sample in one.samples]
    return [
        {
            "problem_id": one.id,
            "prompt": one.prompt,
            "model": one.group,
            "answer": one.gold,
            "text": sample.text,
            "final_answer": answer,
            "correct": sample.correct,
            "score": sample.score,
            "output_tokens": sample.output_tokens,
            "logprob": sample.logprob,
        }
        for sample, answer in zip(one.samples, answers, strict=True)
    ]


def _rows_in(frame: Any) -> list[dict[str, Any]]:
    """The rows of a table, with `None` where a cell has no value."""
    if hasattr(frame, "to_dicts"):  # polars
        found = frame.to_dicts()
    elif hasattr(frame, "to_pylist"):  # pyarrow
        found = frame.to_pylist()
    elif hasattr(frame, "iloc") and hasattr(frame, "columns"):  # pandas
        has_index = any(name is not None for name in frame.index.names)
        table = frame.reset_index() if has_index else frame
        if not table.columns.is_unique:
            raise UsageError("two columns of the DataFrame have the same name")
        found = table.to_dict("records")
    else:
        found = frame
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise UsageError(
            f"draws are read from a DataFrame of pandas or polars, a Table of pyarrow or a list of dicts, not from a "
            f"{type(frame).__name__}"
        )
    return [{str(name): _plain(value) for name, value in row.items()} for row in found]


def _plain(value: Any) -> Any:
    """A cell as JSON would hold it; what pandas writes for a missing value is `None`."""
    if hasattr(value, "tolist"):  # an array or a number of numpy
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # pandas keeps whole numbers as floats where a value is missing
    return value
