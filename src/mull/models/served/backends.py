"""Known properties of each kind of server. The probe finds out the rest, and overrides this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Backend:
    """A kind of server: how to recognise it, and how it differs from others.

    `owned_by` are values of `owned_by` in its model list. `version_path` is the page that gives its version, under
    `version_field`. `openapi` is a word in the title, or a path, of its `/openapi.json`. `plain` are request fields
    that switch off its default sampling filters, so that it draws from the model itself. `continues` are ways to
    continue a partial reply, the best first. `keeps_stop` are fields that leave a stop string in the text. `rejects`
    are fields that it does not accept. `limits` are ways to limit reasoning tokens. `biases` is whether `logit_bias`
    names tokens by `ids`, which `/tokenize` reports, or by `texts`. `most_stops` is how many stop strings it accepts
    (`None`: any number). `tops_hold_chosen`: if the chosen token is not among the likeliest ones that a chat asks for,
    it takes the place of the last of them.
    """

    name: str
    owned_by: tuple[str, ...] = ()
    version_path: str | None = None
    version_field: str = "version"
    openapi: str | None = None
    plain: Mapping[str, Any] = field(default_factory=dict)
    continues: tuple[str, ...] = ()
    keeps_stop: Mapping[str, Any] = field(default_factory=dict)
    rejects: frozenset[str] = frozenset()
    limits: tuple[str, ...] = ()
    biases: str = "ids"
    most_stops: int | None = 4
    tops_hold_chosen: bool = False


CONTINUES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "flag": ({"continue_final_message": True, "add_generation_prompt": False}, {}),
    "trailing": ({}, {}),
    "prefix": ({}, {"prefix": True}),
}
"""Ways to continue a partial reply in a chat: fields of the request, and fields of its last message."""


MOST_TOPS = 20
"""How many likeliest tokens a chat returns at most."""
LACKS = {
    "anthropic": frozenset({"n", "seed", "logit_bias", "logprobs", "stream_options"}),
    "responses": frozenset({"n", "seed", "logit_bias", "stream_options"}),
}
"""Fields of a chat that other APIs do not have."""


def thinking_fields(way: str, n: int) -> dict[str, Any]:
    """The request fields that limit thinking to `n` tokens."""
    ways: dict[str, dict[str, Any]] = {
        "thinking_token_budget": {"thinking_token_budget": n},  # vLLM started with --reasoning-config
        "thinking_budget_tokens": {"thinking_budget_tokens": n},  # llama.cpp
        "thinking_budget": {"enable_thinking": True, "thinking_budget": n},  # Qwen's own service and similar ones
        "chat_template_kwargs": {"chat_template_kwargs": {"thinking_budget": n}},  # SGLang, if the template supports it
        "thinking": {"thinking": {"type": "enabled", "budget_tokens": n}},  # Anthropic, and others as Anthropic's
        "reasoning": {"reasoning": {"max_tokens": n}},  # OpenRouter
    }
    return ways[way]


UNKNOWN = Backend(
    "unknown",
    continues=("flag", "prefix", "trailing", "template"),
    limits=("thinking_budget", "thinking", "reasoning", "thinking_token_budget", "thinking_budget_tokens"),
)

BACKENDS = (
    Backend(
        "vllm",
        ("vllm",),
        "/version",
        plain={"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        continues=("flag", "template"),
        keeps_stop={"include_stop_str_in_output": True},
        limits=("thinking_token_budget",),
        tops_hold_chosen=True,
    ),
    Backend(
        "sglang",
        ("sglang",),
        "/server_info",
        plain={"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        continues=("flag", "template"),
        keeps_stop={"no_stop_trim": True},
        limits=("chat_template_kwargs",),
    ),
    Backend(
        "llama.cpp",
        ("llamacpp",),
        "/props",
        "build_info",
        plain={"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
        continues=("template", "flag", "trailing"),
        limits=("thinking_budget_tokens",),
        most_stops=None,
    ),
    Backend(
        "ollama",
        ("library",),
        "/api/version",
        plain={},
        continues=("template", "trailing"),
        rejects=frozenset({"n"}),
    ),
    Backend("lm-studio", ("organization_owner",), continues=("trailing", "template")),
    Backend(
        "llama-cpp-python",
        openapi="llama.cpp",
        plain={"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
        continues=("template", "trailing"),
        rejects=frozenset({"n"}),
        biases="texts",
    ),
    Backend(
        "transformers",
        openapi="/load_model",
        # By default it follows the model's own settings, which may mean greedy decoding at any temperature.
        plain={"generation_config": '{"do_sample": true, "top_k": 0}'},
        continues=("template",),
        rejects=frozenset({"n", "logprobs", "top_logprobs", "stream_options", "top_k"}),
    ),
    Backend("openai", ("openai", "system"), continues=()),
    Backend("anthropic", limits=("thinking",), continues=("trailing",)),
    UNKNOWN,
)
"""In the order in which their version pages are tried if the kind of server is unknown."""


def named(name: str) -> Backend:
    """The backend of that name; `UNKNOWN` if there is none."""
    return next((backend for backend in BACKENDS if backend.name == name), UNKNOWN)
