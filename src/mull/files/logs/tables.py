"""Reads logs that are Parquet tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mull.errors import FileFormatError, MissingExtraError

MOST_BYTES = 2 << 30


def columns(path: Path) -> frozenset[str]:
    """The names of a Parquet file's columns. Raises `FileFormatError`."""
    pq, _ = _parquet(path)
    return frozenset(pq.schema_arrow.names)


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a Parquet file. Raises `FileFormatError`, also for a file that unpacks to more than 2 GiB."""
    pq, error = _parquet(path)
    size = sum(pq.metadata.row_group(i).total_byte_size for i in range(pq.metadata.num_row_groups))
    if size > MOST_BYTES:
        raise FileFormatError(path, None, f"unpacks to {size:,} bytes: over {MOST_BYTES:,}")
    try:
        found: list[dict[str, Any]] = pq.read().to_pylist()
    except (error, OSError, ValueError) as fault:
        raise FileFormatError(path, None, f"is broken: {fault}") from fault
    return found


def _parquet(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet", "pyarrow", "lab") from None
    try:
        return pyarrow.parquet.ParquetFile(path), pa.ArrowException
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(path, None, f"cannot be read as Parquet: {error}") from error
