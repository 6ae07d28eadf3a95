"""Draws from a server: what is asked, what is read back, what it is said to have cost."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from fault_server import FaultServer, says
from mull import Budget, Cost, Finish, Message, Params, Prompt, Run, UsageError
from mull.bank import open_bank
from mull.cost import Price
from mull.testing import FakePurse
from mull.types import Draw, Sample
from mull.wire.address import clean_url

HELLO = Prompt.user("hello")


async def test_a_draw_has_the_text_of_its_seed_and_says_which_it_was(served) -> None:
    async with FaultServer(n="rejected") as server:
        draws = await Run(served(server), params=Params(max_tokens=50)).draw(HELLO, 8)
    assert [draw.draw for draw in draws] == list(range(8))
    assert all(draw.text == says("hello", draw.seed) and draw.finish is Finish.STOP for draw in draws)
    assert len({draw.seed for draw in draws}) == 8
    assert all(draw.batch is None and draw.cost.output_tokens == len(draw.text.split()) for draw in draws)


async def test_the_same_draw_has_the_same_text_in_another_run(served) -> None:
    async with FaultServer(n="rejected") as server:
        first = await Run(served(server)).draw(HELLO, 5)
        second = await Run(served(server)).draw(HELLO, 9)
    assert [draw.text for draw in first] == [draw.text for draw in second[:5]]


async def test_draws_share_a_request_where_the_server_can_and_their_prompt_is_paid_once(served) -> None:
    async with FaultServer() as server:
        model = served(server, most_n=8, price=Price(1.0, 2.0))
        await model.prepare()
        n_before, words_before = len(server.bodies), server.counts["words"]
        run = Run(model)
        draws = await run.draw(HELLO, 20)
        assert [body.get("n", 1) for body in server.bodies[n_before:]] == [8, 8, 4]
        first = draws[0].seed
        assert [body["seed"] for body in server.bodies[n_before:]] == [first, first + 8, first + 16]
    assert Counter(draw.batch for draw in draws) == {8: 16, 4: 4}
    assert [draw.seed for draw in draws] == list(range(first, first + 20))
    assert all(draw.text == says("hello", draw.seed) for draw in draws)
    assert len({draw.text for draw in draws}) > 10
    n_prompt = draws[0].cost.prompt_tokens
    assert sum(draw.cost.prompt_tokens for draw in draws) == 3 * n_prompt
    assert run.spent.output_tokens == server.counts["words"] - words_before
    assert run.spent.usd == pytest.approx((3 * n_prompt + 2 * run.spent.output_tokens) / 1e6)


async def test_a_draw_that_is_alone_has_a_seed_even_where_draws_could_share(served) -> None:
    async with FaultServer() as server:
        (draw,) = await Run(served(server)).draw(HELLO, 1)
    assert draw.seed is not None
    assert draw.text == says("hello", draw.seed)


async def test_the_bank_keeps_which_seed_and_which_batch(served, tmp_path) -> None:
    async with FaultServer() as server:
        with open_bank(str(tmp_path / "b.db")) as bank:
            first = await Run(served(server), bank=bank).draw(HELLO, 5)
        with open_bank(str(tmp_path / "b.db")) as bank:
            n_before = len(server.bodies)
            second = await Run(served(server), bank=bank).draw(HELLO, 5)
            assert len(server.bodies) == n_before
    assert first == second
    assert {draw.batch for draw in second} == {5}


async def test_what_is_asked_is_said_even_where_it_is_the_usual(served) -> None:
    async with FaultServer() as server:
        params = Params(0.7, 33, ("\n", "##"), top_p=0.9, top_k=12, logprobs=3)
        await Run(served(server), params=params).draw(HELLO, 1)
        body = server.bodies[-1]
    told = {name: body[name] for name in ("temperature", "max_tokens", "stop", "top_p", "top_k", "logprobs")}
    assert told == {
        "temperature": 0.7, "max_tokens": 33, "stop": ["\n", "##"], "top_p": 0.9, "top_k": 12, "logprobs": True,
    }  # fmt: skip
    # vLLM would take filters from the model's generation_config otherwise.
    assert body["min_p"] == 0.0
    assert body["repetition_penalty"] == 1.0


@pytest.mark.parametrize(
    ("owner", "n", "asked"), [("vllm", 3, 4), ("vllm", 20, 20), ("llamacpp", 3, 3), ("vllm", 0, None)]
)
async def test_the_likeliest_tokens_are_asked_for_beside_the_chosen_one(served, owner: str, n: int, asked: int) -> None:
    """vLLM's chats put the chosen token in the place of the last of them, where it is not among them."""
    async with FaultServer(owned_by=owner) as server:
        await Run(served(server), params=Params(logprobs=n)).draw(HELLO, 1)
        assert server.bodies[-1].get("top_logprobs") == asked


async def test_a_filter_that_was_not_asked_for_is_switched_off(served) -> None:
    async with FaultServer() as server:
        await Run(served(server)).draw(HELLO, 1)
        assert server.bodies[-1]["top_k"] == -1
        assert server.bodies[-1]["top_p"] == 1.0


