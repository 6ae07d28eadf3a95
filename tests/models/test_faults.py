"""What servers do when they fail, and what becomes of the draws: nothing is lost, doubled, or made up."""

import asyncio
import time
from dataclasses import replace

import pytest

from fault_server import MIXED, FaultServer, says
from mull import Budget, Cost, Finish, Params, Prompt, Run, UsageError
from mull.cost import Price
from mull.errors import ModelError
from mull.models.served.model import OpenAIModel
from mull.models.served.opened import opened
from mull.wire.backoff import retry_after
from mull.wire.endpoints import Endpoint, Limits, Pool
from mull.wire.faults import Broken
from mull.wire.link import Link

HELLO = Prompt.user("hello")


async def ready(model: OpenAIModel, server: FaultServer, *faults: str) -> Run:
    """A run on a server that has been looked at, and fails from now on."""
    run = Run(model, params=Params(max_tokens=50))
    await model.prepare()
    server._script = iter(faults)
    return run


@pytest.mark.parametrize("fault", ["429", "429-after", "503"])
async def test_a_refused_draw_is_asked_for_again_and_nothing_was_paid(served, fault: str) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, fault, fault)
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text == says("hello", draw.seed)
    assert draw.cost.retries == 2
    assert draw.cost.output_tokens == len(draw.text.split()), "a refusal costs nothing, and that is known"


@pytest.mark.parametrize("fault", ["500", "502", "reset", "truncated", "not-json", "no-choices"])
async def test_a_draw_whose_reply_broke_is_asked_for_again_and_nobody_knows_what_it_cost(served, fault: str) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, fault)
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text == says("hello", draw.seed)
    assert draw.cost.retries == 1
    assert draw.cost.calls == 1
    assert draw.cost.output_tokens is None
    assert draw.cost.seconds > 0


@pytest.mark.parametrize("fault", ["empty", "null", "no-finish"])
async def test_a_useless_reply_is_asked_for_again_and_paid_for(served, fault: str) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, fault)
        words = server.counts["words"]
        (draw,) = await run.draw(HELLO, 1)
        assert draw.cost.output_tokens == server.counts["words"] - words
    assert draw.text == says("hello", draw.seed)
    assert draw.cost.retries == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("empty", "the reply is empty"),
        ("null", "the reply is empty"),
        ("no-finish", "does not say why it ended"),
        ("not-json", "not JSON"),
        ("truncated", "broke off in the middle"),
        ("500", "HTTP 500: it said 500"),
        ("reset", "connection"),
        ("no-choices", "no list of choices"),
    ],
)
async def test_what_fails_for_good_is_an_error_with_its_reason_and_never_an_answer(
    served, fault: str, reason: str
) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, retries=2), server, *[fault] * 3)
        n_before = len(server.bodies)
        (draw,) = await run.draw(HELLO, 1)
        assert len(server.bodies) - n_before == 3
    assert draw.finish is Finish.ERROR
    assert reason in draw.error
    assert "tried 3 times" in draw.error
    assert draw.text == ""
    assert draw.cost.retries == 2


@pytest.mark.parametrize(("fault", "reason"), [("400", "it said 400"), ("filter", "content filter")])
async def test_what_will_never_work_is_not_tried_again(served, fault: str, reason: str) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, fault)
        n_before = len(server.bodies)
        (draw,) = await run.draw(HELLO, 1)
        assert len(server.bodies) - n_before == 1
    assert draw.finish is Finish.ERROR
    assert reason in draw.error
    assert draw.cost.retries == 0


async def test_a_context_overflow_is_said_to_be_one(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server)
        server.context = 2
        (draw,) = await run.draw(Prompt.user("one two three four five"), 1)
    assert "prompt and reply do not fit the model's context (HTTP 400: This model's maximum" in draw.error


async def test_a_reply_that_hangs_is_given_up_at_its_deadline(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, timeout=2.0), server, "hang")
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text == says("hello", draw.seed)
    assert draw.cost.retries == 1
    assert draw.cost.seconds >= 2


async def test_a_reply_that_trickles_is_given_up_at_its_deadline(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, timeout=0.3, retries=1), server, "trickle", "trickle")
        (draw,) = await run.draw(HELLO, 1)
    assert "no whole reply within 0.3 s; tried 2 times" in draw.error


