"""Replies of a server with fields that are missing or of another type are told in other forms without a fault."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from mull.serve.anthropic import Messages
from mull.serve.forms import ChatForm
from mull.serve.responses import Responses
from mull.serve.shaped import shaped

TURN = {
    "content": "hi",
    "reasoning_content": "so",
    "refusal": None,
    "tool_calls": [{"index": 0, "id": "a", "function": {"name": "w", "arguments": "{}"}}],
}
VALUES = (None, 0, -1, 1.5, "", "x", [], {}, [None], {"a": 1}, True, [{"text": "x"}])


def reply(name: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}
    choice = {"index": 0, "finish_reason": "stop", name: copy.deepcopy(TURN)}
    return {"id": "x", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def changed(told: Any) -> Iterator[Any]:
    """Copies of a value, in each of which one field is left out or another value."""
    for name, inner in told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ():
        others = [*VALUES, *changed(inner)]
        for other in others:
            copied = copy.copy(told)
            copied[name] = other
            yield copied
        if isinstance(told, dict):
            yield {key: value for key, value in told.items() if key != name}


@pytest.mark.parametrize("form", [Messages(), Responses()])
def test_no_shape_of_a_reply_is_a_fault(form: ChatForm) -> None:
    for told in changed(reply("message")):
        choices = shaped(told)["choices"]
        if choices and isinstance(told["choices"][0].get("message"), dict):  # or it is refused as it is read
            form.whole(shaped(told), {})
    for told in changed(reply("delta")):
        into = form.stream({})
        assert into.feed(shaped(told, is_chunk=True)) + into.end()


def test_arguments_that_are_an_object_are_its_json() -> None:
    told = reply("message")
    told["choices"][0]["message"]["tool_calls"] = [{"function": {"name": "w", "arguments": {"city": "Bonn"}}}]
    (*_, block) = Messages().whole(shaped(told), {})["content"]
    assert (block["name"], block["input"]) == ("w", {"city": "Bonn"})
    assert Responses().whole(shaped(told), {})["output"][-1]["arguments"] == '{"city": "Bonn"}'
