"""The Messages and Responses APIs: what is sent fits the makers' own types, and all that comes back is read."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from hosted_server import HostedServer, message_events, response_events
from mull import Finish, Message, Params, Prompt, Run, UsageError
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.models.served.requests import ask
from mull.types.parts import FilePart, ImagePart, TextPart, Tool, ToolCall
from mull.wire.anthropic import MessageStream, read_message, usage_of
from mull.wire.faults import Malformed
from mull.wire.responses import ResponseStream, read_response

APIS = ["anthropic", "responses"]
HELLO = Prompt.user("Count a little.")
PNG = "data:image/png;base64,iVBORw0KGgo="
TALK = Prompt(
    (
        Message("system", "Be brief."),
        Message("user", (TextPart("What is it?"), ImagePart(PNG), ImagePart("https://example.com/a.png", "low"))),
        Message("assistant", "Let me see.", (ToolCall("c1", "look", '{"at": 1}'), ToolCall("c2", "look", '{"at": 2}'))),
        Message("tool", "a cat", tool_call_id="c1"),
        Message("tool", "a dog", tool_call_id="c2"),
        Message("user", (FilePart("a.pdf", "data:application/pdf;base64,JVBERi0="), TextPart("And this?"))),
    ),
    tools=(Tool("look", '{"type":"object","properties":{"at":{"type":"integer"}}}', "Looks."),),
)
SCHEMA = json.dumps(
    {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "object"}, "strict": True}}
)
FULL = Params(0.5, 2048, ("END", "\n\n"), effort="high", response_format=SCHEMA)


def asked(api: Any, prompt: Prompt, params: Params, can: Capabilities | None = None, **more: Any) -> dict[str, Any]:
    """The body of a request."""
    deployment = Deployment("big", ("http://127.0.0.1:9/v1",), "big-1", api, **more)
    template = ask(deployment, prompt, params, can or Capabilities(stop="told"))
    body: dict[str, Any] = json.loads(template.body(1, None))
    return body


def fits(body: dict[str, Any], kind: Any) -> None:
    """Validates a body against a maker's type, which must have every field of it."""
    assert set(body) <= set(kind.__annotations__) | set(kind.__mro__[0].__annotations__)
    TypeAdapter(kind).validate_python(body)


@pytest.mark.parametrize("params", [Params(), FULL, Params(effort="none"), Params(thinking_tokens=2000)])
@pytest.mark.parametrize("prompt", [HELLO, TALK, HELLO.extend("One, two")])
def test_requests_of_the_messages_api_fit_its_makers_types(prompt: Prompt, params: Params) -> None:
    types = pytest.importorskip("anthropic.types.message_create_params")
    can = Capabilities(stop="told", limits="thinking", least_limit=1024, continues="trailing")
    if prompt.prefix and params.thinking_tokens:
        return
    body = asked("anthropic", prompt, params, can)
    # The makers' types have lost what newer models refuse; older models and other servers take them.
    assert (body.pop("temperature"), body.pop("top_p")) == (params.temperature, 1.0)
    fits(body, types.MessageCreateParamsNonStreaming)
    assert body["max_tokens"] == params.max_tokens


@pytest.mark.parametrize("params", [Params(), FULL, Params(effort="none"), Params(logprobs=3)])
@pytest.mark.parametrize("prompt", [HELLO, TALK, HELLO.extend("One, two")])
def test_requests_of_the_responses_api_fit_its_makers_types(prompt: Prompt, params: Params) -> None:
    types = pytest.importorskip("openai.types.responses.response_create_params")
    can = Capabilities(stop="ignored", logprobs=True, continues="trailing")
    body = asked("responses", prompt, params, can)
    fits(body, types.ResponseCreateParamsNonStreaming)
    assert (body["store"], body["max_output_tokens"]) == (False, params.max_tokens)
    assert "stop" not in body


