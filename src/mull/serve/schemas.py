"""Answers of replies in the forms of a chat: JSON that fits a schema, and calls of tools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from mull.errors import MissingExtraError, UsageError
from mull.replies import visible
from mull.replies.answers import answer_of
from mull.replies.kinds import JsonAnswer, ToolCallAnswer
from mull.serve.schema_limits import checked_depth, depth_of
from mull.types import AnswerKind, Finish, Kind, Problem, Sample


class _Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...


@dataclass(frozen=True)
class JsonReply:
    """A reply that is JSON as a whole, an object unless a schema says otherwise; others do not vote.

    Replies are compared by value (canonical JSON). `schema` is the JSON text of the schema.
    """

    schema: str | None = None
    _validator: _Validator | None = field(default=None, compare=False, repr=False)
    _depth: int | None = field(default=None, compare=False, repr=False)
    """How deep a value may be that is checked."""

    @classmethod
    def of(cls, told: Any) -> JsonReply:
        """From the `json_schema` of a response format. Raises `UsageError` if it has no valid schema.

        A schema cannot make the gateway fetch another one, and its patterns run in linear time.
        """
        schema = told.get("schema") if isinstance(told, dict) else None
        if not isinstance(schema, dict | bool):
            raise UsageError("must be an object with a `name` and a `schema`")
        try:
            import jsonschema_rs as rs
        except ModuleNotFoundError:
            raise MissingExtraError("a JSON schema", "jsonschema-rs", "serve") from None
        try:
            depth = checked_depth(schema)
        except RecursionError:
            raise UsageError("has references that lead too deep") from None
        try:
            validator = rs.validator_for(schema, pattern_options=rs.RegexOptions(size_limit=1 << 20), offline=True)
        except (rs.ValidationError, rs.ReferencingError, ValueError) as error:
            raise UsageError(f"is not a schema that can be checked: {str(error)[:300]}") from error
        return cls(json.dumps(schema, sort_keys=True), validator, depth)

    @property
    def value(self) -> str:
        return "json" if self.schema is None else f"json of {self.schema}"

    def read(self, sample: Sample) -> str | None:
        spoken = visible.spoken(sample.reply)
        if sample.finish is Finish.LENGTH or sample.tool_calls or spoken is None:
            return None
        return self.canonical(spoken)

    def canonical(self, text: str) -> str | None:
        """The value with sorted keys and without spaces; `None` if the text is not JSON, or does not fit."""
        told = JsonAnswer().canonical(text)
        if told is None:
            return None
        value = json.loads(told)
        if self._validator is None:
            return told if isinstance(value, dict) else None
        is_checked = self._depth is None or depth_of(value) <= self._depth
        return told if is_checked and self._validator.is_valid(value) else None


@dataclass(frozen=True)
class CallOrReply:
    """The tool calls of a reply, by name and canonical arguments; of a reply without any, its answer of `kind`."""

    kind: AnswerKind | Kind = AnswerKind.TEXT

    @property
    def value(self) -> str:
        return f"tool call or {self.kind.value}"

    def read(self, sample: Sample) -> str | None:
        if sample.tool_calls:
            return ToolCallAnswer().read(sample)
        return answer_of(Problem("chat", sample.prompt, self.kind), sample)

    def canonical(self, text: str) -> str | None:
        """The canonical form of a list of calls, or else of an answer."""
        return ToolCallAnswer().canonical(text) or " ".join(text.split()) or None
