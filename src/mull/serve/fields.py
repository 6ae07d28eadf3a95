"""The fields of a request that the gateway reads; it checks these, and leaves all others to the model's server."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mull.serve.faults import ApiError, bad

T = TypeVar("T", bound=BaseModel)
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ALWAYS = ("model", "messages", "n", "stream", "stream_options", "mull", "seed", "max_tokens", "max_completion_tokens")
"""Fields of a chat that are the gateway's own to send."""
EXPECTED = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "missing": "is missing",
    "too_short": "must not be empty",
}
"""In words, what was expected where pydantic finds something else."""
EITHER = {
    "stop": "must be a text or a list of texts",
    "prompt": "must be a text",
    "input": "must be a text or a list of items",
    "system": "must be a text or a list of parts",
}
"""The same for fields that have several forms."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AskedBudget(_Strict):
    """Ceilings that a request sets itself; those of the gateway hold as well."""

    calls: Count | None = None
    tokens: Count | None = None
    usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    seconds: Positive | None = None


Returned = Literal["samples", "tally", "progress", "events", "trace"]


class Controls(_Strict):
    """The object `mull` of a request."""

    strategy: str | None = None
    verifier: str | None = None
    judge: str | None = None
    answer: str | None = None
    compare: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    budget: AskedBudget = AskedBudget()
    abstain: Annotated[float, Field(ge=0, le=1)] | None = None
    returns: list[Returned] = Field(default=[], alias="return")


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    include_usage: bool | None = None


class RequestFields(BaseModel):
    """The fields that all forms of a request have."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    model: str
    stream: bool | None = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    mull: Controls | None = None


class ChatFields(RequestFields):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    top_k: int | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """The most tokens of an answer; the newer of the two names counts if both are given."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def rest(self) -> dict[str, Any]:
        """The fields that the gateway does not read."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class CompletionFields(RequestFields):
    """The body of `/v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    max_tokens: Count | None = None


class ResponseFields(RequestFields):
    """The body of `/v1/responses`."""

    input: str | Annotated[list[dict[str, Any]], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None


class MessageFields(RequestFields):
    """The body of `/v1/messages`."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    max_tokens: Count
    system: str | list[dict[str, Any]] | None = None
    stop_sequences: list[str] | None = None
    top_k: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `ApiError`."""
    try:
        body = _decoder.decode(raw.decode())
    except UnicodeDecodeError:
        raise bad(None, "the body is not UTF-8 text") from None
    except RecursionError:
        raise bad(None, "the body is nested too deep") from None
    except ValueError as error:
        raise bad(None, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise bad(None, "the body must be a JSON object")
    return body


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_decoder = json.JSONDecoder(parse_constant=_refuse)


def checked(cls: type[T], body: dict[str, Any]) -> T:
    """The fields of a body. Raises `ApiError` with the path of the first that is wrong, and what was expected."""
    try:
        return cls.model_validate(body)
    except ValidationError as error:
        raise _told(error) from None


def _told(error: ValidationError) -> ApiError:
    # Of the alternatives of a field, the error that is deepest in it says most.
    first = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
    path = ""
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "str" and not part.startswith("list["):  # these name an alternative
            path += f".{part}" if path else str(part)
    if first["type"] == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in Controls.model_fields.items())
        is_top = path.count(".") == 1
        return bad(path, f"unknown field; mull takes {known}" if is_top else "unknown field", "unknown_parameter")
    if path in EITHER:
        return bad(path, EITHER[path])
    words = EXPECTED.get(first["type"], first["msg"].replace("Input should be", "must be"))
    return bad(path, words, "missing_required_parameter" if first["type"] == "missing" else None)