async def test_a_page_that_never_comes_is_said_to_have_had_the_seconds_that_it_had() -> None:
    is_closed = asyncio.Event()

    async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        is_closed.set()

    async with await asyncio.start_server(answers_once, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        link = Link((url,), None, Limits(connect=60.0, timeout=600.0))
        assert await link.get(f"{url}/models") == (200, b"{}")
        link.limits = replace(link.limits, connect=0.1)  # the connection is there already
        with pytest.raises(Broken, match=r"no whole reply within 0\.1 s"):
            await link.get(f"{url}/models")
        await link.close()
        await is_closed.wait()


async def test_of_a_huge_reply_no_more_is_read_than_fits(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, retries=0), server, "huge")
        (draw,) = await run.draw(HELLO, 1)
        assert server.counts["megabytes"] < 60
    assert "larger than" in draw.error


@pytest.mark.parametrize("fault", ["wrong-n", "duplicate"])
async def test_of_too_few_replies_the_missing_are_asked_for_again(served, fault: str) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, fault)
        words, n_before = server.counts["words"], len(server.bodies)
        draws = await run.draw(HELLO, 8)
        assert [body["n"] for body in server.bodies[n_before:]] == [8, 4]
        assert run.spent.output_tokens == server.counts["words"] - words, "what was paid for twice counts twice"
    assert [draw.draw for draw in draws] == list(range(8))
    assert all(draw.text for draw in draws)
    assert sum(draw.cost.retries for draw in draws) == 1, "one request was repeated, for four draws"


async def test_a_surrogate_and_a_nul_are_replaced(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, "surrogate")
        (draw,) = await run.draw(HELLO, 1)
    draw.text.encode()
    assert "\0" not in draw.text
    assert draw.text.endswith("answer: a")


async def test_no_reply_no_seed_and_no_share_is_lost_or_doubled_among_many_failures(served) -> None:
    async with FaultServer(mixed=0.3, n="rejected") as server:
        draws = await Run(served(server), params=Params(max_tokens=50)).draw(HELLO, 400)
    assert [draw.draw for draw in draws] == list(range(400))
    assert all(draw.text == says("hello", draw.seed) for draw in draws)
    assert sum(draw.cost.retries for draw in draws) > 80
    assert len({fault for fault in MIXED if server.counts[fault]}) == 9


async def test_among_many_failures_of_shared_requests_too(served) -> None:
    """Which draws share a request depends on timing; 400 requests miss one of the 11 faults once in 7,000 runs."""
    async with FaultServer(mixed=0.3) as server:
        draws = await Run(served(server, most_n=4), params=Params(max_tokens=50)).draw(HELLO, 1600)
    assert [draw.draw for draw in draws] == list(range(1600))
    assert all(draw.text.endswith(("a", "b", "c")) for draw in draws)
    assert {fault for fault in MIXED if server.counts[fault]} == set(MIXED)


async def test_a_retry_that_no_ceiling_leaves_room_for_is_not_made(served) -> None:
    """The failed attempt may have cost all that was held for it; a second would exceed the budget."""
    async with FaultServer(n="rejected") as server:
        model = served(server)
        await model.prepare()
        server._script = iter(["reset"])
        run = Run(model, budget=Budget(tokens=40), params=Params(max_tokens=30))
        (draw,) = await run.draw(HELLO, 1)
    assert draw.finish is Finish.ERROR
    assert "the budget leaves no room to try again" in draw.error
    assert run.held == Cost()
    assert run.left.tokens == 10, "what is unknown counts as the most that it can have been"


async def test_a_retry_that_fits_is_made_and_both_attempts_count(served) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server)
        await model.prepare()
        server._script = iter(["reset"])
        run = Run(model, budget=Budget(tokens=100), params=Params(max_tokens=30))
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text
    assert run.left.tokens == 40


