"""What a request is told that can be read and not followed: the field by its path, in words of the API."""

import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fault_server import FaultServer
from mull.spec import STRATEGIES

Make = Callable[..., Any]
QUESTION = "a:7;b:a*6;b?"
CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": QUESTION}]},
    COMPLETIONS: {"prompt": QUESTION},
    RESPONSES: {"input": QUESTION},
    MESSAGES: {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 50},
}


async def post(url: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if isinstance(body, bytes) else None
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + path, data=data, json=None if data is not None else body, headers=headers) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("raw", "param", "words"),
    [
        (b'{"model":"nano","model":"nano@vote","messages":[]}', "model", "is given twice"),
        (b'{"model":"nano","mull":{"budget":{"calls":1,"calls":9}}}', "mull.budget.calls", "is given twice"),
        (b'{"model":"nano","messages":[{"role":"user","content":"x","role":"user"}]}', "messages[0].role", "twice"),
        (b'{"model":"nano","x":[1,{"y":1e999}]}', "x[1].y", "must be a smaller number than 1e999"),
        (b'{"model":"nano","seed":' + b"9" * 5000 + b"}", "seed", "must be a smaller number than 999"),
        (b'{"model":"nano","top_p":-Infinity}', "top_p", "-Infinity is none"),
    ],
)
async def test_json_that_readers_would_take_differently(gateway: Make, raw: bytes, param: str, words: str) -> None:
    async with gateway("", "nano") as served:
        for path in BODIES:
            status, told = await post(served.url, path, raw)
            assert status == 400
            assert told["error"]["message"].startswith(f"{param}: ")
            assert words in told["error"]["message"]
            assert told["error"].get("param", param) == param


