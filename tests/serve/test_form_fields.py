"""Fields that one form has and a chat has not: each is done in its own way, or refused with the reason."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import openai
import pytest

from asking import asked, post
from fault_server import FaultServer
from mull.serve.blocks import with_results_shown

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=4"\nanswer = "text"\n'
PNG = {"type": "base64", "media_type": "image/png", "data": "AA"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "BB"}
FILE = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,BB"}
TEXT = {"type": "text", "text": "b"}
URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nbackoff = 0.001\n{more}\n{VOTE}'


class Several(FaultServer):
    """Completes each prompt of a request `n` times, as the API's reference says, unless it `leaves_out` some."""

    leaves_out = 0

    def _reply(self, request: aiohttp.web.Request, body: dict[str, Any], fault: str) -> dict[str, Any]:
        told = body["prompt"] if isinstance(body.get("prompt"), list) else [body.get("prompt")]
        told = told if not isinstance(told[0], int) else [told]
        if body.get("prompt") is None or len(told) == 1:
            return super()._reply(request, body, fault)
        rows = [super(Several, self)._reply(request, {**body, "prompt": str(one)}, fault) for one in told]
        choices = [choice for row in rows for choice in row["choices"]][self.leaves_out :]
        usage = Counter[str]()
        for row in rows:
            usage.update(row["usage"])
        return {**rows[0], "choices": [{**one, "index": i} for i, one in enumerate(choices)], "usage": dict(usage)}


@pytest.mark.parametrize("prompt", [["go on", "stop here"], [1, 2, 3], [[1, 2], [3], [4]], ["go on"]])
async def test_each_prompt_of_a_completion_is_a_reply_that_counts(gateway: Make, prompt: list[Any]) -> None:
    """The budget of a key, the headers and the ceilings count what the server counts."""
    k = 1 if isinstance(prompt[0], int) else len(prompt)
    async with Several() as upstream, gateway(table(upstream)) as served:
        for n in (1, 2):
            start = upstream.counts["words"]
            body = {"model": "words", "prompt": prompt, "seed": 2, "n": n, "max_tokens": 20}
            status, headers, text = await post(served.url, "completions", body)
            told = json.loads(text)
            assert (status, upstream.bodies[-1]["prompt"], len(told["choices"])) == (200, prompt, n * k)
            assert told["usage"]["completion_tokens"] == upstream.counts["words"] - start
            assert headers["x-mull-calls"] == str(n * k)
            assert headers["x-mull-tokens"] == str(upstream.counts["words"] - start)
            _, _, text = await post(served.url, "completions", {**body, "stream": True})
            rows = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            assert {choice["index"] for row in rows for choice in row["choices"]} == set(range(n * k))


async def test_ceilings_hold_for_all_prompts_together(gateway: Make) -> None:
    async with Several() as upstream, gateway(table(upstream, "[serve]\ncalls = 3\ntokens = 30")) as served:
        upstream.bodies.clear()
        body = {"model": "words", "prompt": ["a", "b", "c"], "seed": 2}
        status, headers, _ = await post(served.url, "completions", body)
        assert (status, upstream.bodies[-1]["max_tokens"], headers["x-mull-left-calls"]) == (200, 10, "0")
        status, _, text = await post(served.url, "completions", {**body, "n": 2})
        assert (status, "6 needed, 3 left" in text, len(upstream.bodies)) == (400, True, 1)
        upstream.leaves_out = 1
        status, _, text = await post(served.url, "completions", body)
        assert (status, "2 of 3 replies" in text) == (502, True)


@pytest.mark.parametrize("prompt", [[], [[]], 5, ["x", 1], [1, "x"], [1.5], [-1], [True], [["x"]], {"a": 1}])
async def test_a_prompt_that_is_none_is_refused(gateway: Make, prompt: Any) -> None:
    async with gateway(VOTE, "nano") as served:
        status, _, text = await post(served.url, "completions", {"model": "nano", "prompt": prompt})
        assert status == 400
        told = json.loads(text)["error"]
        assert told["param"].startswith("prompt")
        assert ("must not be empty" in told["message"]) == (prompt == [[]]), told


async def test_log_probabilities_are_told_in_each_form(gateway: Make) -> None:
    async with FaultServer(texts=("answer: a b",)) as upstream, gateway(table(upstream, "stream = false")) as served:
        for model in ("words@vote", "words"):
            for stream in (False, True):
                asks = {"top_logprobs": 1, "stream": stream}
                _, _, text = await post(served.url, "responses", asked("responses", model, **asks))
                told = json.loads(text if not stream else text.rstrip().rpartition("data: ")[2])
                (part,) = (told["response"] if stream else told)["output"][-1]["content"]
                assert upstream.bodies[-1]["logprobs"] is True
                is_told = model == "words@vote" or not stream  # this server streams none
                assert [row["token"] for row in part["logprobs"]] == (["answer:", " a", " b"] if is_told else [])
                assert all(row["top_logprobs"][0]["token"] == "?" for row in part["logprobs"])
        await post(served.url, "responses", asked("responses", "words", include=["message.output_text.logprobs"]))
        assert upstream.bodies[-1]["logprobs"] is True
        await post(served.url, "responses", asked("responses", "words", top_logprobs=0))
        assert {"logprobs", "top_logprobs"}.isdisjoint(upstream.bodies[-1])
        reply = await served.client.completions.create(model="words@vote", prompt="x", logprobs=1)
        told = reply.choices[0].logprobs
        assert (told.tokens, told.token_logprobs) == (["answer:", " a", " b"], [-0.25] * 3)
        assert told.top_logprobs == [{"?": -2.0}] * 3
        assert [reply.choices[0].text[at:] for at in told.text_offset] == ["answer: a b", " a b", " b"]
        with pytest.raises(openai.BadRequestError, match="top_logprobs: goes with logprobs"):
            await served.ask("words@vote", top_logprobs=1)


CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "See"},
    {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "t1", "name": "shot", "input": {}},
            {"type": "tool_use", "id": "t2", "name": "shot", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "content": [{"type": "text", "text": "a page"}, {"type": "image", "source": PNG}],
            },
            {"type": "tool_result", "tool_use_id": "t2", "is_error": True},
            {"type": "text", "text": "So?"},
        ],
    },
]


async def test_images_in_results_of_tools_reach_the_model(gateway: Make) -> None:
    """The chat API has texts alone there: they follow in the user's message."""
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        for model in ("words", "words@vote"):
            body = {"model": model, "max_tokens": 30, "messages": CONVERSATION}
            status, _, text = await post(served.url, "messages", body)
            assert status == 200, text
            *_, one, other, last = upstream.bodies[-1]["messages"]
            assert [one["content"], other["content"]] == ["a page", "Error:"]
            own = {"type": "text", "text": "So?"}
            assert last == {"role": "user", "content": [{"type": "text", "text": "Of the result of t1:"}, URL, own]}
        items = [
            {"type": "function_call", "call_id": "c1", "name": "shot", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [{"type": "input_image", "image_url": URL["image_url"]["url"]}],
            },
        ]
        await post(served.url, "responses", {"model": "words", "input": items})
        *_, told, last = upstream.bodies[-1]["messages"]
        assert (told["role"], told["content"], last["content"][-1]) == ("tool", "", URL)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"source": PDF}, [{"type": "file", "file": FILE}]),
        ({"source": {"type": "text", "media_type": "text/plain", "data": "b"}, "title": "A", "context": "c"}, "Acb"),
        ({"source": {"type": "content", "content": [TEXT]}, "citations": {"enabled": False}}, "b"),
        ({"source": {"type": "content", "content": "b"}}, "b"),
        ({"source": {"type": "url", "url": "http://x"}}, "source.type: must be one of base64, text, content"),
        ({"source": PDF, "citations": {"enabled": True}}, "citations: must not be enabled"),
        ({}, "source: must be an object"),
    ],
)
async def test_documents_are_carried_or_refused(gateway: Make, block: dict[str, Any], expected: Any) -> None:
    turn = {"role": "user", "content": [{"type": "document", **block}]}
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        body = {"model": "words", "max_tokens": 30, "messages": [turn]}
        status, _, text = await post(served.url, "messages", body)
        if status == 400:
            assert json.loads(text)["error"]["message"].startswith(f"messages[0].content[0].{expected}")
            return
        (sent,) = upstream.bodies[-1]["messages"]
        if isinstance(expected, str):
            assert "".join(part["text"] for part in sent["content"]) == expected
        else:
            assert sent["content"] == expected


def test_results_follow_each_other_before_what_they_show() -> None:
    turns = [
        {"role": "tool", "tool_call_id": "a", "content": [URL]},
        {"role": "tool", "tool_call_id": "b", "content": [TEXT, TEXT]},
        {"role": "assistant", "content": "so"},
        {"role": "tool", "tool_call_id": "c", "content": "z"},
    ]
    told = with_results_shown(turns)
    assert [turn["role"] for turn in told] == ["tool", "tool", "user", "assistant", "tool"]
    assert [turn["content"] for turn in told if turn["role"] == "tool"] == ["", "b\nb", "z"]
    assert told[2]["content"][1:] == [URL]


@pytest.mark.parametrize("route", ["completions", "responses", "messages"])
async def test_events_and_progress_are_told_in_each_form(gateway: Make, route: str) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        asks = asked(route, "words@vote", stream=True, seed=1)
        _, _, text = await post(served.url, route, {**asks, "mull": {"return": ["events"]}})
        rows = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        told = [row.get("response", row).get("mull", {}) for row in rows]
        draws = [one["event"]["draw"] for one in told if one.get("event", {}).get("event") == "draw"]
        assert draws == [0, 1, 2, 3]
        assert told[-1 if route != "messages" else -2]["answers"][0]["chosen_by"]
        _, _, text = await post(served.url, route, {**asks, "mull": {"return": ["progress"]}})
        assert [f"draw {i}: " in text for i in (1, 4, 5)] == [True, True, False]
        assert (": draw 1: " in text) == (route == "completions")
        if route == "responses":
            asks = {"model": "words@vote", "input": "hello", "extra_body": {"seed": 1, "mull": {"return": ["events"]}}}
            async with served.client.responses.stream(**asks) as stream:
                kinds = [event.type async for event in stream]
                final = await stream.get_final_response()
            assert kinds.count("response.in_progress") == 5
            assert final.mull["answers"][0]["draws"] == 4
