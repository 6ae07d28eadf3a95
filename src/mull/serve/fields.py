"""The fields of a request that the gateway knows; all others are left to the model's server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
TopLogprobs = Annotated[int, Field(ge=0, le=20)]
TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Object = dict[str, Any]
Objects = list[dict[str, Any]]


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


class _Open(BaseModel):
    """An object with fields that the gateway knows, and others."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class StreamOptions(_Open):
    """What a stream ends with."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CommonFields(_Open):
    """The fields of all forms that go to a chat's server as they are."""

    user: str | None = None
    metadata: Object | None = None
    service_tier: str | None = None


class RequestFields(CommonFields):
    """The fields that all forms of a request have. A field that is `null` counts as left out."""

    model: str
    stream: bool | None = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    mull: Controls | None = None


class PassedFields(_Open):
    """The fields of a chat that go to its server as they are."""

    audio: Object | None = None
    frequency_penalty: Finite | None = None
    presence_penalty: Finite | None = None
    function_call: str | Object | None = None
    functions: Objects | None = None
    logit_bias: dict[str, Finite] | None = None
    modalities: list[str] | None = None
    moderation: Object | None = None
    parallel_tool_calls: bool | None = None
    prediction: Object | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Object | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    store: bool | None = None
    tool_choice: str | Object | None = None
    verbosity: str | None = None
    web_search_options: Object | None = None

    @property
    def rest(self) -> dict[str, Any]:
        """The fields that the gateway does not read."""
        passed = {*CommonFields.model_fields, *PassedFields.model_fields, *(self.__pydantic_extra__ or ())}
        return {name: getattr(self, name) for name in sorted(self.model_fields_set & passed)}


class ChatFields(PassedFields, RequestFields):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[Objects, Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    top_k: int | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    tools: Objects | None = None
    response_format: Object | None = None
    reasoning_effort: str | None = None

    @property
    def most_tokens(self) -> int | None:
        """The most tokens of an answer; the newer of the two names counts if both are given."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class CompletionFields(RequestFields):
    """The body of `/v1/completions`: a prompt, or several, each a text or token ids."""

    prompt: str | Annotated[list[str], Field(min_length=1)] | TokenIds | Annotated[list[TokenIds], Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    max_tokens: Count | None = None
    best_of: Count | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: TopLogprobs | None = None
    frequency_penalty: Finite | None = None
    presence_penalty: Finite | None = None
    logit_bias: dict[str, Finite] | None = None


class Reasoning(_Open):
    """How much a response thinks, and what is told of it."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextFormat(_Open):
    """The form of a response's text."""

    type: str
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    schema_: Object | None = Field(default=None, alias="schema")


class TextOptions(_Open):
    """What a response's text is like."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ResponseFields(RequestFields):
    """The body of `/v1/responses`."""

    input: str | Annotated[Objects, Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    top_logprobs: TopLogprobs | None = None
    tools: Objects | None = None
    tool_choice: str | Object | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    stream_options: StreamOptions | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    conversation: str | Object | None = None
    background: bool | None = None
    background_options: Object | None = None
    context_management: Objects | None = None
    image: Object | None = None
    include: list[str] | None = None
    max_tool_calls: Count | None = None
    moderation: Object | None = None
    prompt: Object | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Object | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    store: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None


class ThinkingOptions(_Open):
    """Whether a message's model thinks first, and for how many tokens at most."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Count | None = None
    display: str | None = None


class ToolChoice(_Open):
    """Which tools a message may or must use."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputConfig(_Open):
    """How much work a message takes, and the form of its text."""

    effort: str | None = None
    format: Object | None = None


class MessageFields(RequestFields):
    """The body of `/v1/messages`."""

    messages: Annotated[Objects, Field(min_length=1)]
    max_tokens: Count
    system: str | Objects | None = None
    stop_sequences: list[str] | None = None
    top_k: int | None = None
    tools: Objects | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingOptions | None = None
    output_config: OutputConfig | None = None
    cache_control: Object | None = None
    container: str | Object | None = None
    diagnostics: Object | None = None
    inference_geo: str | None = None
    speed: str | None = None
    user_profile_id: str | None = None
    workspace_id: str | None = None
