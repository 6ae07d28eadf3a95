"""Chats by the openai client: what is asked for is what is answered, and what is wrong is told with its place."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from mull import Params, Problem, Prompt, Run
from mull.models.embedded import Nano
from mull.strategies.parallel import Majority
from mull.types import AnswerKind

QUESTION = "a:7;b:a*6;b?"
Make = Callable[..., Any]


async def test_models_and_presets_are_listed(gateway: Make) -> None:
    async with gateway('[presets.deep]\nstrategy = "majority:n=3"\nmodels = ["nano"]', "nano", "mini") as served:
        assert [model.id async for model in await served.client.models.list()] == ["nano", "mini", "nano@deep"]
        assert (await served.client.models.retrieve("nano@deep")).id == "nano@deep"
        with pytest.raises(openai.NotFoundError, match="did you mean 'nano@deep'"):
            await served.client.models.retrieve("nano@deeep")


async def test_a_preset_answers_as_its_strategy_does(gateway: Make) -> None:
    """The same vote in the library: text, tally and tokens, down to the last one."""
    run = Run(Nano(), params=Params(max_tokens=400), seed=5)
    outcome = await Majority(8)(Problem("x", Prompt.user(QUESTION), AnswerKind.TEXT), run)
    assert outcome.best is not None
    async with gateway('[presets.vote]\nstrategy = "majority:n=8"', "nano") as served:
        reply = await served.ask("nano@vote", seed=5, max_tokens=400, extra_body={"mull": {"return": ["tally"]}})
    assert reply.model == "nano@vote"
    assert reply.choices[0].message.content == outcome.best.reply
    assert reply.choices[0].finish_reason == "stop"
    told = reply.mull["answers"][0]
    assert (told["answer"], told["chosen_by"]) == (outcome.answer, "vote")
    assert told["tally"] == [list(row) for row in outcome.tally]
    assert (told["confidence"], told["confidence_is"]) == (outcome.confidence, "vote share")
    assert reply.usage.completion_tokens == run.spent.output_tokens
    assert reply.usage.prompt_tokens == run.spent.prompt_tokens
    own = outcome.best.cost.output_tokens or 0
    assert reply.usage.completion_tokens_details.reasoning_tokens == reply.usage.completion_tokens - own
    assert reply.usage.mull["calls"] == 8
    assert reply.system_fingerprint == "mull:majority:n=8"


async def test_n_is_answers_not_draws(gateway: Make) -> None:
    async with gateway('[presets.vote]\nstrategy = "majority:n=3"', "nano") as served:
        alone = await served.ask("nano", n=3, seed=1)
        voted = await served.ask("nano@vote", n=2, seed=1)
    assert [choice.index for choice in alone.choices] == [0, 1, 2]
    assert alone.mull["strategy"] is None
    assert (len(voted.choices), voted.usage.mull["calls"]) == (2, 6)


async def test_sampling_fields_are_kept(gateway: Make) -> None:
    async with gateway("", "nano") as served:
        greedy = await served.ask("nano", temperature=0, n=2)
        assert len({choice.message.content for choice in greedy.choices}) == 1
        text = greedy.choices[0].message.content
        cut = await served.ask("nano", temperature=0, max_completion_tokens=4, max_tokens=900)
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage.completion_tokens == 4
        assert text.startswith(cut.choices[0].message.content)
        stopped = await served.ask("nano", temperature=0, stop="\n")
        assert stopped.choices[0].message.content == text.partition("\n")[0]
        assert stopped.choices[0].finish_reason == "stop"
        again = [await served.ask("nano", seed=11) for _ in range(2)]
        assert len({reply.choices[0].message.content for reply in again}) == 1
        seeds = {(await served.ask("nano", max_tokens=1)).mull["seed"] for _ in range(3)}
        assert len(seeds) == 3  # without a seed each request has its own


async def test_log_probabilities_are_those_of_the_chosen_answer(gateway: Make) -> None:
    async with gateway('[presets.vote]\nstrategy = "majority:n=4"', "nano") as served:
        reply = await served.ask("nano@vote", seed=2, logprobs=True, top_logprobs=2)
    rows = reply.choices[0].logprobs.content
    # The last token ends the reply, and has no text.
    assert "".join(row.token for row in rows) == reply.choices[0].message.content
    assert all(len(row.top_logprobs) == 2 and row.top_logprobs[0].logprob >= row.logprob - 1e-6 for row in rows)
    assert bytes(rows[0].bytes).decode() == rows[0].token


async def test_a_conversation_is_read_whole_and_never_for_controls(gateway: Make) -> None:
    turns = [
        {"role": "user", "content": "a:7;b:a*6;b?"},
        {"role": "assistant", "content": "b=42"},
        {"role": "user", "content": [{"type": "text", "text": "a:2;b:a*2;b?"}]},
    ]
    prompt = Prompt(tuple(_turn(turn) for turn in turns))
    (sample,) = await Run(Nano(), params=Params(max_tokens=4096), seed=3).draw(prompt)
    async with gateway("", "nano") as served:
        reply = await served.client.chat.completions.create(model="nano", messages=turns, seed=3)
        assert reply.choices[0].message.content == sample.text
        with pytest.raises(openai.BadRequestError, match="built-in models cannot read"):
            await served.ask("nano", '<mull strategy="majority:n=64">a:1;b:a+1;b?')


def _turn(turn: dict[str, Any]) -> Any:
    from mull.types import Message

    content = turn["content"]
    return Message(turn["role"], content if isinstance(content, str) else content[0]["text"])


async def test_a_request_may_name_its_strategy_and_its_ceilings(gateway: Make) -> None:
    text = '[serve]\ncalls = 6\n[presets.vote]\nstrategy = "majority:n=4"'
    async with gateway(text, "nano") as served:
        told = {"strategy": "majority:n=12", "budget": {"calls": 50, "tokens": 5000}, "return": ["samples"]}
        reply = await served.ask("nano@vote", extra_body={"mull": told})
        assert reply.mull["strategy"] == "majority:n=12"
        assert reply.mull["clamped"] == {"calls": 50}
        assert reply.mull["budget"] == {"calls": 6, "tokens": 5000, "usd": None, "seconds": 600.0}
        assert reply.mull["left"]["calls"] == 0
        (answer,) = reply.mull["answers"]
        assert (answer["draws"], answer["stopped"], answer["incomplete"]) == (6, "budget", True)
        assert len(answer["samples"]) == 6
        raw = await served.client.chat.completions.with_raw_response.create(
            model="nano",
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"mull": {"budget": {"calls": 2}}},
        )
        assert (raw.headers["x-mull-calls"], raw.headers["x-mull-left-calls"]) == ("1", "1")
        assert raw.headers["x-request-id"].startswith("req_")


WRONG = [
    ({"temperature": "hot"}, "temperature: must be a number"),
    ({"n": 0}, "n: must be greater than or equal to 1"),
    ({"n": True}, "n: must be a whole number"),
    ({"max_tokens": 1.5}, "max_tokens: must be a whole number"),
    ({"stop": 5}, "stop: must be a text or a list of texts"),
    ({"messages": []}, "messages: "),
    ({"messages": "hello"}, "messages: must be a list"),
    ({"messages": [{"role": "robot", "content": "x"}]}, r"messages\[0\].role: must be one of"),
    ({"messages": [{"role": "user"}]}, r"messages\[0\].content: must be a text or a list"),
    (
        {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
        r"messages\[0\].content\[0\].type: must be one of text",
    ),
    ({"messages": [{"role": "user", "content": "x", "name": 5}]}, r"messages\[0\].name: must be a text"),
    ({"messages": [{"role": "user", "content": "x", "mood": "calm"}]}, r"messages\[0\].mood: a preset cannot carry"),
    ({"tools": [{"type": "function"}]}, r"tools\[0\].function: must be an object"),
    ({"mull": {"strateg": "single"}}, "mull.strateg: unknown field; mull takes strategy"),
    ({"mull": {"budget": {"call": 1}}}, "mull.budget.call: unknown field"),
    ({"mull": {"budget": {"tokens": -1}}}, "mull.budget.tokens: must be greater"),
    ({"mull": {"return": ["everything"]}}, r"mull.return\[0\]: must be 'samples'"),
    ({"mull": {"strategy": "majorty"}}, "mull.strategy: .*did you mean 'majority'"),
    ({"mull": {"strategy": "majority:n=99999"}}, "mull.strategy: n=99999 is more than"),
    ({"mull": {"strategy": "os:system"}}, "mull.strategy: unknown strategy"),
    ({"mull": {"strategy": "auto:policy=/etc/passwd"}}, "mull.strategy: "),
    ({"mull": {"strategy": "on:model=mini,strategy=single"}}, "mull.strategy: .*'mini' is not among the models"),
    ({"mull": {"strategy": "best:n=2"}}, "mull.verifier: is missing: the strategy needs one of"),
    ({"mull": {"strategy": "best:n=2", "verifier": "orm:url=http://1.2.3.4"}}, "mull.verifier: must be one of"),
    ({"mull": {"answer": "regex:(a+)+$"}}, "mull.answer: a regular expression is for presets"),
    ({"mull": {"abstain": 2}}, "mull.abstain: must be less than or equal to 1"),
    ({"response_format": {"type": "xml"}}, "response_format.type: must be"),
    ({"logit_bias": {"50256": -100}}, "takes no extra request fields"),
]


async def test_what_is_wrong_is_told_with_its_place(gateway: Make) -> None:
    async with gateway('[presets.vote]\nstrategy = "majority:n=4"', "nano") as served:
        for fields, words in WRONG:
            with pytest.raises(openai.BadRequestError, match=words) as caught:
                await served.ask("nano@vote", extra_body=fields)
            assert caught.value.type == "invalid_request_error"
            assert caught.value.response.headers["x-should-retry"] == "false"
            told = caught.value.param
            assert told is None or caught.value.message.removeprefix("Error code: 400 - ").startswith(told)
        with pytest.raises(openai.BadRequestError, match="verifier: goes with"):
            await served.ask("nano", extra_body={"mull": {"verifier": "nano-orm"}})
        with pytest.raises(openai.NotFoundError, match="no model 'gpt-5'") as missing:
            await served.ask("gpt-5")
        assert missing.value.code == "model_not_found"


async def test_bodies_that_are_no_chats(gateway: Make) -> None:
    import aiohttp

    async with gateway("[serve]\nbody_bytes = 2000", "nano") as served, aiohttp.ClientSession() as session:

        async def status(data: bytes, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, str]:
            told = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
            async with session.post(served.url + path, data=data, headers=told) as response:
                error = json.loads(await response.read())["error"]
                return response.status, error["message"]

        assert await status(b'{"model": ') == (400, "the body is not JSON: Expecting value: line 1 column 11 (char 10)")
        assert await status(b"[1]") == (400, "the body must be a JSON object")
        assert await status(b'{"a": NaN}') == (400, "a: must be a number of JSON, and NaN is none")
        assert await status(b"\xff") == (400, "the body is not UTF-8 text")
        assert await status(b"{}") == (400, "model: is missing")
        assert await status(b" " * 3000) == (413, "the body is larger than 2,000 bytes")
        assert (await status(b"{}", Content_Type="text/plain"))[0] == 415
        assert (await status(b"{}", Host="evil.example"))[0] == 403
        assert (await status(b"{}", "/v1/nothing"))[0] == 404
        assert (await status(b"{}", "/v1/models"))[0] == 405
