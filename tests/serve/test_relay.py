"""A model behind a server is passed through: requests go there, and replies come back, as they are."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from aiohttp import web

from fault_server import FaultServer

Make = Callable[..., Any]


def table(server: FaultServer, more: str = "", top: str = "") -> str:
    return f'{top}\n[models.words]\nbase_url = "{server.url}"\nbackoff = 0.01\n{more}'


async def test_a_request_goes_on_as_it_is(gateway: Make) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
            "name": "A",
        },
    ]
    asked = {"temperature": 0.3, "stop": ["z"], "user": "ann", "max_completion_tokens": 9, "seed": 4, "logprobs": True}
    async with FaultServer(cached=3) as upstream, gateway(table(upstream, 'model = "words"')) as served:
        reply = await served.client.chat.completions.create(
            model="words", messages=turns, extra_body={"min_p": 0.1, "mull": {"budget": {"calls": 3}}}, **asked
        )
        (sent,) = upstream.bodies  # nothing was probed
        assert sent == {"model": "words", "messages": turns, "min_p": 0.1, **asked}
        assert reply.model == "words"
        assert reply.usage.prompt_tokens_details.cached_tokens == 3
        assert reply.choices[0].logprobs.content[0].logprob == -0.25
        with pytest.raises(openai.BadRequestError, match="budget: leaves no room"):
            await served.ask("words", n=2, extra_body={"mull": {"budget": {"calls": 1}}})


async def test_a_reply_in_which_nothing_changes_comes_back_byte_for_byte(gateway: Make) -> None:
    """Also what another encoder would write differently: spaces, escapes, digits."""
    counts = b'"usage": {"prompt_tokens": 3 , "completion_tokens":1}'
    told = b'{ "id":"1", "model":"words", "x": 1.50, "choices":[{"message":{"content":"\\u00e9"}}], ' + counts + b"}\n"

    class Spaced(FaultServer):
        async def _answer(self, request, body):
            return web.Response(body=told, content_type="application/json")

    async with Spaced() as upstream, gateway(table(upstream)) as served:
        raw = await served.client.chat.completions.with_raw_response.create(
            model="words", messages=[{"role": "user", "content": "x"}]
        )
        assert raw.content == told


async def test_the_names_of_model_and_server_are_kept_apart(gateway: Make) -> None:
    async with FaultServer(models=("org/words-8b",)) as upstream:
        text = table(upstream, 'model = "org/words-8b"\nextra_body = { top_k = 5 }')
        async with gateway(text) as served:
            reply = await served.ask("words", stream=False)
            assert (reply.model, upstream.bodies[0]["model"], upstream.bodies[0]["top_k"]) == (
                "words",
                "org/words-8b",
                5,
            )
            async with await served.ask("words", stream=True, extra_body={"top_k": 7}) as stream:
                assert {chunk.model async for chunk in stream if chunk.model} <= {"words"}
            assert upstream.bodies[1]["top_k"] == 7


async def test_several_replies_of_a_server_that_gives_one(gateway: Make) -> None:
    async with FaultServer(n="ignored") as upstream, gateway(table(upstream)) as served:
        reply = await served.ask("words", n=3, seed=10)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in reply.choices}) == 3
        assert [body["seed"] for body in upstream.bodies] == [10, 11, 12]
        assert reply.usage.completion_tokens == upstream.counts["words"]


async def test_faults_of_the_server_are_retried_and_then_told(gateway: Make) -> None:
    async with FaultServer(script=["429", "reset", "truncated", "no-choices", "500"]) as upstream:
        async with gateway(table(upstream, "retries = 4")) as served:
            assert (await served.ask("words")).choices[0].message.content
        assert len(upstream.bodies) == 6


async def test_faults_that_stay_are_told(gateway: Make) -> None:
    async with FaultServer(script=["400", "500", "503", "quota"]) as upstream:
        text = table(upstream, "retries = 0", "[serve]\npatience = 0")
        async with gateway(text) as served:
            with pytest.raises(openai.BadRequestError, match="the server of the model: HTTP 400: it said 400"):
                await served.ask("words")
            with pytest.raises(openai.InternalServerError, match="HTTP 500") as broken:
                await served.ask("words")
            assert (broken.value.status_code, broken.value.response.headers["x-should-retry"]) == (502, "false")
            for _ in range(2):
                with pytest.raises(openai.InternalServerError) as away:
                    await served.ask("words")
                told = away.value.response.headers
                assert (away.value.status_code, told["x-should-retry"], told["retry-after"]) == (503, "true", "5")
            assert "quota" in away.value.message


async def test_a_server_that_is_not_there(gateway: Make) -> None:
    async with FaultServer() as upstream:
        pass
    text = table(upstream, top="[serve]\npatience = 0")
    async with gateway(text) as served:
        for model in ("words", "words@majority-16"):
            with pytest.raises(openai.InternalServerError, match="connect") as caught:
                await served.ask(model)
            assert (caught.value.status_code, caught.value.code) == (503, "upstream_unavailable")


async def test_a_ceiling_on_tokens_is_kept_by_what_is_sent(gateway: Make) -> None:
    more = "usd_per_mtok_in = 1.0\nusd_per_mtok_out = 10.0"
    async with FaultServer() as upstream, gateway(table(upstream, more)) as served:
        reply = await served.ask("words", n=2, max_tokens=50, extra_body={"mull": {"budget": {"tokens": 6}}})
        assert upstream.bodies[-1]["max_tokens"] == 3
        assert {choice.finish_reason for choice in reply.choices} == {"length"}
        raw = await served.client.chat.completions.with_raw_response.create(
            model="words",
            messages=[{"role": "user", "content": "x"}],
            extra_body={"mull": {"budget": {"usd": 0.0002}}},
        )
        assert "x-mull-clamped" not in raw.headers
        sent, spent = upstream.bodies[-1]["max_tokens"], raw.parse().usage
        assert 0 < sent < 20
        usd = spent.prompt_tokens * 1e-6 + spent.completion_tokens * 1e-5
        assert float(raw.headers["x-mull-usd"]) == pytest.approx(usd, rel=1e-9)
        raw = await served.client.chat.completions.with_raw_response.create(
            model="words",
            messages=[{"role": "user", "content": "x"}],
            extra_body={"mull": {"budget": {"tokens": 2_000_000, "calls": 1000}}},
        )
        assert raw.headers["x-mull-clamped"] == "calls, tokens"


async def test_a_length_beyond_what_is_left_is_told_as_clamped(gateway: Make) -> None:
    text = '[presets.vote]\nstrategy = "majority:n=1"\n[serve]\ntokens = 300'
    async with FaultServer() as upstream, gateway(table(upstream, text)) as served:
        await served.ask("words@vote", "warm")
        for model in ("words", "words@vote"):
            for fields, is_told in (({"max_tokens": 301}, True), ({"max_tokens": 300}, False), ({}, False)):
                turns = [{"role": "user", "content": f"{fields}"}]
                raw = await served.client.chat.completions.with_raw_response.create(
                    model=model, messages=turns, **fields
                )
                assert raw.headers.get("x-mull-clamped") == ("max_tokens" if is_told else None)
                assert upstream.bodies[-1]["max_tokens"] == 300
                if model == "words@vote":
                    assert raw.parse().mull.get("clamped") == (fields if is_told else None)
            raw = await served.client.chat.completions.with_raw_response.create(
                model=model, messages=turns, n=2, max_tokens=151
            )
            assert raw.headers["x-mull-clamped"] == "max_tokens"


async def test_a_preset_over_a_server_counts_what_the_server_counted(gateway: Make) -> None:
    """Every draw of each vote, whatever failed on the way and was billed and told."""
    preset = '[presets.vote]\nstrategy = "majority:n=6"'
    async with FaultServer() as upstream, gateway(table(upstream, preset)) as served:
        first = await served.ask("words@vote", "warm", seed=1)  # finds out what the server can do
        assert first.mull["answers"][0]["answer"] in ("a", "b", "c")
        before = upstream.counts["words"], len(upstream.bodies)
        reply = await served.ask("words@vote", seed=1, extra_body={"user": "ann", "mull": {"return": ["tally"]}})
        assert reply.usage.completion_tokens == upstream.counts["words"] - before[0]
        assert upstream.bodies[-1]["user"] == "ann"
        assert sum(weight for _, weight in reply.mull["answers"][0]["tally"]) == 6
        again = await served.ask("words@vote", seed=1, extra_body={"user": "ann"})
        assert again.choices[0].message.content == reply.choices[0].message.content


async def test_a_preset_carries_the_conversation(gateway: Make) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "See"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "a cat", "tool_call_id": "c1"},
        {"role": "assistant", "content": "A cat.", "refusal": None, "annotations": []},
        {"role": "user", "content": "Sure?"},
    ]
    async with (
        FaultServer() as upstream,
        gateway(table(upstream, '[presets.vote]\nstrategy = "majority:n=2"')) as served,
    ):
        await served.client.chat.completions.create(model="words@vote", messages=turns, temperature=0.5, stop="zz")
        sent = upstream.bodies[-1]
        expected = [{k: v for k, v in turn.items() if k not in ("refusal", "annotations")} for turn in turns]
        expected[2]["content"] = ""
        assert sent["messages"] == expected
        assert (sent["temperature"], sent["stop"]) == (0.5, ["zz"])


async def test_tool_calls_are_voted_on(gateway: Make) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}, "strict": True}}
    preset = '[presets.vote]\nstrategy = "majority:n=4"'
    async with (
        FaultServer(calls=(("add", '{"b": 2, "a": 1}'),)) as upstream,
        gateway(table(upstream, preset)) as served,
    ):
        reply = await served.ask("words@vote", tools=[tool], tool_choice="required")
        assert upstream.bodies[-1]["tools"] == [tool]
        assert upstream.bodies[-1]["tool_choice"] == "required"
        (call,) = reply.choices[0].message.tool_calls
        assert (call.function.name, call.function.arguments) == ("add", '{"b": 2, "a": 1}')
        assert reply.choices[0].finish_reason == "tool_calls"
        assert reply.mull["answers"][0]["answer"] == '[["add",{"a":1,"b":2}]]'
        async with await served.ask("words@vote", tools=[tool], stream=True) as stream:
            chunks = [chunk async for chunk in stream]
        (delta,) = [chunk.choices[0].delta for chunk in chunks if chunk.choices and chunk.choices[0].delta.tool_calls]
        assert delta.tool_calls[0].function.arguments == '{"b": 2, "a": 1}'
        with pytest.raises(openai.BadRequestError, match="cannot call tools"):
            async with gateway("", "nano") as own:
                await own.ask("nano@majority-16", tools=[tool])


async def test_an_effort_stands_for_a_preset_only_where_the_operator_says_so(gateway: Make) -> None:
    preset, effort = '[presets.deep]\nstrategy = "majority:n=3"', '[serve]\neffort = { high = "deep" }'
    async with FaultServer() as upstream, gateway(table(upstream, preset, effort)) as served:
        low = await served.ask("words", reasoning_effort="low")
        assert upstream.bodies[-1]["reasoning_effort"] == "low"
        assert not hasattr(low, "mull")
        high = await served.ask("words", reasoning_effort="high")
        assert (high.model, high.mull["strategy"]) == ("words", "majority:n=3")
        assert "reasoning_effort" not in upstream.bodies[-1]


async def test_with_faults_all_end_rightly_and_no_token_is_missed(gateway: Make) -> None:
    """A tenth of the requests fail. What the server counted is what all were told, or less than the bound they were.

    Replies that are lost are counted by the server alone: where none was, the sums are equal to the token.
    """
    preset = '[presets.vote]\nstrategy = "majority:n=4"'
    async with FaultServer() as upstream, gateway(table(upstream, preset + "\n", "")) as served:
        await served.ask("words@vote", "warm", max_tokens=20)
        start, upstream.mixed = upstream.counts["words"], 0.1
        asked = ("words@vote" if i % 3 == 0 else "words" for i in range(90))
        replies = await asyncio.gather(
            *(served.ask(model, f"q{i}", seed=i, max_tokens=20) for i, model in enumerate(asked)),
            return_exceptions=True,
        )
        exact, bound = 0, 0
        for i, reply in enumerate(replies):
            if isinstance(reply, BaseException):
                assert isinstance(reply, openai.APIStatusError)
                assert reply.status_code in (502, 503)
                continue
            assert reply.choices[0].message.content.rpartition("answer: ")[2] in ("a", "b", "c")
            if i % 3 == 0 and reply.usage.mull["is_bound"]:
                bound += reply.usage.completion_tokens
            else:
                exact += reply.usage.completion_tokens
        lost = [
            fault for fault in upstream.counts if fault in ("truncated", "empty", "no-finish", "wrong-n", "duplicate")
        ]
        counted = upstream.counts["words"] - start
        assert lost  # there were such faults
        assert bound > 0
        assert exact <= counted <= exact + bound + 20 * sum(upstream.counts[fault] for fault in lost)


async def test_names_and_refusals_of_a_conversation_reach_the_server(gateway: Make) -> None:
    turns = [
        {"role": "user", "content": "Hello", "name": "ann"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "name": "bob"},
        {"role": "user", "content": "Why?"},
    ]
    preset = '[presets.vote]\nstrategy = "majority:n=2"'
    async with FaultServer() as upstream, gateway(table(upstream, preset)) as served:
        first = await served.ask("words@vote", messages=turns, seed=1)
        assert upstream.bodies[-1]["messages"] == [turns[0], {**turns[1], "content": "No."}, turns[2]]
        other = await served.ask("words@vote", messages=[{**turns[0], "name": "eve"}, *turns[1:]], seed=1)
        assert other.choices != first.choices  # another conversation: its draws have seeds of their own
        with pytest.raises(openai.BadRequestError, match=r"messages\[0\].name: must be a text"):
            await served.ask("words@vote", messages=[{**turns[0], "name": 3}])
    async with gateway("", "nano") as own:
        assert (await own.ask("nano", messages=[{"role": "user", "content": "a:7;a?", "name": "ann"}])).choices


async def test_log_probabilities_of_a_voted_answer_come_from_the_stream_that_made_it(gateway: Make) -> None:
    class Telling(FaultServer):
        def _events(self, choice):
            rows = iter(choice.get("logprobs", {}).get("content", ()))
            for event in super()._events(choice):
                if event["choices"][0].get("delta", {}).get("content") and (row := next(rows, None)):
                    event["choices"][0]["logprobs"] = {"content": [row]}
                yield event

    preset = '[presets.vote]\nstrategy = "majority:n=3"'
    async with Telling() as upstream, gateway(table(upstream, preset)) as served:
        reply = await served.ask("words@vote", seed=1, logprobs=True, top_logprobs=1)
        assert upstream.bodies[-1]["stream"] is True
        rows = reply.choices[0].logprobs.content
        assert "".join(row.token for row in rows) == reply.choices[0].message.content
        assert {(row.logprob, row.top_logprobs[0].logprob) for row in rows} == {(-0.25, -2.0)}
