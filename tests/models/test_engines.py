"""What llama.cpp and vLLM do that others do not, as the fault server does it: limits, counts, seeds, slots."""

import json

import pytest

from fault_server import FaultServer, says
from mull import Budget, Finish, Params, Prompt, Run
from mull.models.served import known
from mull.models.served.drawing import limit_of_n
from mull.models.served.opened import opened
from mull.wire.endpoints import Endpoint, Limits, Pool
from mull.wire.replies import Stream, read_reply, read_usage

HELLO = Prompt.user("hello")


async def drawn(
    model, n: int, server: FaultServer, prompt: Prompt = HELLO, **params: object
) -> tuple[list, list[dict]]:
    """The draws, and the bodies of the requests that they took beside the probe."""
    await model.prepare()
    n_before = len(server.bodies)
    draws = await Run(model, params=Params(**params)).draw(prompt, n)
    return draws, server.bodies[n_before:]


def words(draw) -> int:
    return len(draw.text.split())


async def test_no_request_asks_for_more_replies_than_the_server_has_slots(served) -> None:
    async with FaultServer(owned_by="llamacpp", slots=4, covers="first") as server:
        draws, bodies = await drawn(served(server), 16, server)
        assert max(body.get("n", 1) for body in bodies) <= 4
        assert len(bodies) < 16
        (one,) = (await drawn(served(server), 3, server))[1]
    assert one["n"] == 3
    assert all(draw.finish is Finish.STOP for draw in draws)


async def test_a_limit_on_replies_is_learned_from_a_refusal_and_remembered(served, monkeypatch) -> None:
    async with FaultServer(most_n=5) as server:
        model = served(server)
        draws, bodies = await drawn(model, 16, server)
        assert [draw.text for draw in draws] == [says("hello", draw.seed) for draw in draws]
        refused = [body for body in bodies if body.get("n", 1) > 5]
        assert len(refused) == 1
        assert all(draw.cost.retries == 0 for draw in draws), "a refusal costs nothing"
        monkeypatch.setattr(known, "_known", {})
        assert model.capabilities.most_n == 5
        (await opened(model.deployment)).can = None
        _, bodies = await drawn(model, 16, server, Prompt.user("more"))
    assert max(body.get("n", 1) for body in bodies) == 5


@pytest.mark.parametrize(
    ("words", "n", "limit"),
    [
        ("HTTP 400: Field 'n': Value must be between 1 <= value <= 8", 16, 8),
        ("HTTP 400: n must be less than or equal to 4", 16, 4),
        ("HTTP 400: Invalid 'n': integer above maximum value. Expected a value <= 128, but got 200 instead.", 200, 128),
        ("HTTP 400: only n = 1 is supported", 16, 1),
        ("HTTP 422: n is not supported", 16, 8),
        ("HTTP 400: prompt is too long: 5000 tokens", 16, None),
    ],
)
def test_what_a_refusal_says_of_the_most_replies(words: str, n: int, limit: int | None) -> None:
    assert limit_of_n(words, n) == limit


async def test_greedy_draws_go_alone(served) -> None:
    """vLLM refuses several greedy replies to one request."""
    async with FaultServer() as server:
        draws, bodies = await drawn(served(server), 3, server, temperature=0.0)
    assert all("n" not in body for body in bodies)
    assert {draw.finish for draw in draws} == {Finish.STOP}


@pytest.mark.parametrize("most", [4, None])
async def test_stop_strings_beyond_what_a_server_takes_are_cut_by_the_client(served, most: int | None) -> None:
    stops = ("W", "X", "Y", "Z", " answer")
    async with FaultServer(most_stops=most, owned_by="vllm" if most else "llamacpp") as server:
        draws, bodies = await drawn(served(server), 4, server, stop=stops, max_tokens=50)
    assert all(len(body["stop"]) == (most or 5) for body in bodies)
    for draw in draws:
        whole = says("hello", draw.seed)
        assert draw.text == whole[: min(whole.find(stop) for stop in stops if stop in whole)]
        assert draw.finish is Finish.STOP_STRING


async def test_every_reply_is_counted_where_the_counts_cover_the_first_alone(served) -> None:
    async with FaultServer(owned_by="llamacpp", slots=8, covers="first") as server:
        model = served(server)
        await model.prepare()
        before = server.counts["words"]
        run = Run(model)
        draws = await run.draw(HELLO, 12)
        assert not model.capabilities.counts_all
        assert run.spent.output_tokens == server.counts["words"] - before
    assert [draw.cost.output_tokens for draw in draws] == [words(draw) for draw in draws]


