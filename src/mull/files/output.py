"""Files that results are written to: checked before any work is paid for, and written whole or line by line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mull.errors import MullError, OutputError, UsageError

Row = Mapping[str, Any]


def check_writable(path: Path | None, what: str = "the output") -> None:
    """Opens a file for writing without changing it. Raises `UsageError` if that is not possible; `None` passes."""
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r} to write {what} to: make it first")
    if path.is_dir():
        raise UsageError(f"{what} is to be a file, and {str(path)!r} is a folder")
    is_new = not path.exists()
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    if is_new:
        path.unlink()


def check_folder(path: Path | None) -> None:
    """Makes a folder for output files. Raises `UsageError` if that is not possible; `None` passes."""
    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {str(path)!r} cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {str(path)!r} cannot be written to")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """The path of a file that replaces `path` once the block has ended; a device or a pipe is written directly.

    Raises `OutputError` for an error of the system inside the block; `path` is then as it was.
    """
    part = path.with_name(path.name + ".part") if path.is_file() or not path.exists() else path
    try:
        try:
            yield part
            if part != path:
                part.replace(path)
        finally:
            if part != path:
                part.unlink(missing_ok=True)
    except MullError:  # some are errors of the system, too
        raise
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror or error}")


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Writes a file, whole or not at all. Raises `OutputError`."""
    with written(path) as part:
        part.write_text(text, encoding="utf-8", errors=errors)


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    """Writes JSONL, whole or not at all. Raises `OutputError`."""
    with written(path) as part, part.open("w", encoding="utf-8", errors="surrogatepass") as file:
        file.writelines(map(_line, rows))


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


class GrowingFile:
    """A JSONL file that grows line by line, so that a process that is killed leaves a readable file.

    A file that is already there is kept as `NAME.before` until `finish`. Raises `OutputError` if the first line cannot
    be written; a later failure is kept in `error`, and nothing more is written.
    """

    def __init__(self, path: Path, first: Row) -> None:
        self.path = path
        self.error: OutputError | None = None
        self._is_regular = path.is_file() or not path.exists()
        self._before = path.with_name(path.name + ".before")
        try:
            if self._is_regular and path.exists() and path.stat().st_size and not self._before.exists():
                path.replace(self._before)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise _failed(path, error) from error
        self.add(first)
        if self.error is not None:
            raise self.error

    def add(self, row: Row) -> None:
        """Appends a line."""
        if self.error is not None:
            return
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            self.error = _failed(self.path, error)
            self.close()

    def finish(self, rows: Iterable[Row]) -> None:
        """Replaces the lines by `rows`; they stay as they are if `rows` cannot be written."""
        self.close()
        if self.error is None and self._is_regular:
            try:
                write_lines(self.path, rows)
            except OutputError as error:
                self.error = error
        if self.error is None:
            self._before.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file; what a full disk did not take is dropped."""
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or _failed(self.path, error)
