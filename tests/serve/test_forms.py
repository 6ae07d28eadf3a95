"""The other forms of a chat: what each client reads is what the chat said, whole and streamed."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest

from fault_server import FaultServer

Make = Callable[..., Any]
QUESTION = "a:7;b:a*6;b?"
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\n'
CALLED = (("add", '{"b": 2, "a": 1}'), ("sub", "{}"))


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}\n{VOTE}'


async def post(url: str, body: dict[str, Any]) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, await response.text()


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; the name of each is its type."""
    told = []
    for name, data in re.findall(r"event: (.+)\ndata: (.+)\n\n", text):
        told.append(json.loads(data))
        assert told[-1]["type"] == name
    return told


async def test_completions_of_a_preset(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served:
        chat = await served.ask("nano@vote", seed=3)
        whole = await served.client.completions.create(model="nano@vote", prompt=QUESTION, seed=3)
        assert (whole.object, whole.choices[0].text) == ("text_completion", chat.choices[0].message.content)
        assert whole.usage == chat.usage
        stream = await served.client.completions.create(model="nano@vote", prompt=[QUESTION], seed=3, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == whole.choices[0].text
        assert chunks[-1].choices[0].finish_reason == "stop"
        with pytest.raises(openai.BadRequestError, match="prompt: must be a text"):
            await served.client.completions.create(model="nano@vote", prompt=[1, 2])
        for prompt in (["x", "y"], [[1, 2]], [[1], [2]]):
            with pytest.raises(openai.BadRequestError, match=r"prompt: must be (a|one) text, not"):
                await served.client.completions.create(model="nano@vote", prompt=prompt)
        for name, value in {"echo": True, "suffix": "x", "best_of": 2}.items():
            with pytest.raises(openai.BadRequestError, match=f"{name}: "):
                await served.client.completions.create(model="nano@vote", prompt=QUESTION, **{name: value})
        nothing = {"echo": False, "suffix": "", "best_of": 1}
        same = await served.client.completions.create(model="nano@vote", prompt=QUESTION, seed=3, **nothing)
        assert same.choices[0].text == whole.choices[0].text


async def test_completions_are_passed_on_as_such(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        reply = await served.client.completions.create(model="words", prompt="go on", seed=2, logprobs=1, echo=True)
        sent = upstream.bodies[-1]
        asked = {"prompt": "go on", "seed": 2, "logprobs": 1, "echo": True}
        assert sent == {"model": "words", "max_tokens": 4096, **asked}
        assert reply.choices[0].logprobs.token_logprobs[0] == -0.25
        stream = await served.client.completions.create(model="words", prompt="go on", seed=2, stream=True)
        texts = [choice.text async for chunk in stream for choice in chunk.choices]
        assert "".join(texts) == reply.choices[0].text


async def test_responses_whole_and_streamed(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served:
        chat = await served.ask("nano@vote", seed=3)
        response = await served.client.responses.create(model="nano@vote", input=QUESTION, extra_body={"seed": 3})
        assert (response.output_text, response.status) == (chat.choices[0].message.content, "completed")
        assert response.usage.output_tokens == chat.usage.completion_tokens
        assert response.mull["answers"][0]["chosen_by"] == "vote"
        async with served.client.responses.stream(
            model="nano@vote", input=[{"role": "user", "content": QUESTION}], extra_body={"seed": 3}
        ) as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert (final.output_text, final.usage) == (response.output_text, response.usage)
        assert kinds == [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
            "response.output_text.delta", "response.output_text.done", "response.content_part.done",
            "response.output_item.done", "response.completed",
        ]  # fmt: skip
        cut = await served.client.responses.create(model="nano", input=QUESTION, max_output_tokens=3)
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        for wrong, words in (
            ({"previous_response_id": "resp_1"}, "previous_response_id: nothing is stored here"),
            ({"background": True}, "background: a request is answered"),
            ({"input": []}, "input: must be a text or a list"),
            ({"input": [{"type": "computer_call"}]}, r"input\[0\].type: must be one of message"),
            ({"tools": [{"type": "web_search"}]}, r"tools\[0\].type: must be \"function\""),
        ):
            with pytest.raises(openai.BadRequestError, match=words):
                await served.client.responses.create(**{"model": "nano", "input": QUESTION, **wrong})


async def test_a_refusal_of_a_response_is_a_part_like_any_other(gateway: Make) -> None:
    preset = '[presets.shy]\nstrategy = "single"\nabstain = 0.5'
    async with gateway(preset, "nano") as served:
        async with served.client.responses.stream(model="nano@shy", input=QUESTION) as stream:
            told = [event async for event in stream]
        last = (await stream.get_final_response()).output[0].content[0]
        assert last.type == "refusal"
        assert [event.type for event in told][3:-2] == [
            "response.content_part.added", "response.refusal.delta", "response.refusal.done",
            "response.content_part.done",
        ]  # fmt: skip
        assert told[3].part.refusal == ""
        assert told[4].delta == told[5].refusal == told[6].part.refusal == last.refusal


async def test_responses_carry_conversations_tools_and_forms(gateway: Make) -> None:
    tool = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": True}
    image = {"type": "input_image", "image_url": "data:,x"}
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "See"}, image]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "3"},
    ]  # fmt: skip
    form = {"type": "json_schema", "name": "it", "schema": {"type": "object"}, "strict": True}
    async with FaultServer(calls=CALLED) as upstream, gateway(table(upstream)) as served:
        asked = {"model": "words", "input": items, "instructions": "Be brief.", "tools": [tool]}
        asked |= {"text": {"format": form}, "reasoning": {"effort": "low"}}
        response = await served.client.responses.create(**asked)
        sent = upstream.bodies[-1]
        assert sent["messages"] == [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:,x"}}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
        ]
        function = {"name": "add", "parameters": {"type": "object"}, "strict": True}
        assert sent["tools"] == [{"type": "function", "function": function}]
        schema = {"name": "it", "schema": {"type": "object"}, "strict": True}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}
        assert sent["reasoning_effort"] == "low"
        calls = [(item.type, item.name, item.arguments) for item in response.output]
        assert calls == [("function_call", *call) for call in CALLED]
        async with served.client.responses.stream(**{**asked, "text": {}}) as stream:
            streamed = await stream.get_final_response()
        assert [(item.type, item.name, item.arguments) for item in streamed.output] == calls


