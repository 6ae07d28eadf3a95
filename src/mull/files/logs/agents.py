"""What the readers of agents' runs share: turns, tool calls, results of commands, and tasks without a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mull.files.logs import base
from mull.types import ImagePart, Message, Part, TextPart, ToolCall

MOST_FILES = 100_000
"""Files below a folder that are looked at."""


def files_below(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder with such a name, in order; links are not followed."""
    found = []
    for place, path in enumerate(folder.rglob(pattern)):
        if place == MOST_FILES:
            break
        if path.is_file() and not path.is_symlink():
            found.append(path)
    return sorted(found)


def run_name(path: Path, root: Path) -> str:
    """The name of a run: its path below the folder that was given, or the name of its file."""
    return path.relative_to(root).as_posix() if path != root else path.name


def content_of(content: Any) -> str | tuple[Part, ...]:
    """The content of a turn: its text, or its texts and images."""
    parts: list[Part] = []
    for part in base.items(content):
        told = base.mapping(part)
        kind = told.get("type")
        url = told.get("image_url", told.get("image"))
        url = base.mapping(url).get("url") if isinstance(url, dict) else url
        url = base.mapping(told.get("source")).get("path") if kind == "image" and url is None else url
        if kind in ("image", "image_url", "input_image") and isinstance(url, str):
            parts.append(ImagePart(url))
        elif text := base.content_text([part]):
            parts.append(TextPart(text))
    if any(isinstance(part, ImagePart) for part in parts):
        return tuple(parts)
    return base.content_text(content)


def call_of(id: Any, name: Any, arguments: Any) -> ToolCall:
    """A tool call; arguments that are no text are written as JSON."""
    told = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return ToolCall(str(id or ""), str(name or ""), told)


def result(content: Any, call: Any = None, returncode: Any = None) -> Message:
    """What a tool returned. An exit status that is told aside stands before the text, unless the text has one."""
    told = content_of(content)
    code = returncode if isinstance(returncode, int) and not isinstance(returncode, bool) else None
    if code is not None and isinstance(told, str) and "<returncode>" not in told:
        told = f"<returncode>{code}</returncode>\n{told}"
    return Message("tool", told, tool_call_id=None if call is None else str(call))


def task_id(name: Any, prompt: str) -> str:
    """The name of a task, or one made from its question."""
    if isinstance(name, str | int) and str(name):
        return str(name)
    first = " ".join(prompt.split())[:40]
    return f"{first} {hashlib.blake2b(prompt.encode(errors='surrogatepass'), digest_size=4).hexdigest()}"


def output_tokens(counts: Sequence[Any]) -> int | None:
    """The sum of the tokens of all replies; `None` if there are none or one does not tell."""
    known = [count for count in map(base.whole, counts) if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None
