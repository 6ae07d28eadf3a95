"""Every field of every form of request: a value of another JSON type gives 400, with its path and what was expected."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from fault_server import FaultServer

Make = Callable[..., Any]
CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
KINDS: dict[str, Any] = {"bool": True, "number": 0.5, "text": "odd", "list": [], "object": {}}
"""A value of each JSON type; a whole number is a number."""
WORDS = {"bool": "true or false", "whole": "number", "number": "number", "text": "text", "list": "list"}
"""What a message says of each."""
NAMED = {"truncation": "'auto' or 'disabled'"}
"""The same for fields with a few values."""
ALL = {
    "model": "text", "stream": "bool", "seed": "whole", "temperature": "number", "top_p": "number", "mull": "object",
    "user": "text", "metadata": "object", "service_tier": "text",
}  # fmt: skip
OPENAI = {"stream_options": "object", "top_logprobs": "whole", "tools": "list", "parallel_tool_calls": "bool"}
CACHE = {
    "prompt_cache_key": "text", "prompt_cache_options": "object", "prompt_cache_retention": "text",
    "safety_identifier": "text", "store": "bool", "moderation": "object", "tool_choice": "text object",
}  # fmt: skip
SAMPLED = {
    "n": "whole", "stop": "text list", "max_tokens": "whole", "frequency_penalty": "number",
    "presence_penalty": "number", "logit_bias": "object",
}  # fmt: skip
FIELDS: dict[str, dict[str, str]] = {
    CHAT: {
        **ALL, **OPENAI, **CACHE, **SAMPLED, "messages": "list", "top_k": "whole", "max_completion_tokens": "whole",
        "logprobs": "bool", "response_format": "object", "reasoning_effort": "text", "audio": "object",
        "function_call": "text object", "functions": "list", "modalities": "list", "prediction": "object",
        "verbosity": "text", "web_search_options": "object",
    },
    COMPLETIONS: {
        **ALL, **SAMPLED, "prompt": "text list", "stream_options": "object", "best_of": "whole", "echo": "bool",
        "suffix": "text", "logprobs": "whole",
    },
    RESPONSES: {
        **ALL, **OPENAI, **CACHE, "input": "text list", "instructions": "text", "max_output_tokens": "whole",
        "text": "object", "reasoning": "object", "previous_response_id": "text", "conversation": "text object",
        "background": "bool", "background_options": "object", "context_management": "list", "image": "object",
        "include": "list", "max_tool_calls": "whole", "prompt": "object", "truncation": "text",
    },
    MESSAGES: {
        **ALL, "messages": "list", "max_tokens": "whole", "system": "text list", "stop_sequences": "list",
        "top_k": "whole", "tools": "list", "tool_choice": "object", "thinking": "object", "output_config": "object",
        "cache_control": "object", "container": "text object", "diagnostics": "object", "inference_geo": "text",
        "speed": "text", "user_profile_id": "text", "workspace_id": "text",
    },
}  # fmt: skip
"""The fields of the public references of each API, and the gateway's own, with the JSON types that each may have."""
QUESTION = "a:7;b:a*6;b?"
TURN = {"role": "user", "content": QUESTION}
BASE: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [TURN]},
    COMPLETIONS: {"prompt": QUESTION},
    RESPONSES: {"input": QUESTION},
    MESSAGES: {"messages": [TURN], "max_tokens": 5},
}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"type": "object"}
MULL = {"strategy": "single", "budget": {"calls": 3, "tokens": 60, "seconds": 9}, "return": ["tally"], "abstain": 0.1}
DEEP: dict[str, dict[str, Any]] = {
    CHAT: {
        "messages": [
            {"role": "user", "content": QUESTION, "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": "no"},
            {"role": "tool", "content": "1", "tool_call_id": "c"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "b?"},
                    {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
                    {"type": "file", "file": {"filename": "a", "file_data": "data:,"}},
                ],
            },
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {}, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "stream_options": {"include_usage": True},
        "logit_bias": {"5": 1.5},
        "metadata": {"a": "b"},
        "stop": ["z"],
        "mull": MULL,
    },
    COMPLETIONS: {"prompt": [QUESTION], "logit_bias": {"5": 1.5}, "mull": MULL},
    RESPONSES: {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "b?"}]},
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:,", "detail": "low"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    MESSAGES: {
        "max_tokens": 5,
        "system": [{"type": "text", "text": "x"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "b?"}]},
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
                    {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "2", "is_error": True}],
            },
        ],
        "tools": [{"name": "f", "description": "d", "input_schema": {}}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        "stop_sequences": ["z"],
    },
}  # fmt: skip
SEVERAL = {"content": "text list", "output": "text list", "schema": "object bool"}
"""Fields inside others that may have several types."""


def kind_of(value: Any) -> str:
    for kind, types in (("bool", bool), ("number", (int, float)), ("text", str), ("list", list)):
        if isinstance(value, types):
            return kind
    return "object"


def places(value: Any, path: str = "") -> Iterator[tuple[str, list[Any], Any]]:
    """Every value inside another: its path, the keys that lead there, and the value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        at = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        yield at, [key], one
        yield from ((deeper, [key, *keys], two) for deeper, keys, two in places(one, at))


def with_value(body: dict[str, Any], keys: list[Any], value: Any) -> dict[str, Any]:
    told = copy.deepcopy(body)
    at: Any = told
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    return told


async def refusal(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[int, Any, str]:
    """Status, path and message of an error; Anthropic's form has the path in its message alone."""
    async with session.post(url, json=body) as response:
        told = json.loads(await response.text())
        error = told.get("error") or {}
        message = error.get("message", "")
        return response.status, error.get("param", message.partition(": ")[0]), message


@pytest.mark.parametrize("path", list(FIELDS))
async def test_a_field_of_another_type_is_refused_by_its_path(path: str, gateway: Make) -> None:
    """For the models built in, their presets, and models that are passed through, whose server hears of none."""
    async with FaultServer() as upstream, aiohttp.ClientSession() as session:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n[serve]\nmodels = ["nano", "words"]\n'
        async with gateway(text + '[presets.vote]\nstrategy = "majority:n=2"\n') as served:
            for i, (name, kinds) in enumerate(FIELDS[path].items()):
                right = set(kinds.replace("whole", "").split())
                for kind, value in KINDS.items():
                    if kind in right:
                        continue
                    model = ("nano", "nano@vote", "words", "words@vote")[i % 4]
                    told = await refusal(session, served.url + path, {"model": model, **BASE[path], name: value})
                    assert told[:2] == (400, name), (name, value, told)
                    assert told[2].startswith(f"{name}: must "), (name, value, told)
                    if kinds in WORDS:
                        assert NAMED.get(name, WORDS[kinds]) in told[2], (name, value, told)
        assert not upstream.bodies


@pytest.mark.parametrize("path", list(DEEP))
async def test_a_value_inside_a_field_is_refused_by_its_path(path: str, gateway: Make) -> None:
    """Each value of a request that uses everything, replaced by one of each other type."""
    presets = '[presets.vote]\nstrategy = "majority:n=2"\n'
    async with aiohttp.ClientSession() as session, gateway(presets, "nano") as served:
        whole = {"model": "nano@vote", **DEEP[path]}
        for at, keys, value in places(whole):
            right = {kind_of(value), *SEVERAL.get(str(keys[-1]), "").split()}
            if value is None or len(keys) == 1 or at.startswith("mull.return"):
                continue
            for kind, odd in KINDS.items():
                if kind in right:
                    continue
                told = await refusal(session, served.url + path, with_value(whole, keys, odd))
                assert told[:2] == (400, at), (at, odd, told)
