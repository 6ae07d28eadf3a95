"""Reads `mull.toml`: models, where they are served and what they cost; verifiers and judges. Errors name the line."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mull.errors import FileFormatError, cannot_read

if TYPE_CHECKING:
    from mull.config.schema import ModelTable, PresetTable, ServeTable

NAME = "mull.toml"
ELSEWHERE = {
    "temperature": "it is an option of commands, --temperature",
    "max_tokens": "it is an option of commands, --max-tokens",
    "seed": "it is an option of commands, --seed",
    "top_p": "send it with each request: extra_body = { top_p = 0.95 }",
    "top_k": "send it with each request: extra_body = { top_k = 20 }",
    "url": 'write base_url = "http://localhost:8000/v1"',
    "api_base": 'write base_url = "http://localhost:8000/v1"',
    "endpoint": 'write base_url = "http://localhost:8000/v1"',
    "api_key": "the key stays out of the file: api_key_env names the environment variable that holds it",
    "key": "the key stays out of the file: api_key_env names the environment variable that holds it",
    "name": 'write model = "what the server calls it"',
}
"""What to write instead of settings that other tools have."""
EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "dict_type": "a table",
    "model_type": "a table",
}
"""In words, what pydantic's types of errors expect."""


@dataclass(frozen=True)
class Config:
    """The settings of a file; `path` is `None` if there is no file."""

    path: Path | None
    models: dict[str, ModelTable]
    text: str = ""
    verifiers: Mapping[str, str] = field(default_factory=dict)
    judges: Mapping[str, str] = field(default_factory=dict)
    presets: Mapping[str, PresetTable] = field(default_factory=dict)
    serve: ServeTable | None = None

    def line(self, *keys: str) -> int | None:
        """The line of a setting, or of the beginning of its table."""
        return find_line(self.text, keys)

    def refuse(self, what: str, *keys: str) -> FileFormatError:
        """An error about a setting, with its line."""
        return FileFormatError(self.path, self.line(*keys), what)


def find(path: Path | None = None) -> Path | None:
    """The file: `path`, `MULL_CONFIG`, or `mull.toml` here or in the user's configuration folder; `None`: none."""
    if path is None and "MULL_CONFIG" in os.environ:
        path = Path(os.environ["MULL_CONFIG"])
    if path is not None:
        if path.is_dir():
            raise FileFormatError(path, None, f"is a folder: name the file, as in {path / NAME}")
        if not path.exists():
            raise cannot_read(path, FileNotFoundError())
        return path
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return next((p for p in (Path(NAME), home / "mull" / NAME) if p.is_file()), None)


def read(path: Path | None = None) -> Config:
    """Reads the settings; empty if there is no file. Raises `FileFormatError` with the line."""
    found = find(path)
    if found is None:
        return Config(None, {})
    try:
        text = found.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(found, None, "not UTF-8 text, and so not TOML") from error
    except OSError as error:
        raise cannot_read(found, error) from error
    return parse(text, found)


def parse(text: str, path: Path) -> Config:
    """Parses the settings in a text. Raises `FileFormatError` with the line."""
    from pydantic import ValidationError

    from mull.config.schema import File

    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        quotes = '; texts stand in quotes, as in model = "gpt"' if str(error).startswith("Invalid value") else ""
        raise FileFormatError(path, _line_of(error), f"not TOML: {error}{quotes}") from error
    except (ValueError, RecursionError) as error:  # a number or nesting that Python does not take
        raise FileFormatError(path, None, f"not TOML that can be read: {error}") from error
    try:
        file = File.model_validate(told)
        return Config(path, file.models, text, file.verifiers, file.judges, file.presets, file.serve)
    except ValidationError as error:
        # A misspelt setting is also reported as missing: report the misspelling. Deeper errors are more specific.
        mistakes = error.errors(include_url=False, include_input=False)
        first = max(mistakes, key=lambda e: (e["type"] != "missing", len(e["loc"])))
        keys = [str(part) for part in first["loc"]]
        raise FileFormatError(path, find_line(text, keys), _words(first, keys)) from None


def _line_of(error: tomllib.TOMLDecodeError) -> int | None:
    """The line of a TOML error: an attribute of the exception since Python 3.14, before that part of its message."""
    told = getattr(error, "lineno", None) or str(error).partition("at line ")[2].partition(",")[0]
    return int(told) if str(told).isdigit() else None


def _words(error: Any, keys: Sequence[str]) -> str:
    from mull.config.schema import KINDS, TABLES

    where = ".".join(keys)
    if error["type"] == "extra_forbidden":
        table = None if len(keys) < 2 else "keys" if keys[:2] == ["serve", "keys"] else keys[0]
        form, known = ("", TABLES) if table is None else KINDS[table]
        others = list(ELSEWHERE) if table == "models" else []
        near = difflib.get_close_matches(keys[-1], [*known, *others], n=1, cutoff=0.75)
        if near and near[0] in others:
            return f"unknown setting {where!r}: {ELSEWHERE[near[0]]}"
        hint = f"did you mean {near[0]!r}? " if near else ""
        whose = f"a table {form} takes" if form else "the tables are"
        return f"unknown setting {where!r}: {hint}{whose} {', '.join(sorted(known))}"
    if error["type"] == "missing":
        return f"[{'.'.join(keys[:-1])}] has no {keys[-1]}, which it needs"
    if error["type"] in EXPECTED:
        return f"{where} must be {EXPECTED[error['type']]}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def find_line(text: str, keys: Sequence[str]) -> int | None:
    """The line of a key in a TOML text: the last line of the shortest valid prefix that contains the key.

    If the text does not contain all of `keys`, the line of the leading ones that it contains.
    """
    lines = text.splitlines(keepends=True)
    for n_keys in range(len(keys), 0, -1):
        if not _has(text, keys[:n_keys]):
            continue
        for n in range(1, len(lines) + 1):
            if _has("".join(lines[:n]), keys[:n_keys]):
                return n
    return None


def _has(text: str, keys: Sequence[str]) -> bool:
    try:
        told: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    for key in keys:
        if isinstance(told, list) and key.isdigit() and int(key) < len(told):
            told = told[int(key)]
        elif isinstance(told, dict) and key in told:
            told = told[key]
        else:
            return False
    return True
