"""Answers of replies in the forms of a chat: JSON that fits a schema, and calls of tools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from mull.errors import MissingExtraError, UsageError
from mull.replies import visible
from mull.replies.answers import answer_of
from mull.replies.kinds import JsonAnswer, ToolCallAnswer
from mull.serve.schema_checks import CHECKS, CheckTime
from mull.serve.schema_limits import QUICK, steps_of, validator_of
from mull.types import AnswerKind, Finish, Kind, Problem, Sample


class _Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...


@dataclass(frozen=True)
class JsonReply:
    """A reply that is JSON as a whole, an object unless a schema says otherwise; others do not vote.

    Replies are compared by value (canonical JSON). `schema` is the JSON text of the schema. What may take long to check
    is checked in another process, all replies of a request within a second of its processor's time: a reply that is not
    checked by then counts as one that does not fit.
    """

    is_slow: ClassVar[bool] = True
    schema: str | None = None
    _validator: _Validator | None = field(default=None, compare=False, repr=False)
    _steps: int | None = field(default=None, compare=False, repr=False)
    """Steps of a check for each value, at most; `None`: not known."""
    _known: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)
    """Whether values fit, of those that took long to check."""
    _allowance: CheckTime = field(default_factory=lambda: CHECKS.allowance(), compare=False, repr=False)

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
            n_steps = steps_of(schema)
        except RecursionError:
            raise UsageError("has references that lead too deep") from None
        try:
            validator = validator_of(schema)
        except (rs.ValidationError, rs.ReferencingError, ValueError) as error:
            raise UsageError(f"is not a schema that can be checked: {str(error)[:300]}") from error
        return cls(json.dumps(schema, sort_keys=True), validator, n_steps)

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
        return told if self._fits(told, value) else None

    def is_quick(self, text: str) -> bool:
        """Whether the check of a text of this length takes some milliseconds at most: it has no more values."""
        return self.schema is None or (self._steps is not None and self._steps * len(text) <= QUICK)

    def _fits(self, told: str, value: Any) -> bool:
        assert self._validator is not None
        assert self.schema is not None
        if self.is_quick(told):
            return self._validator.is_valid(value)
        if told not in self._known:
            self._known[told] = CHECKS.fits(self.schema, told, self._allowance)
        return self._known[told]


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