@pytest.mark.parametrize("status", ["wrong", None])
async def test_a_wrong_key_is_not_tried_twice(served, status: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-wrong-1")
    async with FaultServer(key="right") as server:
        model = served(server, **({"api_key_env": "KEY"} if status else {}))
        words = "the key is refused" if status else "no key was sent; name its variable with api_key_env"
        with pytest.raises(ModelError, match=words) as caught:
            await Run(model).draw(HELLO, 3)
        assert server.bodies == []
    assert "sk-wrong-1" not in str(caught.value)


async def test_a_key_that_is_withdrawn_ends_the_run(served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-1")
    async with FaultServer(key="sk-1") as server:
        run = await ready(served(server, api_key_env="KEY"), server)
        server.key = "sk-2"
        with pytest.raises(ModelError, match=r"the key is refused \(HTTP 401: Incorrect API .* Bearer \*\*\*\)"):
            await run.draw(HELLO, 3)


async def test_a_spent_quota_is_not_waited_for(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, "quota")
        with pytest.raises(ModelError, match="You exceeded your current quota"):
            await run.draw(HELLO, 1)


async def test_a_wait_longer_than_mulls_patience_is_said(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, "429-long")
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"asks to wait 86400 s, and patience is 5 s: HTTP 429: busy"):
            await run.draw(HELLO, 1)
        assert time.monotonic() - started < 60


async def test_a_redirect_is_not_followed_and_its_query_not_repeated(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server), server, "redirect")
        with pytest.raises(ModelError, match=r"redirects to http://127.0.0.1:9/v1/elsewhere, which is not") as caught:
            await run.draw(HELLO, 1)
    assert "secret" not in str(caught.value)


KEY = 'sk-ca"nary/4f+1d2c&7'


@pytest.mark.parametrize("fault", ["redirect-key", "redirect-nowhere"])
async def test_the_key_in_the_address_of_a_redirect_is_not_repeated(served, fault: str, monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    async with FaultServer(key=KEY) as server:
        run = await ready(served(server, api_key_env="KEY"), server, fault)
        with pytest.raises(ModelError, match="redirects to") as caught:
            await run.draw(HELLO, 1)
    assert not any(part in str(caught.value) for part in ("nary", "1d2c", "secret"))


@pytest.mark.parametrize("letters", [1, 3, 5])
async def test_a_key_that_comes_in_pieces_of_a_stream_is_hidden(served, letters: int, monkeypatch) -> None:
    monkeypatch.setenv("KEY", KEY)
    async with FaultServer(key=KEY, letters=letters) as server:
        run = await ready(served(server, api_key_env="KEY", stream=True), server, "echo")
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text == "you said Bearer *** answer: a"


@pytest.mark.parametrize(("fault", "reason"), [("deep", "nested too deep"), ("choices", "no list of choices")])
@pytest.mark.parametrize("stream", [True, None])
async def test_a_reply_of_another_form_is_an_error_of_its_draw(served, fault: str, reason: str, stream) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, retries=1, stream=stream), server, fault, fault)
        (draw,) = await run.draw(HELLO, 1)
        (next_draw,) = await run.draw(HELLO, 1)
    assert draw.finish is Finish.ERROR
    assert stream or reason in draw.error
    assert next_draw.text


@pytest.mark.parametrize("told", [-5, 10**9, 10**400, "12", True, None, [1], {}])
async def test_counts_that_cannot_be_true_are_unknown(served, told: object) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, price=Price(1.0, 1.0, 1e9)), server)
        server.usage = {"prompt_tokens": told, "completion_tokens": told}
        (draw,) = await run.draw(HELLO, 1)
    assert (draw.cost.prompt_tokens, draw.cost.output_tokens, draw.cost.usd, draw.cost.flops) == (None,) * 4
    assert draw.text


async def test_more_cached_tokens_than_the_prompt_has_earn_no_money(served) -> None:
    async with FaultServer(n="rejected", cached=10**6) as server:
        run = await ready(served(server, price=Price(1.0, 1.0, usd_per_mtok_cached=0.1)), server)
        (draw,) = await run.draw(HELLO, 1)
    assert draw.cost.cached_tokens is None
    assert draw.cost.usd == pytest.approx((draw.cost.prompt_tokens + draw.cost.output_tokens) / 1e6)