async def test_log_probabilities_and_the_likeliest_tokens(served) -> None:
    async with FaultServer() as server:
        (draw,) = await Run(served(server), params=Params(logprobs=1)).draw(HELLO, 1)
    n = len(draw.text.split())
    assert draw.logprobs == (-0.25,) * n
    assert draw.alternatives == ((("?", -2.0),),) * n


async def test_log_probabilities_tell_each_draws_tokens_where_a_request_is_shared(served) -> None:
    async with FaultServer() as server:
        draws = await Run(served(server), params=Params(logprobs=0)).draw(HELLO, 6)
    assert [draw.cost.output_tokens for draw in draws] == [len(draw.text.split()) for draw in draws]


async def test_log_probabilities_that_nobody_tells_are_refused_before_anything_is_drawn(served) -> None:
    async with FaultServer(has_logprobs=False) as server:
        run = Run(served(server), params=Params(logprobs=1))
        await run.prepare()
        n_before = len(server.bodies)
        with pytest.raises(UsageError, match="its server returns no log-probabilities"):
            await run.draw(HELLO, 1)
        assert len(server.bodies) == n_before


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
@pytest.mark.parametrize("stream", [True, None])
async def test_a_thought_is_told_apart_whatever_its_field_is_called(served, name: str, stream: bool | None) -> None:
    async with FaultServer(thinks_as=name) as server:
        draws = await Run(served(server)).draw(HELLO, 2)
    assert all(draw.reasoning == "thinking of hello" and "thinking" not in draw.text for draw in draws)


async def test_a_reply_that_was_cut_says_so(served) -> None:
    async with FaultServer() as server:
        (draw,) = await Run(served(server), params=Params(max_tokens=3)).draw(HELLO, 1)
    assert draw.finish is Finish.LENGTH
    assert len(draw.text.split()) == 3


@pytest.mark.parametrize("stop", ["told", "kept", "dropped", "ignored"])
async def test_a_stop_string_ends_a_draw_and_is_not_in_its_text(served, stop: str) -> None:
    async with FaultServer(stop=stop, owned_by="someone") as server:
        model = served(server)
        draws = await Run(model, params=Params(max_tokens=50, stop=(" answer",))).draw(HELLO, 6)
        assert model.capabilities.stop == stop
    assert all(draw.finish is Finish.STOP_STRING and draw.text and "answer" not in draw.text for draw in draws)


@pytest.mark.parametrize(("stop", "finish"), [("told", Finish.STOP), ("kept", Finish.STOP), ("ignored", Finish.STOP)])
async def test_an_end_without_a_stop_string_is_told_from_one_with(served, stop: str, finish: Finish) -> None:
    async with FaultServer(stop=stop) as server:
        draws = await Run(served(server), params=Params(max_tokens=50, stop=("never",))).draw(HELLO, 4)
    assert {draw.finish for draw in draws} == {finish}


async def test_where_stop_strings_are_ignored_the_reply_is_streamed_and_broken_off(served) -> None:
    async with FaultServer(stop="ignored") as server:
        draws = await Run(served(server), params=Params(max_tokens=50, stop=(" answer",))).draw(HELLO, 3)
        assert all(body["stream"] and "stop" not in body for body in server.bodies[-3:])
    assert all(draw.cost.output_tokens is None for draw in draws), "what came after the stop string nobody counted"
    assert all(says("hello", draw.seed).startswith(draw.text + " answer") for draw in draws)


async def test_a_streamed_reply_is_the_same_as_a_whole_one(served) -> None:
    async with FaultServer(n="rejected") as server:
        whole = await Run(served(server)).draw(HELLO, 4)
        streamed = await Run(served(server, stream=True)).draw(HELLO, 4)
        assert server.bodies[-1]["stream_options"] == {"include_usage": True}
    assert [(d.text, d.finish, d.cost.output_tokens) for d in streamed] == [
        (d.text, d.finish, d.cost.output_tokens) for d in whole
    ]


async def test_plain_completions(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server, api="completions")
        (draw,) = await Run(model, params=Params(max_tokens=50, logprobs=1)).draw(HELLO, 1)
        assert draw.text == says("hello", draw.seed)
        assert draw.logprobs == (-0.25,) * len(draw.text.split())
        assert model.refuses(HELLO.extend("so"), Params()) is None
        await Run(model).draw(HELLO.extend(" wor"), 1)
        assert server.bodies[-1]["prompt"] == "hello wor"


async def test_a_conversation_is_sent_as_it_is(served) -> None:
    turns = (Message("system", "be short"), Message("user", "a"), Message("assistant", "b"), Message("user", "é"))
    async with FaultServer() as server:
        await Run(served(server)).draw(Prompt(turns), 1)
        sent = server.bodies[-1]["messages"]
    assert [(m["role"], m["content"]) for m in sent] == [(t.role, t.content) for t in turns]


