"""Reads `mull.toml`: models, where they are served and what they cost; verifiers and judges. Errors name the line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mull.config.checked import checked, find_line, instead
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

    @property
    def folder(self) -> Path | None:
        """The folder of the file, from which the paths in it go."""
        return None if self.path is None else self.path.parent

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
    from mull.config.schema import File

    file = checked(File, text, path, _unknown)
    return Config(path, file.models, text, file.verifiers, file.judges, file.presets, file.serve)


def _unknown(keys: Sequence[str]) -> str:
    """What a table of the file takes instead of a setting that is not known."""
    from mull.config.schema import KINDS, TABLES

    table = None if len(keys) < 2 else "keys" if keys[:2] == ["serve", "keys"] else keys[0]
    form, known = ("", TABLES) if table is None else KINDS[table]
    others = ELSEWHERE if table == "models" else {}
    return instead(keys[-1], known, f"a table {form} takes" if form else "the tables are", others)
