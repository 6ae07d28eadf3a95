"""Answer kinds beyond `AnswerKind`: JSON, tool calls, text as written, and regular expressions.

Each implements `mull.types.Kind`, as a kind of your own can: `Problem(id, prompt, JsonAnswer())`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mull.errors import UsageError
from mull.replies import regions, visible
from mull.replies.answers import canonical
from mull.replies.blocks import blocks
from mull.types import Sample

_JSON = ("", "json", "jsonc", "json5")
"""Languages of a fence that may hold JSON."""


@dataclass(frozen=True)
class JsonAnswer:
    """A JSON value: the whole reply outside its thought, or its last fenced block; compared by value."""

    @property
    def value(self) -> str:
        return "json"

    def read(self, sample: Sample) -> str | None:
        spoken = visible.spoken(sample.reply)
        if spoken is None:
            return None
        whole = self.canonical(spoken)
        fenced = [one for one in blocks(spoken) if one.is_fenced and one.language in _JSON] if whole is None else []
        return self.canonical(fenced[-1].code) if fenced else whole

    def canonical(self, text: str) -> str | None:
        """The value with sorted keys and without spaces; `None` if the text is not JSON."""
        try:
            return canonical_json(json.loads(text, parse_constant=_refuse))
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class ToolCallAnswer:
    """The tool calls of a reply: names and arguments, compared as JSON. A reply without calls has no answer.

    A call whose arguments are not JSON is not an answer either, since no tool could be called with them.
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
            pairs = [[call["name"], _arguments(call["arguments"])] for call in calls]
            return canonical_json(pairs) if pairs else None
        except (ValueError, RecursionError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class PatternAnswer:
    """The last match of a regular expression: its first group, or the whole match if it has no group.

    Raises `UsageError` for an invalid pattern.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            _ = self._compiled
        except re.error as error:
            raise UsageError(f"{self.pattern!r} is not a regular expression: {error}") from error

    @property
    def value(self) -> str:
        return f"pattern {self.pattern}"

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def read(self, sample: Sample) -> str | None:
        last = None
        for match in self._compiled.finditer(visible.spoken(sample.reply) or ""):
            last = match
        if last is None:
            return None
        return self.canonical(last[1] if last.re.groups else last[0])

    def canonical(self, text: str | None) -> str | None:
        """The text with single spaces, in lower case; `None` if it is empty."""
        return " ".join((text or "").split()).casefold() or None


@dataclass(frozen=True)
class ExactAnswer:
    """What a box, answer tags or an answer line holds, as it is written, or else a reply's last line.

    Equal but for case, spaces, markup, a leading article and a full stop at the end.
    """

    @property
    def value(self) -> str:
        return "exact"

    def read(self, sample: Sample) -> str | None:
        text = regions.own(visible.spoken(sample.reply) or "")
        told = next((one.text for one in regions.regions(text) if one.sort != "phrase"), None)
        return self.canonical(told if told is not None and told.strip() else text.strip().rpartition("\n")[2])

    def canonical(self, text: str) -> str | None:
        """The text in normal form; `None` where nothing is left."""
        return canonical(text)


@dataclass(frozen=True)
class WholeAnswer:
    """The whole reply outside its thought, for open questions that a judge decides: equal but for case and spaces."""

    @property
    def value(self) -> str:
        return "whole"

    def read(self, sample: Sample) -> str | None:
        return self.canonical(visible.spoken(sample.reply) or "")

    def canonical(self, text: str) -> str | None:
        """The text with single spaces, in lower case; `None` if it is empty."""
        return " ".join(text.split()).casefold() or None


def canonical_json(value: Any) -> str:
    """The JSON text of a value with sorted keys and without spaces; whole numbers have no decimal point."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _arguments(value: Any) -> Any:
    return json.loads(value, parse_constant=_refuse) if isinstance(value, str) else value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
