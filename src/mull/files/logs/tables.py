"""Reads logs that are Parquet tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mull.errors import FileFormatError, MissingExtraError
from mull.files.tables import read_parquet


def columns(path: Path) -> frozenset[str]:
    """The names of a Parquet file's columns. Raises `FileFormatError`."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet", "pyarrow", "lab") from None
    try:
        return frozenset(pq.read_schema(path).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileFormatError(path, None, f"cannot be read as Parquet: {error}") from error


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a Parquet file. Raises `FileFormatError`, also for one that unpacks to far too many bytes."""
    return [row for _, row in read_parquet(path)]