def test_a_conversation_in_the_messages_api() -> None:
    body = asked("anthropic", TALK, FULL)
    assert body["system"] == "Be brief."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user", "user"]
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [part["tool_use_id"] for part in body["messages"][2]["content"]] == ["c1", "c2"]
    assert body["messages"][0]["content"][1]["source"]["media_type"] == "image/png"
    assert body["stop_sequences"] == ["END"], "one of white space alone is refused"
    assert body["output_config"] == {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert body["thinking"] == {"type": "adaptive"}


def test_a_conversation_in_the_responses_api() -> None:
    body = asked("responses", TALK, FULL, Capabilities(stop="ignored"))
    kinds = [item["type"] for item in body["input"]]
    assert kinds == ["message"] * 3 + ["function_call"] * 2 + ["function_call_output"] * 2 + ["message"]
    assert body["text"]["format"] == {"type": "json_schema", "name": "it", "schema": {"type": "object"}, "strict": True}
    assert body["reasoning"] == {"effort": "high"}


def test_arguments_that_are_no_object_are_refused() -> None:
    prompt = Prompt((Message("user", "a"), Message("assistant", "", (ToolCall("c1", "f", "{bad"),))))
    with pytest.raises(UsageError, match="tool call c1 are no JSON object"):
        asked("anthropic", prompt, Params())


@pytest.mark.parametrize(
    ("api", "effort", "sent"),
    [
        ("chat", "high", {"reasoning_effort": "high"}),
        ("chat", "none", {"reasoning_effort": "none"}),
        ("responses", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("anthropic", "max", {"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}}),
        ("anthropic", "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_effort_goes_out_in_each_apis_own_field(api: str, effort: str, sent: dict[str, Any]) -> None:
    plain = asked(api, HELLO, Params())
    assert asked(api, HELLO, Params(effort=effort)) == plain | sent
    assert asked(api, HELLO, Params(), effort=effort) == plain | sent
    assert asked(api, HELLO, Params(effort=effort), effort="low") == plain | sent, "what a request names comes first"


def test_draws_of_different_effort_are_banked_apart() -> None:
    def named(effort: str | None) -> str:
        return Deployment("big", ("http://x/v1",), "big-1", "responses", effort=effort).identity

    assert len({named(None), named("low"), named("high")}) == 3


def model_of(server: HostedServer, build: Any, api: str, **more: Any) -> Any:
    return build(server, served="big", api=api, **more)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_every_token_of_draws_is_counted_and_thoughts_are_told_apart(served, api: str, stream: bool) -> None:
    async with HostedServer(n_thought=5, n_cached=3) as server:
        model = model_of(server, served, api, stream=stream)
        await model.prepare()
        before = server.n_output
        run = Run(model, params=Params(max_tokens=16))
        draws = await run.draw(HELLO, 12)
        assert run.spent.output_tokens == server.n_output - before
    assert {draw.finish for draw in draws} == {Finish.STOP, Finish.LENGTH}
    assert all(draw.cost.output_tokens == 16 for draw in draws if draw.finish is Finish.LENGTH)
    assert all(draw.reasoning == "hm hm hm hm hm" and "hm" not in draw.text for draw in draws)
    assert all(draw.seed is None and draw.batch is None for draw in draws)
    assert {draw.cost.cached_tokens for draw in draws} == {3}
    (n_prompt,) = {draw.cost.prompt_tokens for draw in draws}
    assert n_prompt > 3


@pytest.mark.parametrize("api", APIS)
async def test_a_stop_string_ends_a_draw(served, api: str) -> None:
    async with HostedServer() as server:
        model = model_of(server, served, api)
        draws = await Run(model, params=Params(max_tokens=40, stop=(" answer", "\n\n"))).draw(HELLO, 4)
    assert {draw.finish for draw in draws} == {Finish.STOP_STRING}
    assert not any("answer" in draw.text for draw in draws)
    if api == "responses":
        assert server.bodies[-1]["stream"], "the client cuts what the server does not stop"


async def test_the_key_goes_in_the_header_of_the_api_and_comes_back_nowhere(served, monkeypatch) -> None:
    monkeypatch.setenv("BIG_KEY", "sk-right-one-1234")
    async with HostedServer(key="sk-right-one-1234") as server:
        for api in APIS:
            (draw,) = await Run(model_of(server, served, api, api_key_env="BIG_KEY")).draw(HELLO, 1)
            assert draw.error is None
            shown = server.headers[-1]
            assert ("x-api-key" in shown, "Authorization" in shown) == (api == "anthropic", api != "anthropic")
        monkeypatch.setenv("BIG_KEY", "sk-wrong-one-9876")
        with pytest.raises(Exception, match="the key is refused") as caught:
            await Run(model_of(server, served, "anthropic", api_key_env="BIG_KEY", bank_as="2")).draw(HELLO, 1)
    assert "wrong-one" not in str(caught.value)


async def test_an_alias_that_the_maker_does_not_list_is_asked_for(served) -> None:
    async with HostedServer(models=("big-20260101", "small-20260101")) as server:
        (draw,) = await Run(model_of(server, served, "anthropic")).draw(HELLO, 1)
    assert server.bodies[-1]["model"] == "big"
    assert draw.error is None


@pytest.mark.parametrize("api", [*APIS, "chat"])
async def test_a_reply_that_was_all_thought_is_cut_and_not_asked_for_again(served, api: str) -> None:
    """A hidden thought used up the limit: the reply is empty, and another attempt would be paid for as well."""
    async with HostedServer(n_thought=500, shows_thoughts=False) as server:
        model = model_of(server, served, api)
        await model.prepare()
        before = len(server.bodies)
        (draw,) = await Run(model, params=Params(max_tokens=30)).draw(HELLO, 1)
        assert len(server.bodies) - before == 1
    assert (draw.text, draw.finish, draw.cost.output_tokens) == ("", Finish.LENGTH, 30)


async def test_a_refusal_is_an_error_with_its_reason(served) -> None:
    async with HostedServer(stop_reason="refusal", explanation="It may\ncause harm.") as server:
        model = model_of(server, served, "anthropic")
        (draw,) = await Run(model).draw(HELLO, 1)
    assert draw.finish is Finish.ERROR
    assert draw.error == "the model refused to reply: It may cause harm."
    assert draw.cost.output_tokens


def test_declining_in_words_is_a_reply() -> None:
    part = {"type": "refusal", "refusal": "I cannot help with that."}
    row = {"status": "completed", "output": [{"type": "message", "content": [part]}]}
    assert read_response(json.dumps(row).encode()).choices[0].text == "I cannot help with that."


def test_counts_of_the_messages_api_include_what_was_cached() -> None:
    told = {"input_tokens": 5, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 7}
    usage = usage_of(told)
    assert (usage.prompt, usage.cached, usage.output, usage.reasoning) == (125, 20, 7, None)
    assert usage_of({"input_tokens": -1, "output_tokens": "7"}).prompt is None
    assert usage_of(None).output is None


TOOLS = [{"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}]


def test_tool_calls_are_read_whole_and_streamed() -> None:
    body = {"content": [{"type": "text", "text": "Hm."}, *TOOLS], "stop_reason": "tool_use", "usage": {}}
    (choice,) = read_message(json.dumps(body).encode()).choices
    assert (choice.finish, choice.calls) == ("tool_calls", (ToolCall("t1", "look", '{"at": 1}'),))
    stream = MessageStream()
    for event in (
        {"type": "content_block_start", "index": 0, "content_block": {**TOOLS[0], "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"at"'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
        {"type": "content_block_start", "index": 1, "content_block": {**TOOLS[0], "id": "t2", "input": {}}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ):
        stream.feed(b"data: " + json.dumps(event).encode())
    assert stream.reply().choices[0].calls == (ToolCall("t1", "look", '{"at": 1}'), ToolCall("t2", "look", "{}"))
    item = {"type": "function_call", "id": "fc1", "call_id": "c1", "name": "look", "arguments": '{"at": 1}'}
    whole = {"id": "r", "status": "completed", "output": [item], "usage": None}
    (choice,) = read_response(json.dumps(whole).encode()).choices
    assert (choice.finish, choice.calls) == ("tool_calls", (ToolCall("c1", "look", '{"at": 1}'),))
    events = ResponseStream()
    events.feed(b"data: " + json.dumps({"type": "response.output_item.done", "output_index": 0, "item": item}).encode())
    events.feed(b"data: " + json.dumps({"type": "response.completed", "response": {**whole, "output": []}}).encode())
    assert events.reply().choices[0].calls == choice.calls


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"type": "error", "code": "server_error", "message": "Overloaded", "param": None},
        {"type": "response.failed", "response": {"status": "failed", "error": {"message": "Overloaded"}}},
    ],
)
@pytest.mark.parametrize("stream", [MessageStream, ResponseStream])
def test_an_error_in_a_stream_is_told(stream: Any, event: dict[str, Any]) -> None:
    if stream is MessageStream and not event.get("error"):
        pytest.skip("an event of the other API")
    with pytest.raises(Malformed, match="Overloaded"):
        stream().feed(b"data: " + json.dumps(event).encode())


@pytest.mark.parametrize(
    "raw",
    [b"{}", b"[]", b'{"content": 7}', b'{"output": "no", "content": "no"}', b'{"error": {"message": "bad day"}}'],
)
def test_a_reply_of_another_form_is_malformed(raw: bytes) -> None:
    for read in (read_message, read_response):
        with pytest.raises(Malformed):
            read(raw)


@pytest.mark.parametrize(
    "content",
    [[7, None, "text"], [{"type": "text", "text": None}], [{"type": "tool_use", "input": [1]}], [{"type": 3}], []],
)
def test_broken_blocks_are_left_out(content: list[Any]) -> None:
    body = {"content": content, "output": [{"type": "message", "content": content}, *content], "status": "completed"}
    raw = json.dumps({**body, "stop_reason": "end_turn", "usage": {"output_tokens": 1}}).encode()
    assert read_message(raw).choices[0].text == ""
    assert read_response(raw).choices[0].text == ""


async def test_the_events_are_those_of_the_makers_types(served) -> None:
    """What the tests' server sends is what the makers say that theirs do."""
    anthropic, openai = pytest.importorskip("anthropic.types"), pytest.importorskip("openai.types.responses")
    server = HostedServer(n_thought=2)
    async with server:
        await Run(model_of(server, served, "anthropic")).draw(HELLO, 1)
        made = server._made(server.bodies[-1], "max_tokens")
        message, response = server._message({"model": "big"}, made), server._response({"model": "big"}, made)
    assert anthropic.Message.model_validate(message).usage.output_tokens == made["output"]
    assert openai.Response.model_validate(response).usage.output_tokens == made["output"]
    for event in message_events(message):
        if event["type"] != "ping":
            TypeAdapter(anthropic.RawMessageStreamEvent).validate_python(event)
    for n, event in enumerate(response_events(response)):
        extra = {"logprobs": []} if "output_text" in event["type"] else {}
        TypeAdapter(openai.ResponseStreamEvent).validate_python({**event, **extra, "sequence_number": n})
