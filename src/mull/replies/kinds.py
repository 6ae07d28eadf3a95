"""Kinds of answers beside those of `AnswerKind`: JSON, tool calls, and what a regular expression finds.

Each is a value that fits `mull.types.Kind`, as one of your own may: `Problem(id, prompt, JsonAnswer())`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mull.equal.patterns import regex
from mull.errors import UsageError
from mull.replies import thinking
from mull.types import Sample

_FENCE = regex(r"^[ \t]*(`{3,}|~{3,})[ \t]*(?:json[c5]?)?[ \t]*\n(.*?)^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class JsonAnswer:
    """A JSON value: the whole reply outside its thought, or its last fenced block; equal if the values are."""

    @property
    def value(self) -> str:
        return "json"

    def read(self, sample: Sample) -> str | None:
        spoken = thinking.spoken(sample.reply)
        if spoken is None:
            return None
        whole = self.canonical(spoken)
        blocks = _FENCE.findall(spoken) if whole is None else []
        return self.canonical(blocks[-1][1]) if blocks else whole

    def canonical(self, text: str) -> str | None:
        """The value with sorted keys and without spaces; `None` for what is no JSON."""
        try:
            return canonical_json(json.loads(text, parse_constant=_refuse))
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class ToolCallAnswer:
    """The tools that a reply calls: their names and arguments, compared as JSON. A reply that calls none has no answer.

    Arguments that are no JSON are no answer either, for no tool could be called with them.
    """

    @property
    def value(self) -> str:
        return "tool call"

    def read(self, sample: Sample) -> str | None:
        calls = [{"name": call.name, "arguments": call.arguments} for call in sample.tool_calls]
        return self.canonical(json.dumps(calls)) if calls else None

    def canonical(self, text: str) -> str | None:
        """The canonical form of a JSON list of objects with `name` and `arguments` (an object, or its JSON text)."""
        try:
            calls = json.loads(text, parse_constant=_refuse)
            told = [[call["name"], _arguments(call["arguments"])] for call in calls]
            return canonical_json(told) if told else None
        except (ValueError, RecursionError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class PatternAnswer:
    """What the last match of a regular expression says: its first group, or the whole of it without one.

    Raises `UsageError` for a pattern that is none.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            _ = self._compiled
        except re.error as error:
            raise UsageError(f"{self.pattern!r} is no regular expression: {error}") from error

    @property
    def value(self) -> str:
        return f"pattern {self.pattern}"

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def read(self, sample: Sample) -> str | None:
        last = None
        for match in self._compiled.finditer(thinking.spoken(sample.reply) or ""):
            last = match
        if last is None:
            return None
        return self.canonical(last[1] if last.re.groups else last[0])

    def canonical(self, text: str | None) -> str | None:
        """The text with single spaces, in lower case; `None` where nothing is left."""
        return " ".join((text or "").split()).casefold() or None


def canonical_json(value: Any) -> str:
    """The JSON of a value with sorted keys and without spaces; whole numbers are written without a point."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _arguments(told: Any) -> Any:
    return json.loads(told, parse_constant=_refuse) if isinstance(told, str) else told


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
