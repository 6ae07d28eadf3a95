"""Images, files, tools and the form of a reply reach the server as chat requests hold them, and come back whole."""

import json
from pathlib import Path

import pytest

from fault_server import FaultServer
from mull import Budget, Finish, Message, Params, Prompt, Run, UsageError
from mull.bank import open_bank
from mull.bank.keys import digest, question
from mull.models.embedded import Nano
from mull.testing import FakeModel
from mull.types import FilePart, ImagePart, TextPart, Tool, ToolCall

SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}}}'
WEATHER = Tool("weather", SCHEMA, "Tells the weather of a city.")
ASKED = Prompt((Message("user", "What is it like in Kyoto?"),), tools=(WEATHER,))
CALLED = (("weather", '{"city": "Kyoto"}'), ("weather", "not JSON"))


async def test_parts_of_a_message_are_sent_in_the_form_of_chats(served) -> None:
    parts = (TextPart("What is "), ImagePart("data:image/png;base64,AA==", "low"), FilePart("a.pdf", file_id="f1"))
    turns = (Message("system", "Be brief."), Message("user", parts))
    async with FaultServer() as server:
        (sample,) = await Run(served(server)).draw(Prompt(turns), 1)
        sent = server.bodies[-1]["messages"]
    assert sample.finish is Finish.STOP
    assert sent[0] == {"role": "system", "content": "Be brief."}
    assert sent[1]["content"] == [
        {"type": "text", "text": "What is "},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_id": "f1"}},
    ]
    assert turns[1].text == Prompt(turns).question == "What is "


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_come_back_and_are_banked(served, tmp_path: Path, stream: bool) -> None:
    async with FaultServer(calls=CALLED) as server:
        model = served(server, stream=stream)
        with open_bank(str(tmp_path / "b.db")) as bank:
            (sample,) = await Run(model, bank=bank).draw(ASKED, 1)
        n_asked = len(server.bodies)
        with open_bank(str(tmp_path / "b.db")) as bank:
            (again,) = await Run(model, bank=bank).draw(ASKED, 1)
        assert len(server.bodies) == n_asked
        told = server.bodies[-1]["tools"]
    assert sample.finish is Finish.TOOL_CALLS
    assert sample.tool_calls == (ToolCall("call0", *CALLED[0]), ToolCall("call1", *CALLED[1]))
    assert again == sample
    function = {"name": "weather", "parameters": json.loads(SCHEMA), "description": "Tells the weather of a city."}
    assert told == [{"type": "function", "function": function}]