async def test_fields_that_nobody_knows_reach_the_server(gateway: Make) -> None:
    odd = {"min_p": 0.1, "guided": {"any": [1, None, "x"]}}
    async with FaultServer() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n'
        async with gateway(text, "words") as served:
            for path, body in BODIES.items():
                status, _ = await post(served.url, path, {"model": "words", **body, **odd})
                assert status == 200
                assert {name: upstream.bodies[-1].get(name) for name in odd} == odd


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (CHAT, {"tool_choice": "required"}, "tool_choice"),
        (CHAT, {"logit_bias": {"5": 1}}, "logit_bias"),
        (CHAT, {"frequency_penalty": 0.5}, "frequency_penalty"),
        (CHAT, {"min_p": 0.5}, "min_p"),
        (CHAT, {"reasoning_effort": "high"}, "reasoning_effort"),
        (CHAT, {"response_format": {"type": "json_object"}}, "response_format"),
        (CHAT, {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        (CHAT, {"messages": [{"role": "user", "content": ""}]}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages"),
        (CHAT, {"mull": {"strategy": "force:at_most=5"}, "max_tokens": 3}, "max_tokens"),
        (CHAT, {"mull": {"strategy": "majority:n=2,n=3"}}, "mull.strategy"),
        (CHAT, {"mull": {"strategy": "beam"}}, "mull.verifier"),
        (CHAT, {"mull": {"strategy": "beam", "verifier": "nano-orm"}}, "mull.verifier"),
        (CHAT, {"mull": {"strategy": "tournament"}}, "mull.judge"),
        (CHAT, {"mull": {"strategy": "best:n=2", "verifier": "tests"}}, "mull.verifier"),
        (CHAT, {"mull": {"strategy": "best:n=2", "verifier": "genrm"}}, "mull.verifier"),
        (CHAT, {"mull": {"strategy": "best:n=2", "judge": "pairwise"}}, "mull.judge"),
        (COMPLETIONS, {"best_of": 3}, "best_of"),
        (COMPLETIONS, {"echo": True}, "echo"),
        (COMPLETIONS, {"prompt": ""}, "prompt"),
        (COMPLETIONS, {"prompt": "?!"}, "prompt"),
        (RESPONSES, {"text": {"format": {"type": "json_object"}}}, "text.format"),
        (RESPONSES, {"reasoning": {"effort": "high"}}, "reasoning.effort"),
        (RESPONSES, {"input": [{"role": "user", "content": "Ü"}]}, "input"),
        (RESPONSES, {"mull": {"strategy": "force:at_most=5"}, "max_output_tokens": 3}, "max_output_tokens"),
        (RESPONSES, {"prompt": {"id": "p"}}, "prompt"),
        (MESSAGES, {"output_config": {"effort": "high"}}, "output_config.effort"),
        (MESSAGES, {"system": "Be brief."}, "messages"),
        (MESSAGES, {"mull": {"strategy": "force:at_most=5"}, "max_tokens": 3}, "max_tokens"),
    ],
)
async def test_what_a_built_in_model_cannot_do_is_told_by_its_path(
    gateway: Make, path: str, fields: dict[str, Any], param: str
) -> None:
    async with gateway("", "nano") as served:
        status, told = await post(served.url, path, {"model": "nano", **BODIES[path], **fields})
    error = told["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error.get("param", param) == param
    assert error["message"].startswith(f"{param}: ")
    assert "--" not in error["message"]


async def test_fields_that_change_nothing_are_taken(gateway: Make) -> None:
    neutral: dict[str, dict[str, Any]] = {
        CHAT: {
            "frequency_penalty": 0,
            "logit_bias": {},
            "tool_choice": "auto",
            "tools": [],
            "user": "ann",
            "store": True,
        },
        COMPLETIONS: {"echo": False, "best_of": 1, "suffix": None, "presence_penalty": 0.0},
        RESPONSES: {"store": True, "truncation": "auto", "include": [], "text": {"format": {"type": "text"}}},
        MESSAGES: {"metadata": {"user_id": "ann"}, "thinking": {"type": "disabled"}, "service_tier": "auto"},
    }
    async with gateway("", "nano") as served:
        for path, fields in neutral.items():
            status, told = await post(served.url, path, {"model": "nano", **BODIES[path], **fields})
            assert status == 200, told


async def test_no_error_speaks_of_the_command_line(gateway: Make) -> None:
    """Whatever strategy is asked for, with what it does not get; the verifiers that are named can be used."""
    async with gateway("", "nano") as served:
        offered: set[str] = set()
        for name in [
            *STRATEGIES,
            "revise:feedback=score",
            "revise:feedback=tests",
            "auto:policy=x",
            "nothing",
            "best:m",
        ]:
            mull = {"strategy": name, "budget": {"calls": 1, "tokens": 40}}
            status, told = await post(
                served.url, CHAT, {"model": "nano", **BODIES[CHAT], "max_tokens": 9, "mull": mull}
            )
            if status == 200:
                continue
            error = told["error"]
            assert status == 400, error
            assert error["param"], error
            assert not re.search(r"--\w|verifier=|judge=|`mull |mull\.toml", error["message"]), error
            if "needs one of " in error["message"] and error["param"] == "mull.verifier":
                offered |= set(error["message"].rpartition("needs one of ")[2].split(", "))
        assert offered == {"nano-prm", "nano-orm"}
        for verifier in offered:
            mull = {"strategy": "best:n=2", "verifier": verifier}
            status, told = await post(served.url, CHAT, {"model": "nano", **BODIES[CHAT], "mull": mull})
            assert status == 200, told


async def test_a_model_without_parts_is_told_of_in_words_of_the_api(gateway: Make) -> None:
    """What would mend it is a setting of the operator, and is not told."""
    image = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    async with FaultServer() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\napi = "completions"\n'
        async with gateway(text, "words") as served:
            asked = {"model": "words@majority-16", "messages": [{"role": "user", "content": image}]}
            status, told = await post(served.url, CHAT, asked)
    assert (status, told["error"]["param"]) == (400, "messages")
    assert told["error"]["message"].endswith("accepts only text, because it uses the completions API")


async def test_output_config_of_messages_reaches_the_server(gateway: Make) -> None:
    schema = {"type": "object", "properties": {}}
    config = {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    async with FaultServer() as upstream:
        async with gateway(f'[models.words]\nbase_url = "{upstream.url}"\n', "words") as served:
            await post(served.url, MESSAGES, {"model": "words", **BODIES[MESSAGES], "output_config": config})
        sent = upstream.bodies[-1]
    assert sent["reasoning_effort"] == "low"
    assert sent["response_format"] == {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
