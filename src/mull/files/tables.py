"""Reads tables: JSON lines, JSON lists, CSV, TSV and Parquet, as rows with their line numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from mull.errors import FileFormatError, MissingExtraError, cannot_read
from mull.files.lines import ROW, json_error, read_jsonl
from mull.files.opening import begins, lines, most_bytes, too_large, whole_text

Row = tuple[int, dict[str, Any]]
"""A row and its line number; rows of JSON lists and of Parquet are numbered from 1."""
LONGEST_CELL = 2**30
SOME_ROWS = 256
"""The rows of a Parquet file that are unpacked at once."""
DELIMITERS = ",;\t"


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, by the suffix of its name (also `.gz`). Raises `FileFormatError` with the line."""
    form = form_of(path)
    if form == "parquet":
        return read_parquet(path)
    if form == "delimited":
        return _delimited(path, "\t" if suffix_of(path) == ".tsv" else None)
    return _json(path) if form == "json" else read_jsonl(path)


def form_of(path: Path) -> Literal["parquet", "delimited", "json", "lines"]:
    """How a file is written, by what it begins with and then by its name. Raises `FileFormatError`."""
    suffix = suffix_of(path)
    head = begins(path)
    if head.startswith(b"PAR1") or suffix == ".parquet":
        return "parquet"
    if suffix in (".csv", ".tsv"):
        return "delimited"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().decode("utf-8", "replace")
    first = text.partition("\n")[0].strip()
    if suffix == ".json" or text.startswith("[") or first == "{":  # an object over several lines
        return "json"
    is_json = first[:1] in ("", "{", '"')
    return "lines" if is_json or not any(mark in first for mark in DELIMITERS) else "delimited"


def suffix_of(path: Path) -> str:
    """The suffix of a file name in lower case, without `.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _json(path: Path) -> Iterator[Row]:
    """The rows of a JSON list, or of the only list of objects in a JSON object; else the file is read as JSON lines."""
    try:
        content = json.loads(whole_text(path))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from read_jsonl(path)
            return
        raise json_error(path, error, None) from error
    except (ValueError, RecursionError) as error:
        raise json_error(path, error, None) from error
    if isinstance(content, dict):
        content = _rows_in(content)
    if not isinstance(content, list):
        raise FileFormatError(path, None, f"a list of objects was expected, not {type(content).__name__}")
    for number, row in enumerate(content, 1):
        if not isinstance(row, dict):
            what = f"a row must be a JSON object like {ROW}, not {type(row).__name__}"
            raise FileFormatError(path, number, what)
        yield number, row


def is_lines(path: Path) -> bool:
    """Whether a file holds JSON lines, whatever its name: its first line is a JSON object and more lines follow."""
    try:
        found = lines(path)
        first = next(found, (0, ""))[1]
        return first.startswith("{") and isinstance(json.loads(first), dict) and bool(next(found, (0, ""))[1].strip())
    except (ValueError, RecursionError):
        return False


def _rows_in(content: dict[str, Any]) -> list[Any]:
    """The rows of a JSON object: of its only list of objects, of objects by id, of columns, or the object itself."""
    values = list(content.values())
    if is_row(content):
        if all(isinstance(value, dict) for value in values):  # by column and then by row, as pandas writes it
            return [{name: column.get(key) for name, column in content.items()} for key in values[0]]
        return [content]
    if sum(map(_are_objects, values)) == 1:
        return list(next(value for value in values if _are_objects(value)))
    if len(values) == 1 and isinstance(values[0], dict) and sum(map(_are_objects, values[0].values())) == 1:
        return _rows_in(values[0])  # a list within an envelope, such as {"data": {"rows": [...]}}
    if values and all(isinstance(value, dict) for value in values):
        return [{"id": id, **row} for id, row in content.items()]
    return [content]


def has_rows(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object holds a table or is a row of one."""
    values = list(content.values())
    is_by_id = bool(values) and all(isinstance(value, dict) and is_row(value) for value in values)
    return is_row(content) or is_by_id or sum(map(_are_objects, values)) == 1


def is_row(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object has a prompt."""
    return not {"prompt", "question", "problem"}.isdisjoint(content)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _delimited(path: Path, delimiter: str | None) -> Iterator[Row]:
    """The rows below the header, as strings; an empty cell is `None`."""
    text = whole_text(path)
    csv.field_size_limit(LONGEST_CELL)  # the default is too short for a long thought
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or max(DELIMITERS, key=header.count))
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not names:
                names = [name.strip() for name in cells]
                twice = next((name for name in names if names.count(name) > 1), None)
                if twice is not None:
                    raise FileFormatError(path, 1, f"two columns have the name {twice!r}")
            elif cells:
                if len(cells) != len(names):
                    what = f"{len(cells)} cells under {len(names)} columns: quote a text that has the separator in it"
                    raise FileFormatError(path, line, what)
                yield line, {name: cell if cell.strip() else None for name, cell in zip(names, cells, strict=True)}
            line = reader.line_num + 1  # where the next row begins; a row can span lines
    except csv.Error as error:
        raise FileFormatError(path, reader.line_num, f"cannot be read as a table: {error}") from error


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file. Raises `FileFormatError` with the row, also if it unpacks to far too many bytes."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet", "pyarrow", "lab") from None
    most = most_bytes(path)
    number = n_bytes = 0
    try:
        with pq.ParquetFile(path) as file:
            _check_claims(path, file.metadata, most)
            for batch in file.iter_batches(SOME_ROWS):
                n_bytes += sum(map(_n_bytes, batch.columns))
                if n_bytes > most:
                    raise too_large(path, number + 1, most)
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:  # dates that Python does not know too
        if isinstance(error, FileFormatError):
            raise
        raise cannot_read(path, error, number + 1) from error


def _n_bytes(column: Any) -> int:
    """The bytes of a column's values; a value that rows share counts for each of them."""
    return int((column.dictionary_decode() if hasattr(column, "dictionary_decode") else column).nbytes)


def _check_claims(path: Path, metadata: Any, most: int) -> None:
    """Refuses a file by what it says of itself, in which a null counts as one byte, before any row is read."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    parts = [group.column(i) for group in groups for i in range(group.num_columns)]
    if sum(max(part.total_uncompressed_size, part.num_values) for part in parts) > most:
        raise too_large(path, None, most)


def at(row: Mapping[str, Any], name: str) -> Any:
    """The value at a name, or at a dotted path of names; `None` if there is none."""
    if name in row:
        return row[name]
    if "." not in name:
        return None
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def is_export(path: Path) -> bool:
    """Whether a file is what `mull bank export` writes."""
    if not path.is_file() or suffix_of(path) not in (".jsonl", ".parquet"):
        return False
    first = next(read_rows(path), None)
    return first is None or "asked" in first[1] or "verdict" in first[1]  # an empty bank exports an empty file