@pytest.mark.parametrize("field", ["stream", "stream_options"])
async def test_replies_that_cannot_be_counted_together_are_asked_for_alone(served, field: str) -> None:
    async with FaultServer(covers="first", rejects=frozenset({field})) as server:
        draws, bodies = await drawn(served(server), 6, server)
    assert all("n" not in body for body in bodies)
    assert [draw.cost.output_tokens for draw in draws] == [words(draw) for draw in draws]


@pytest.mark.parametrize("covers", ["all", "first"])
async def test_a_ceiling_on_tokens_is_not_passed_whatever_the_counts_cover(served, covers: str) -> None:
    async with FaultServer(owned_by="llamacpp", slots=4, covers=covers) as server:
        model = served(server)
        await model.prepare()
        before = server.counts["words"]
        run = Run(model, budget=Budget(tokens=100), params=Params(max_tokens=12))
        await run.draw(HELLO, 40)
        assert run.spent.output_tokens == server.counts["words"] - before <= 100


async def test_counts_below_one_token_a_reply_are_not_believed(served) -> None:
    async with FaultServer() as server:
        model = served(server)
        await model.prepare()
        server.usage = {"completion_tokens": 3}
        draws = await Run(model).draw(HELLO, 8)
    assert {draw.cost.output_tokens for draw in draws} == {None}


async def test_a_draw_that_was_cut_has_all_its_tokens_and_none_has_more(served) -> None:
    async with FaultServer() as server:
        draws, _ = await drawn(served(server), 12, server, max_tokens=8)
    cut = [draw for draw in draws if draw.finish is Finish.LENGTH]
    assert 0 < len(cut) < 12
    assert all(draw.cost.output_tokens == 8 for draw in cut)
    assert max(draw.cost.output_tokens for draw in draws) <= 8
    assert sum(draw.cost.output_tokens for draw in draws) == sum(map(words, draws))


async def test_the_seconds_of_a_shared_request_are_shared(served) -> None:
    async with FaultServer(latency=0.5) as server:
        draws, bodies = await drawn(served(server), 8, server)
    assert len(bodies) == 1
    assert len({draw.cost.seconds for draw in draws}) == 1
    assert sum(draw.cost.seconds for draw in draws) >= 0.5
    assert draws[0].cost.seconds < 0.5


async def test_a_draw_is_the_same_alone_and_in_a_request_with_others(served) -> None:
    async with FaultServer() as server:
        together, _ = await drawn(served(server), 6, server)
        alone, _ = await drawn(served(server, use_n=False), 6, server)
    assert [draw.text for draw in together] == [draw.text for draw in alone]
    assert [draw.seed for draw in together] == [draw.seed for draw in alone]


@pytest.mark.parametrize(("way", "is_sent"), [("first", True), ("copied", False)])
async def test_where_a_seed_does_not_count_on_draws_are_different_all_the_same(served, way: str, is_sent: bool) -> None:
    async with FaultServer(batch_seeds=way) as server:
        model = served(server)
        draws, bodies = await drawn(model, 8, server)
    assert model.capabilities.batch_seeds == ("copied" if way == "copied" else "mixed")
    assert [("seed" in body, body["n"]) for body in bodies] == [(is_sent, 8)]
    assert all(draw.seed is None for draw in draws)
    assert len({draw.text for draw in draws}) > 4


async def test_a_partial_reply_that_comes_back_is_not_in_the_text(served) -> None:
    async with FaultServer(continues="trailing", owned_by="lmstudio", echoes=True) as server:
        model = served(server)
        await model.prepare()
        assert model.capabilities.echoes
        prefix = says("hello", 0)[:9]
        (rest,) = await Run(model, params=Params(temperature=0.0)).draw(HELLO.extend(prefix), 1)
    assert rest.reply == says("hello", 0)


async def test_a_server_that_begins_anew_does_not_pass_for_one_that_repeats(served) -> None:
    """A greedy reply begun anew begins with the partial reply, too."""

    class Anew(FaultServer):
        def _may_continue(self, body, last):
            body["messages"] = body["messages"][:-1]
            return False

    async with Anew(owned_by="someone") as server:
        model = served(server)
        await model.prepare()
    assert (model.capabilities.continues, model.capabilities.echoes) == (None, False)


async def test_content_in_parts_is_text(served) -> None:
    async with FaultServer(parts=True) as server:
        draws, _ = await drawn(served(server), 2, server)
    assert [draw.text for draw in draws] == [says("hello", draw.seed) for draw in draws]