async def test_a_model_that_is_always_streamed_is_looked_at_as_one(served) -> None:
    """Stop strings are tried after streaming is found: those replies come in events, too."""
    async with FaultServer() as server:
        model = served(server, stream=True)
        await model.prepare()
    assert (model.capabilities.stream, model.capabilities.stop) == (True, "told")


async def test_a_list_of_models_may_say_anything(served) -> None:
    async with FaultServer(owned_by=["vllm"]) as server:
        (draw,) = await Run(served(server)).draw(HELLO, 1)
    assert draw.text


async def test_draws_that_stand_in_line_do_not_wait_for_a_server_that_will_be_away_for_a_day(served) -> None:
    async with FaultServer(n="rejected") as server:
        run = await ready(served(server, concurrency=2, patience=0.5), server, *["429-long"] * 9)
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"asks to wait 86400 s, and patience is 0\.5 s"):
            await run.draw(HELLO, 9)
        with pytest.raises(ModelError, match=r"asks to wait longer than patience allows \(0.5 s\)"):
            await run.draw(HELLO, 9)
        assert time.monotonic() - started < 60


async def test_patience_begins_with_the_first_refusal(served) -> None:
    """A reply that took longer than patience to break is no reason to give up at the refusal after it."""
    async with FaultServer(n="rejected") as server:
        run = await ready(served(server, timeout=2.5, patience=2.0), server, "hang", "429", "429")
        (draw,) = await run.draw(HELLO, 1)
    assert draw.text
    assert draw.cost.retries == 3


async def test_a_model_that_the_server_does_not_have(served) -> None:
    async with FaultServer(models=("qwen3-8b", "llama")) as server:
        with pytest.raises(UsageError, match=r"unknown model 'qwen3-b': did you mean 'qwen3-8b'\?.* has: qwen3-8b, ll"):
            await Run(served(server, served="qwen3-b")).draw(HELLO, 1)
        assert server.bodies == []


async def test_a_wrong_port(served) -> None:
    model = served(FaultServer(url="http://127.0.0.1:9/v1"))
    with pytest.raises(ModelError, match=r"127.0.0.1:9/v1: cannot connect: .*; is the server running\?"):
        await Run(model).draw(HELLO, 1)


async def test_a_host_that_there_is_not(served) -> None:
    model = served(FaultServer(url="http://no-such-host.invalid/v1"))
    with pytest.raises(ModelError, match=r"no-such-host.invalid/v1: cannot connect"):
        await Run(model).draw(HELLO, 1)


async def test_https_where_there_is_none(served) -> None:
    async with FaultServer() as server:
        model = served(FaultServer(url=server.url.replace("http:", "https:")))
        with pytest.raises(ModelError, match="no secure connection"):
            await Run(model).draw(HELLO, 1)


async def test_a_forgotten_v1_is_noticed(served) -> None:
    async with FaultServer() as server:
        root = server.url.removesuffix("/v1")
        with pytest.raises(UsageError, match=rf"did you mean base_url = {root}/v1\?"):
            await Run(served(FaultServer(url=root))).draw(HELLO, 1)


async def test_a_server_of_another_kind(served) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(UsageError, match=r"is no OpenAI-compatible server: GET .*/models answers with a web page"):
            await Run(served(FaultServer(url=f"http://127.0.0.1:{port}/v1"))).draw(HELLO, 1)


async def test_of_several_endpoints_one_that_is_down_is_passed_over(served) -> None:
    async with FaultServer(n="rejected") as one, FaultServer(n="rejected") as two:
        dead = FaultServer(url="http://127.0.0.1:9/v1")
        draws = await Run(served(one, dead, two)).draw(HELLO, 60)
        assert all(draw.finish is Finish.STOP for draw in draws)
        assert min(one.counts["ok"], two.counts["ok"]) > 10


async def test_an_endpoint_that_goes_away_in_the_middle_is_left(served) -> None:
    async with FaultServer(n="rejected") as one:
        async with FaultServer(n="rejected") as two:
            run = await ready(served(one, two, concurrency=4), two)
            await run.draw(HELLO, 20)
            assert two.counts["ok"] > 0
        draws = await run.draw(HELLO, 20)
    assert [draw.text for draw in draws] == [says("hello", draw.seed) for draw in draws]


