"""The schema of `mull.toml` as pydantic models; in its own module, because pydantic is slow to import."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, field_validator

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ModelTable(BaseModel):
    """`[models.NAME]`: one model, where it is served and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: StrictStr | list[StrictStr] = Field(description="One endpoint or several, like http://localhost:8000/v1.")
    model: StrictStr | None = Field(None, description="What the server calls it. [default: NAME, or its only one]")
    api: Literal["chat", "completions", "anthropic", "responses"] = Field(
        "chat",
        description="`completions` for models without a chat template; `anthropic` for the Messages API, "
        "`responses` for OpenAI's Responses.",
    )
    api_key_env: StrictStr | None = Field(None, description="The environment variable that holds the key.")
    usd_per_mtok_in: Dollars | None = Field(None, description="Dollars for a million prompt tokens.")
    usd_per_mtok_out: Dollars | None = Field(None, description="Dollars for a million generated tokens.")
    usd_per_mtok_cached: Dollars | None = Field(None, description="The same for prompt tokens that a cache served.")
    active_params: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Parameters that work on a token: 2 FLOPs each, attention left out."
    )
    architecture: StrictStr | dict[str, Any] | None = Field(
        None, description="For exact FLOPs instead: a `config.json`, or a table with its keys."
    )
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = Field(64, description="Requests at once to an endpoint.")
    retries: Annotated[int, Field(ge=0, le=100)] = Field(4, description="Attempts at a draw after one that failed.")
    patience: Seconds = Field(300.0, description="Seconds to wait while a server refuses (429, 503, no connection).")
    timeout: Seconds = Field(600.0, description="Seconds for one request, or until a stream begins.")
    connect_timeout: Seconds = Field(10.0, description="Seconds to reach the server.")
    idle_timeout: Seconds = Field(120.0, description="Seconds between two pieces of a stream.")
    backoff: Annotated[float, Field(ge=0, le=3600)] = Field(0.5, description="Seconds of the first wait; it doubles.")
    use_n: StrictBool = Field(True, description="Let draws share a request where the server can.")
    most_n: Annotated[int, Field(ge=1, le=128)] = Field(16, description="Draws that share a request at most.")
    stream: StrictBool | None = Field(
        None, description="[default: to stop a reply early, or keep finished draws at a deadline]"
    )
    chat_template: StrictStr | None = Field(
        None,
        description="A file: tokenizer_config.json (or chat_template.jinja beside it), or Jinja.",
    )
    bos_token: StrictStr | None = Field(None, description="For a template in Jinja that names it.")
    eos_token: StrictStr | None = Field(None, description="The same.")
    effort: Annotated[str, Field(strict=True, min_length=1)] | None = Field(
        None, description="Reasoning effort of every request, as `none`, `low`, `medium`, `high` or `max`."
    )
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Sent with every request.")
    version: StrictStr | None = Field(None, description="Tells draws apart in the bank, as for another quantization.")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        # The value may be the key itself, so the message does not repeat it.
        if value is not None and not value.replace("_", "a").isidentifier():
            raise ValueError("the name of an environment variable is needed here, not the key itself")
        if value is not None and value.startswith(("sk-", "sk_")):
            raise ValueError("the name of an environment variable is needed here, not the key itself")
        return value

    @field_validator("extra_body")
    @classmethod
    def _leaves_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(value.keys() & {"model", "messages", "input", "prompt", "n", "seed", "stream", "stream_options"})
        if taken:
            raise ValueError(f"{taken[0]} is mull's own to set")
        return value


Ceiling = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Ceilings(BaseModel):
    """What one request to the gateway may spend at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: Ceiling | None = Field(None, description="Most draws and judge calls of a request.")
    tokens: Ceiling | None = Field(None, description="Most generated tokens of a request.")
    usd: Dollars | None = Field(None, description="Most dollars of a request.")
    seconds: Seconds | None = Field(None, description="Most seconds of a request; then it gets the best so far.")


class PresetTable(Ceilings):
    """`[presets.NAME]`: a way to answer, which `mull serve` offers as the model `MODEL@NAME`."""

    strategy: StrictStr = Field(description="As after --strategy, like majority:n=16.")
    models: list[StrictStr] | None = Field(None, description="The models that it is offered for. [default: all]")
    verifier: StrictStr | None = Field(None, description="A spec, or a name from [verifiers].")
    judge: StrictStr | None = Field(None, description="A spec, or a name from [judges].")
    answer: StrictStr | None = Field(None, description="How answers are read, like number, json or regex:PATTERN.")
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="Where the request has none. [default: 1]"
    )
    max_tokens: Ceiling | None = Field(None, description="Most tokens of a draw, where the request says nothing.")
    abstain: Share | None = Field(None, description="Below this confidence no answer is given.")
    calibration: StrictStr | None = Field(None, description="A file of `mull train confidence`.")


class KeyTable(Ceilings):
    """`[serve.keys.NAME]`: a key of the gateway; `mull serve --new-key NAME` makes one."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(description="The hash of the key.")
    models: list[StrictStr] | None = Field(None, description="The models and presets that it may use. [default: all]")
    tokens_a_day: Ceiling | None = Field(None, description="Most generated tokens in a day (UTC).")
    usd_a_day: Dollars | None = Field(None, description="Most dollars in a day (UTC).")
    requests_a_minute: Ceiling | None = Field(None, description="Most requests in a minute.")


class ServeTable(Ceilings):
    """`[serve]`: what `mull serve` offers, and the most that any request may spend."""

    models: list[StrictStr] | None = Field(None, description="The models offered. [default: all of this file]")
    calls: Ceiling = Field(256, description="Most draws and judge calls of a request.")
    tokens: Ceiling = Field(1_000_000, description="Most generated tokens of a request.")
    seconds: Seconds = Field(600.0, description="Most seconds of a request; then it gets the best so far.")
    max_tokens: Ceiling = Field(4096, description="Most tokens of a draw, where neither request nor preset says.")
    patience: Annotated[float, Field(ge=0, le=3600)] = Field(
        5.0, description="Seconds to keep asking a server that refuses or fails, before the client is told so."
    )
    body_bytes: Ceiling = Field(16 << 20, description="Most bytes of a request's body.")
    runs: Annotated[int, Field(ge=0, le=1000)] = Field(20, description="Past runs that the page keeps for each key.")
    effort: dict[str, StrictStr] = Field(
        default_factory=dict, description="The preset that stands for each reasoning_effort; others pass through."
    )
    keys: dict[str, KeyTable] = Field(default_factory=dict, description="Who may use the gateway. [default: anyone]")


class File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, ModelTable] = Field(default_factory=dict)
    verifiers: dict[str, StrictStr] = Field(default_factory=dict, description="Names for specs of verifiers.")
    judges: dict[str, StrictStr] = Field(default_factory=dict, description="Names for specs of judges.")
    presets: dict[str, PresetTable] = Field(default_factory=dict, description="Ways to answer, for the gateway.")
    serve: ServeTable = Field(default_factory=lambda: ServeTable.model_validate({}), description="The gateway.")


FIELDS = tuple(ModelTable.model_fields)
TABLES = tuple(File.model_fields)
KINDS = {
    "models": ("[models.NAME]", FIELDS),
    "presets": ("[presets.NAME]", tuple(PresetTable.model_fields)),
    "serve": ("[serve]", tuple(ServeTable.model_fields)),
    "keys": ("[serve.keys.NAME]", tuple(KeyTable.model_fields)),
}
"""How each kind of table is written, and its settings."""