def test_thoughts_among_the_parts_of_a_message() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm "}, {"type": "text", "text": "so"}]},
        {"type": "text", "text": "It is "},
        "4",
        {"type": "image"},
    ]
    row = {"index": 0, "finish_reason": "stop", "message": {"content": parts}}
    (choice,) = read_reply(json.dumps({"choices": [row]}).encode()).choices
    assert (choice.text, choice.reasoning) == ("It is 4", "hm so")


@pytest.mark.parametrize(
    ("details", "output"),
    [
        ({"completion_tokens": 50, "reasoning_tokens": 40, "total_tokens": 60}, 50),  # inside, as OpenAI counts
        ({"completion_tokens": 10, "reasoning_tokens": 40, "total_tokens": 60}, 50),  # beside, as xAI counts
        ({"completion_tokens": 10, "reasoning_tokens": 40}, 50),
        ({"completion_tokens": 50, "reasoning_tokens": 0, "total_tokens": 60}, 50),
    ],
)
def test_reasoning_tokens_count_once_beside_or_inside_the_completion(details: dict, output: int) -> None:
    nested = {"completion_tokens_details": {"reasoning_tokens": details.pop("reasoning_tokens")}}
    assert read_usage({"prompt_tokens": 10, **details, **nested}).output == output


def test_counts_after_each_reply_of_a_stream_are_each_replys_own() -> None:
    stream = Stream()
    for event in (
        {"choices": [{"index": 1, "delta": {"content": "b"}}]},
        {"choices": [{"index": 0, "delta": {"content": "a a"}}]},
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    ):
        stream.feed(b"data: " + json.dumps(event).encode())
    reply = stream.reply()
    assert {choice.index: choice.n_tokens for choice in reply.choices} == {0: 3, 1: 2}
    assert (reply.usage.prompt, reply.usage.output) == (7, 5)


async def test_a_stream_that_stalls_keeps_the_replies_that_have_ended(served) -> None:
    async with FaultServer() as server:
        model = served(server, stream=True, idle=2.0)
        await model.prepare()
        server._script = iter(["stall"])
        n_before = len(server.bodies)
        draws = await Run(model).draw(HELLO, 4)
        asked = [body.get("n", 1) for body in server.bodies[n_before:]]
    assert [draw.text for draw in draws] == [says("hello", draw.seed) for draw in draws]
    assert asked == [4, 1, 1], "only those that had not ended are asked for again"


async def test_no_more_replies_are_under_way_than_slots(served) -> None:
    pool = Pool(["x"], Limits())
    (endpoint,) = pool.endpoints
    endpoint.slots = 8
    first = await pool.acquire(n=4)
    await pool.acquire(n=4)
    assert not endpoint.is_free(0.0, 1)
    pool.release(first, 4)
    assert endpoint.is_free(0.0, 4)
    assert not endpoint.is_free(0.0, 5)


def test_a_slow_server_is_sent_little_at_first() -> None:
    """At 2 tokens a second, 600 s and 6,400 tokens a request, a second request at once might be cut."""
    slow, fast = Endpoint("x", 64), Endpoint("x", 64)
    slow.expect(2.0, 16 * 400)
    fast.expect(80.0, 16 * 400)
    assert (slow.limit, fast.limit) == (1.0, 16.0)


def test_the_limit_does_not_rise_while_replies_take_most_of_their_time() -> None:
    endpoint = Endpoint("x", 64, timeout=600.0)
    endpoint.n_active = 16
    endpoint.succeeded(301.0, None)
    assert endpoint.limit == 16


async def test_a_request_that_is_cut_off_is_congestion(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server, timeout=3.0, retries=1)
        await model.prepare()
        endpoint = (await opened(model.deployment)).link.pool.endpoints[0]
        before = endpoint.limit
        server._script = iter(["hang"])
        (draw,) = await Run(model).draw(HELLO, 1)
        assert draw.text
        assert endpoint.limit == before / 2


async def test_a_one_model_server_needs_no_name(served) -> None:
    async with FaultServer(models=("/models/words-Q4.gguf",)) as server:
        draws, bodies = await drawn(served(server, served="mine", is_named=False), 1, server)
        assert bodies[0]["model"] == "/models/words-Q4.gguf"
        _, bodies = await drawn(served(server, served="words-Q4"), 1, server)
        assert bodies[0]["model"] == "/models/words-Q4.gguf"
    assert draws[0].text
