"""What is known of each kind of server. What is not in the table, the probe finds out; it also has the last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Backend:
    """A kind of server: how it is told by, and what it does in its own way.

    `owned_by` is what its list of models says, `version_path` where it tells its version, and `version_field`
    under which name; `openapi` is a word in the title or a path in the description that it gives of itself at
    `/openapi.json`. `plain` are fields without which it would not draw from the model itself: they switch off its
    own filters. `continues` are the ways in which a partial reply may be continued, the best first, `keeps_stop`
    the fields that leave a stop string in the text, `rejects` fields that it does not take, and `limits` the ways in
    which a thought's length may be limited, and `biases` whether it names tokens by `ids`, which it tells at
    `/tokenize`, or by `texts`.
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


CONTINUES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "flag": ({"continue_final_message": True, "add_generation_prompt": False}, {}),
    "trailing": ({}, {}),
    "prefix": ({}, {"prefix": True}),
}
"""A way to continue a partial reply in a chat: fields of the request, and fields of its last message."""


def thinking_fields(way: str, n: int) -> dict[str, Any]:
    """The fields of a request that limit its thought to `n` tokens."""
    ways: dict[str, dict[str, Any]] = {
        "thinking_token_budget": {"thinking_token_budget": n},  # vLLM, where it was started with --reasoning-config
        "thinking_budget_tokens": {"thinking_budget_tokens": n},  # llama.cpp
        "thinking_budget": {"enable_thinking": True, "thinking_budget": n},  # Qwen's own service, and others like it
        "chat_template_kwargs": {"chat_template_kwargs": {"thinking_budget": n}},  # SGLang, where the template minds it
        "thinking": {"thinking": {"type": "enabled", "budget_tokens": n}},  # as Anthropic's
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
        continues=("template", "trailing"),
        limits=("thinking_budget_tokens",),
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
        # Left alone it takes the likeliest token, whatever the temperature, where the model's own settings say so.
        plain={"generation_config": '{"do_sample": true, "top_k": 0}'},
        continues=("template",),
        rejects=frozenset({"n", "logprobs", "top_logprobs", "stream_options", "top_k"}),
    ),
    Backend("openai", ("openai", "system"), continues=()),
    UNKNOWN,
)
"""In the order in which they are asked for their version, where nothing tells which one a server is."""


def named(name: str) -> Backend:
    """The backend of that name; `UNKNOWN` where there is none."""
    return next((backend for backend in BACKENDS if backend.name == name), UNKNOWN)