async def test_an_endpoint_with_another_key_is_left_and_said_where_it_was_the_last(served, monkeypatch) -> None:
    monkeypatch.setenv("KEY", "sk-1")
    async with FaultServer(key="sk-1", n="rejected") as one, FaultServer(key="sk-2", n="rejected") as two:
        draws = await Run(served(one, two, api_key_env="KEY")).draw(HELLO, 20)
        assert len(draws) == 20
        assert two.counts["ok"] == 0


async def test_a_server_that_takes_only_so_many_at_once_is_not_pressed(served) -> None:
    """The limit halves at each 429 and rises slowly: far fewer refusals than requests."""
    async with FaultServer(n="rejected", capacity=5, latency=0.005) as server:
        model = served(server, patience=60.0)
        draws = await Run(model).draw(HELLO, 400)
        endpoint = (await opened(model.deployment)).link.pool.endpoints[0]
        assert endpoint.limit <= 12
        assert server.counts["429"] < 150
    assert all(draw.finish is Finish.STOP for draw in draws)


async def test_no_more_requests_are_under_way_than_allowed(served) -> None:
    async with FaultServer(n="rejected", latency=0.01) as server:
        await Run(served(server, concurrency=24)).draw(HELLO, 400)
        assert 1 < server.counts["peak"] <= 24


def test_the_limit_rises_to_what_is_allowed_while_latency_is_flat() -> None:
    endpoint = Endpoint("x", 64)
    assert endpoint.limit == 16
    for _ in range(100):
        endpoint.n_active = int(endpoint.limit)
        endpoint.succeeded(0.1, None)
    assert endpoint.limit == 64
    endpoint.refused(0.0, 1.0, None)
    assert endpoint.limit == 32
    for _ in range(33):
        endpoint.n_active = int(endpoint.limit)
        endpoint.succeeded(0.1, None)
    assert 32.9 < endpoint.limit < 33.1, "after a refusal by one for each round of requests"


def test_the_limit_stays_where_latency_rises() -> None:
    endpoint = Endpoint("x", 64)
    endpoint.n_active = 16
    endpoint.succeeded(0.1, None)
    risen = endpoint.limit
    for _ in range(50):
        endpoint.n_active = int(endpoint.limit)
        endpoint.succeeded(1.0, None)
    assert risen == 17
    assert endpoint.limit <= 18


def test_refusals_of_requests_that_were_under_way_together_halve_once() -> None:
    endpoint = Endpoint("x", 64)
    for _ in range(8):
        endpoint.refused(started=1.0, now=2.0, wait=None)
    assert endpoint.limit == 8
    endpoint.refused(started=2.5, now=3.0, wait=7.0)
    assert endpoint.limit == 4
    assert not endpoint.is_free(9.0)
    assert endpoint.is_free(10.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 25 Nov 2026 01:00:30 GMT"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_795_568_400.0) == seconds


def test_waits_double_with_full_jitter() -> None:
    """Means of 4,000 uniform waits are within 5 of their standard errors: false alarm below 1 in a million."""
    limits = Limits(backoff=0.5, longest_backoff=30.0)
    for attempt, top in ((1, 0.5), (2, 1.0), (5, 8.0), (20, 30.0)):
        waits = [limits.wait(attempt) for _ in range(4000)]
        assert max(waits) <= top
        assert abs(sum(waits) / 4000 - top / 2) < 5 * top / (12 * 4000) ** 0.5


async def test_who_waits_in_line_is_served_in_order() -> None:
    pool = Pool(["x"], Limits(concurrency=1))
    first = await pool.acquire()
    order: list[int] = []

    async def wait(i: int) -> None:
        endpoint = await pool.acquire()
        order.append(i)
        pool.release(endpoint)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait(i)) for i in range(5)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        pool.release(first)
    assert order == [0, 2, 3, 4]
    assert pool.endpoints[0].n_active == 0


async def test_price_free_stays_free_whatever_failed(served) -> None:
    async with FaultServer() as server:
        run = await ready(served(server, price=Price(0.0, 0.0)), server, "reset")
        (draw,) = await run.draw(HELLO, 1)
    assert draw.cost.usd == 0.0
    assert draw.cost.output_tokens is None