async def test_what_a_tool_gave_is_told_to_the_model(served) -> None:
    turns = (
        *ASKED.messages,
        Message("assistant", "", tool_calls=(ToolCall("c1", "weather", "{}"),)),
        Message("tool", "rain", tool_call_id="c1"),
    )
    async with FaultServer() as server:
        await Run(served(server)).draw(Prompt(turns, tools=(WEATHER,)), 1)
        _, assistant, tool = server.bodies[-1]["messages"]
    assert assistant["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    ]
    assert tool == {"role": "tool", "content": "rain", "tool_call_id": "c1"}


async def test_a_call_of_a_tool_that_was_not_offered_is_no_reply(served) -> None:
    async with FaultServer(calls=CALLED) as server:
        params = Params(extra=json.dumps({"tools": [{"type": "function", "function": {"name": "x"}}]}))
        (sample,) = await Run(served(server)).draw(Prompt.user("hello"), 1, params)
    assert sample.finish is Finish.ERROR
    assert sample.error == "the model called a tool, and none was offered"


async def test_format_effort_and_further_fields_are_passed_through(served) -> None:
    form = '{"type":"json_object"}'
    params = Params(response_format=form, effort="high", extra='{"user":"u1","chat_template_kwargs":{"a":1}}')
    async with FaultServer() as server:
        model = served(server, extra='{"chat_template_kwargs":{"b":2}}')
        await Run(model).draw(Prompt.user("hello"), 1, params)
        body = server.bodies[-1]
    assert body["response_format"] == {"type": "json_object"}
    assert (body["reasoning_effort"], body["user"]) == ("high", "u1")
    assert body["chat_template_kwargs"] == {"a": 1, "b": 2}


async def test_an_image_has_no_known_number_of_tokens_so_a_ceiling_in_dollars_cannot_be_kept(served) -> None:
    from mull.cost import Price

    prompt = Prompt.user((TextPart("What?"), ImagePart("https://example.org/a.png")))
    async with FaultServer() as server:
        model = served(server, price=Price(1.0, 1.0))
        with pytest.raises(UsageError, match="no known price in usd"):
            await Run(model, budget=Budget(usd=1.0)).draw(prompt, 1)
        (sample,) = await Run(model, budget=Budget(calls=1)).draw(prompt, 1)
    assert sample.finish is Finish.STOP


def test_models_of_plain_text_refuse_more_before_anything_is_spent() -> None:
    plain, image = Prompt.user("a:1;a?"), Prompt.user((ImagePart("data:,"),))
    for prompt, params, words in [
        (ASKED, Params(), "cannot call tools"),
        (image, Params(), "reads only text"),
        (plain, Params(response_format="{}"), "response_format"),
        (plain, Params(effort="low"), "does not support reasoning effort"),
        (plain, Params(extra='{"a":1}'), "no extra request fields"),
        (plain, Params(thinking_tokens=3), "no thinking budget"),
    ]:
        assert words in str(Nano().refuses(prompt, params))
    assert Nano().refuses(plain.extend("a"), Params(logit_bias=(("a", 1.0),))) is None


@pytest.mark.parametrize(
    ("prompt", "params", "words"),
    [
        (Prompt.user("a"), Params(extra="[1]"), "extra must be the JSON text of an object, not of a list"),
        (Prompt.user("a"), Params(response_format="{"), "response_format must be the JSON text of an object"),
        (Prompt((Message("user", "a"),), tools=(Tool("t", "x"),)), Params(), "parameters of the tool 't'"),
        (Prompt.user("a"), Params(effort=""), "an effort is a word"),
    ],
)
async def test_fields_that_are_no_json_are_refused(prompt: Prompt, params: Params, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await Run(FakeModel()).draw(prompt, 1, params)


def test_keys_of_plain_questions_are_what_they_were() -> None:
    """What the version before made of them: a bank that it wrote is found again."""
    prompt = Prompt((Message("system", "s"), Message("user", "u")), "p")
    params = Params(0.7, 64, ("\n",), 0.9, 40, 2, (("a", 1.0),), 9)
    asked = {
        "model": "fake", "messages": [["system", "s"], ["user", "u"]], "prefix": "p", "temperature": 0.7,
        "max_tokens": 64, "stop": ["\n"], "top_p": 0.9, "top_k": 40, "seed": 3, "logprobs": 2, "thinking_tokens": 9,
        "logit_bias": [["a", 1.0]],
    }  # fmt: skip
    assert question(FakeModel(), prompt, params, 3) == asked
    assert digest(asked) == "b2:1d6ffb8d5db1ca470551d6778986d9abc57bc27c"


def test_whatever_is_new_in_a_question_is_in_its_key() -> None:
    plain = Prompt.user("u")
    other = [
        (Prompt.user((TextPart("u"),)), Params()),
        (Prompt.user((ImagePart("u"),)), Params()),
        (Prompt.user((ImagePart("u", "low"),)), Params()),
        (Prompt.user((FilePart("u"),)), Params()),
        (Prompt((Message("user", "u", tool_calls=(ToolCall("1", "t", "{}"),)),)), Params()),
        (Prompt((Message("user", "u", tool_call_id="1"),)), Params()),
        (Prompt(plain.messages, tools=(WEATHER,)), Params()),
        (plain, Params(effort="low")),
        (plain, Params(response_format="{}")),
        (plain, Params(extra='{"a":1}')),
    ]
    keys = {digest(question(FakeModel(), *one, 0)) for one in [(plain, Params()), *other]}
    assert len(keys) == len(other) + 1