async def test_cached_tokens_are_told_and_cheaper(served) -> None:
    async with FaultServer(n="rejected", cached=2) as server:
        price = Price(10.0, 0.0, 1e9, usd_per_mtok_cached=1.0)
        (draw,) = await Run(served(server, price=price)).draw(HELLO, 1)
    n = draw.cost.prompt_tokens
    assert draw.cost.cached_tokens == 2
    assert draw.cost.usd == pytest.approx((10 * (n - 2) + 2) / 1e6)
    assert draw.cost.flops == 2e9 * (n - 2 + draw.cost.output_tokens)


async def test_what_was_not_told_is_unknown_and_not_nothing(served) -> None:
    async with FaultServer(n="rejected") as server:
        (draw,) = await Run(served(server)).draw(HELLO, 1)
    assert draw.cost.cached_tokens is None
    assert draw.cost.usd is None
    assert draw.cost.flops is None


async def test_extra_fields_go_with_every_request_and_tell_draws_apart(served) -> None:
    async with FaultServer() as server:
        plain, extra = served(server), served(server, extra='{"reasoning_effort": "low"}')
        await Run(extra).draw(HELLO, 1)
        assert server.bodies[-1]["reasoning_effort"] == "low"
    assert plain.identity != extra.identity


async def test_a_budget_in_dollars_is_never_exceeded(served) -> None:
    async with FaultServer() as server:
        model = served(server, price=Price(1.0, 10.0))
        await model.prepare()
        run = Run(model, budget=Budget(usd=0.002), params=Params(max_tokens=30))
        draws = await run.draw(HELLO, 100)
    assert 5 < len(draws) < 100
    assert run.spent.usd <= 0.002
    assert run.held == Cost()


async def left_while_asked(server: FaultServer, draws: AsyncGenerator[Sample, None], n: int) -> None:
    """Waits for a draw until the server has `n` more requests, and then no longer."""
    asked = len(server.bodies) + n
    async with aclosing(draws):
        waiting = asyncio.ensure_future(anext(draws))
        await server.asked(asked)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_leaving_early_closes_the_requests_and_what_they_cost_is_not_nothing(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server)
        await model.prepare()
        server.latency = 30.0
        purse = FakePurse()
        draws = [Draw(i, i) for i in range(4)]
        await left_while_asked(server, model.sample(HELLO, Params(), draws, purse), 4)
        await server.all_gone(4)
    assert len(purse.losses) == 4
    assert all(cost.calls == 1 and cost.output_tokens is None and cost.seconds > 0 for cost in purse.losses)


async def test_draws_that_wait_in_line_when_a_strategy_leaves_cost_nothing(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server, concurrency=2)
        await model.prepare()
        server.latency = 30.0
        purse = FakePurse()
        await left_while_asked(server, model.sample(HELLO, Params(), [Draw(i, i) for i in range(9)], purse), 2)
    assert len(purse.losses) == 2


async def test_a_deadline_ends_draws_under_way(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server)
        await model.prepare()
        server.latency = 30.0
        run = Run(model, budget=Budget(seconds=2.0))
        assert await run.draw(HELLO, 3) == []
    assert run.stopped == "deadline"
    assert run.spent.calls == 3
    assert run.spent.output_tokens is None


async def test_the_key_is_sent_and_in_nothing_that_is_told(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "sk-canary-7")
    async with FaultServer(key="sk-canary-7", script=["ok"] * 40) as server:
        model = served(server, api_key_env="CANARY")
        await model.prepare()
        server._script = iter(["echo"])
        (draw,) = await Run(model).draw(HELLO, 1)
    assert "you said" in draw.text
    assert "sk-canary-7" not in f"{draw} {model} {model.capabilities} {vars(model)}"


async def test_a_key_that_is_not_there_is_asked_for(served) -> None:
    async with FaultServer() as server:
        with pytest.raises(UsageError, match=r"the environment variable NO_SUCH_KEY \(api_key_env\) is not set"):
            await served(server, api_key_env="NO_SUCH_KEY").prepare()


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        (" http://localhost:8000/v1/ ", "http://localhost:8000/v1"),
        ("https://a.example/v1/chat/completions", "https://a.example/v1"),
    ],
)
def test_urls_are_cleaned(url: str, clean: str) -> None:
    assert clean_url(url) == clean


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a/v1", "http://", "http://a:99999/v1", "http://a:x/v1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="base_url must be like http://localhost:8000/v1"):
        clean_url(url)


@pytest.mark.parametrize("url", ["http://u:secret@a/v1", "http://a/v1?api_key=secret", "http://a/v1#secret"])
def test_a_key_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="api_key_env") as caught:
        clean_url(url)
    assert "secret" not in str(caught.value)


def test_a_server_may_move_without_its_draws_being_paid_for_again(served) -> None:
    here, there = FaultServer(url="http://a/v1"), FaultServer(url="http://b/v1")
    assert served(here, bank_as="").identity != served(there, bank_as="").identity
    assert served(here, bank_as="x").identity == served(there, bank_as="x").identity


def test_bodies_are_json() -> None:
    from mull.models.served.requests import RequestTemplate

    asked = RequestTemplate("/x", b'{"model":"m"', False, (), 0, "told")
    assert json.loads(asked.body(3, 5)) == {"model": "m", "n": 3, "seed": 5}
    assert json.loads(asked.body(1, None)) == {"model": "m"}