async def test_messages_whole_and_streamed(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served:
        chat = await served.ask("nano@vote", seed=3, max_tokens=400)
        asked = {
            "model": "nano@vote",
            "max_tokens": 400,
            "seed": 3,
            "messages": [{"role": "user", "content": QUESTION}],
        }
        status, text = await post(f"{served.url}/v1/messages", asked)
        told = json.loads(text)
        assert (status, told["type"], told["role"], told["stop_reason"]) == (200, "message", "assistant", "end_turn")
        assert told["content"] == [{"type": "text", "text": chat.choices[0].message.content}]
        assert told["usage"]["output_tokens"] == chat.usage.completion_tokens
        assert told["usage"]["input_tokens"] + told["usage"]["cache_read_input_tokens"] == chat.usage.prompt_tokens
        _, text = await post(f"{served.url}/v1/messages", {**asked, "stream": True})
        told_events = events(text)
        assert [event["type"] for event in told_events] == [
            "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
            "message_stop",
        ]  # fmt: skip
        assert told_events[2]["delta"] == {"type": "text_delta", "text": told["content"][0]["text"]}
        assert told_events[4]["delta"]["stop_reason"] == "end_turn"
        assert told_events[4]["usage"] == told["usage"]
        for wrong, words in (
            ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
            ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role: must be user or assistant"),
            (
                {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
                "messages[0].content[0].type: must be one of text",
            ),
        ):
            status, text = await post(f"{served.url}/v1/messages", {**asked, **wrong})
            error = json.loads(text)
            assert (status, error["type"], error["error"]["type"]) == (400, "error", "invalid_request_error")
            assert error["error"]["message"].startswith(words)
        status, text = await post(f"{served.url}/v1/messages", {**asked, "model": "claude"})
        assert (status, json.loads(text)["error"]["type"]) == (404, "not_found_error")


async def test_messages_carry_tools_and_images(gateway: Make) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "AA"}
    asked = {
        "model": "words",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be brief."}],
        "stop_sequences": ["zz"],
        "tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "source": image}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "2"}]},
        ],
    }
    async with FaultServer(calls=CALLED) as upstream, gateway(table(upstream)) as served:
        _, text = await post(f"{served.url}/v1/messages", asked)
        sent, told = upstream.bodies[-1], json.loads(text)
        assert [turn["role"] for turn in sent["messages"]] == ["system", "user", "assistant", "tool"]
        assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA"
        assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
        assert (sent["stop"], sent["tool_choice"], sent["max_tokens"]) == (["zz"], "required", 50)
        assert told["stop_reason"] == "tool_use"
        blocks = [(block["type"], block["name"], block["input"]) for block in told["content"]]
        assert blocks == [("tool_use", name, json.loads(arguments)) for name, arguments in CALLED]
        _, text = await post(f"{served.url}/v1/messages", {**asked, "stream": True})
        parts = [event["delta"]["partial_json"] for event in events(text) if event["type"] == "content_block_delta"]
        assert "".join(parts) == "".join(arguments for _, arguments in CALLED)
        assert [e["index"] for e in events(text) if e["type"] == "content_block_stop"] == [0, 1]


async def test_what_watches_over_it_is_told(gateway: Make) -> None:
    async with gateway(VOTE, "nano") as served, aiohttp.ClientSession() as session:

        async def page(path: str) -> tuple[int, str]:
            async with session.get(served.url + path) as response:
                return response.status, await response.text()

        assert await page("/healthz") == (200, '{"status":"ok"}')
        assert await page("/readyz") == (200, '{"status":"ready"}')
        reply = await served.ask("nano@vote")
        with pytest.raises(openai.NotFoundError):
            await served.ask("secret-name")
        _, text = await page("/metrics")
        told = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        path = 'path="/v1/chat/completions"'
        assert float(told[f'mull_requests_total{{model="nano@vote",{path},status="200"}}']) == 1
        assert float(told[f'mull_requests_total{{model="",{path},status="404"}}']) == 1
        assert float(told['mull_tokens_total{kind="generated",model="nano@vote"}']) == reply.usage.completion_tokens
        assert float(told['mull_calls_total{model="nano@vote"}']) == 4
        assert float(told["mull_requests_running"]) == 1  # this one
        assert "secret-name" not in text


async def test_a_stop_lets_running_requests_finish(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        upstream.latency = 0.5
        asking = asyncio.ensure_future(served.ask("words"))
        await upstream.asked(1)
        served.stop()
        assert (await asking).choices[0].message.content


async def test_characters_that_no_text_may_have_are_replaced(gateway: Make) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        body = {"model": "words", "input": "x", "metadata": {"a": "\ud800"}}
        status, text = await post(f"{served.url}/v1/responses", body)
        assert (status, json.loads(text)["metadata"]) == (200, {"a": "?"})
        status, text = await post(f"{served.url}/v1/responses", {**body, "model": "\ud800"})
        assert (status, "no model" in text) == (404, True)
