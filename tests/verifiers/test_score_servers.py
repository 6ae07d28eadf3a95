"""A server that scores may send anything, in any pieces, and repeat the key: no score is lost or made up by that, no
count of tokens is believed that cannot be true, the key is in nothing that is told, and no sweep ends.
"""

import asyncio
import base64
import json
import math
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from mull import spec
from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.types import Cost, Finish, Pair, Problem, Prompt, Sample, Score
from score_server import Fake, serving

PROBLEM = Problem("p", Prompt.user("What is 2 + 3 * 4?"))
GOOD = "Multiply first, right: 3 * 4 is 12.\n\nThen add, right: 14."
KEY = 'sk-ca"nary/4f+1d2c&7'
PRM = "prm:model=m,base_url=URL,preset=qwen-math-prm,usd_per_mtok=1,active_params=1e9"
SHAPES = {
    "pooling": (PRM, Fake),
    "piece": ("prm:model=m,base_url=URL,preset=skywork-prm,usd_per_mtok=1", lambda: Fake(None, n_labels=1)),
    "classify": ("orm:model=m,base_url=URL,preset=skywork-reward,usd_per_mtok=1", lambda: Fake(n_labels=1)),
    "score": ("orm:model=m,base_url=URL,preset=cross-encoder,usd_per_mtok=1", Fake),
    "sglang-score": ("prm:model=m,base_url=URL,preset=qwen-math-prm,server=sglang-score,usd_per_mtok=1", Fake),
    "sglang-classify": (
        "orm:model=m,base_url=URL,preset=qwen-math-rm,server=sglang-classify,usd_per_mtok=1", lambda: Fake(n_labels=1),
    ),
    "chat": ("prm:model=m,base_url=URL,preset=rlhflow-prm,usd_per_mtok=1", Fake),
    "vllm": ("decisions:model=m,base_url=URL,server=vllm,usd_per_mtok=1", Fake),
    "sglang": ("decisions:model=m,base_url=URL,server=sglang,usd_per_mtok=1", Fake),
}  # fmt: skip


def sample(text: str) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP)


def fake_of(shape: str) -> Fake:
    fake = SHAPES[shape][1]()
    fake.say = lambda messages: [("+", math.log(0.8)), ("-", math.log(0.2))]
    return fake


async def scored(url: str, option: str, *texts: str) -> list[Score]:
    verifier = spec.build("verifier", spec.VERIFIERS, option.replace("URL", url))
    return list(await verifier.score(PROBLEM, [sample(text) for text in texts], MeteredCalls()))


def answering(status: int, text: str, **headers: str) -> Callable[[str, dict[str, Any]], web.Response]:
    return lambda path, body: web.Response(status=status, text=text, content_type="application/json", headers=headers)


# Pieces.


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_long_reply_is_read_to_its_end(shape: str) -> None:
    """A megabyte does not come in one piece; what is read of it must not depend on that."""
    fake = fake_of(shape)
    async with serving(fake) as url:
        (short,) = await scored(url, SHAPES[shape][0], GOOD)
        fake.padding = 1 << 20
        (long,) = await scored(url, SHAPES[shape][0], GOOD)
    assert short.value is not None
    assert (long.value, long.steps, long.cost.usd) == (short.value, short.steps, short.cost.usd)


async def test_a_reply_without_end_is_given_up() -> None:
    fake = Fake()
    fake.padding = 90 << 20
    async with serving(fake) as url:
        (one,) = await scored(url, PRM, GOOD)
    assert one.value is None
    assert "larger than" in one.why


# Keys.


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


REPEATS: dict[str, Callable[[str, dict[str, Any]], web.Response]] = {
    "in a message": answering(401, json.dumps({"error": {"message": f"no such key: Bearer {KEY}"}})),
    "escaped": answering(403, f'{{"detail": "Bearer {escaped(KEY)}"}}'),
    "escaped twice": answering(400, json.dumps({"message": json.dumps({"authorization": f"Bearer {KEY}"})})),
    "as text": answering(500, f"Traceback: {{'Authorization': {'Bearer ' + KEY!r}}}"),
    "in base64": answering(400, json.dumps({"message": base64.b64encode(f"Bearer {KEY}".encode()).decode()})),
    "in what is no number": answering(200, json.dumps({"data": [{"data": [[KEY, KEY], [KEY, KEY]]}]})),
    "in what is no json": answering(200, f"<p>{KEY}</p>"),
    "in a redirect": answering(307, "", Location=f"http://u:{KEY}@example.org/{KEY}?key={KEY}#{KEY}"),
    "in a redirect of a url": answering(302, "", Location=f"/login/{urllib.parse.quote(KEY, safe='')}"),
    "in a redirect to nowhere": answering(301, "", Location=f"http://[::{KEY}/"),
}


@pytest.mark.parametrize("where", REPEATS)
async def test_a_key_that_the_server_repeats_is_in_nothing_that_is_told(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REWARD_KEY", KEY)
    fake = Fake()
    fake.trouble = REPEATS[where]
    async with serving(fake, key=KEY) as url:
        for option in (PRM, SHAPES["vllm"][0]):
            verifier = spec.build("verifier", spec.VERIFIERS, option.replace("URL", url) + ",api_key_env=REWARD_KEY")
            (one,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
            assert one.value is None
            assert one.why.isprintable()
            for part in (KEY, "ca\\", "nary", "4f", "1d2c", escaped("nary"), "YW5hcn", "NhbmFy", "FuYXJ5", "IubmFyeS"):
                assert part not in f"{one} {verifier!r}".replace(url, "")


async def test_a_header_that_is_no_header_does_not_tell_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_KEY", KEY)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nSeen \x01: {KEY}\r\nContent-Length: 2\r\n\r\n[]".encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        url = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
        (one,) = await scored(url, PRM + ",api_key_env=REWARD_KEY", GOOD)
    assert "the reply is not HTTP" in one.why
    assert "nary" not in one.why


@pytest.mark.parametrize("url", ["http://me:hunter2@host:8000", "http://host/v1?key=hunter2", "https://hunter2@host"])
@pytest.mark.parametrize("option", [PRM, SHAPES["sglang"][0]])
def test_a_url_that_holds_a_key_is_refused_and_not_repeated(url: str, option: str) -> None:
    with pytest.raises(UsageError, match="api_key_env") as caught:
        spec.build("verifier", spec.VERIFIERS, option.replace("URL", url))
    assert "hunter2" not in str(caught.value)


# Counts.


ODD_COUNTS = [-5, -1, 10**9, 10**12, 10**400, 1e308, math.nan, math.inf, True, "12", [3], {"a": 1}, None]


@pytest.mark.parametrize("count", ODD_COUNTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_count_of_tokens_that_cannot_be_true_is_unknown_and_the_score_stays(shape: str, count: object) -> None:
    fake = fake_of(shape)

    def altered(reply: dict[str, Any]) -> dict[str, Any]:
        for part in ("usage", "meta_info"):
            if part in reply:
                reply[part] = {name: count for name in reply[part] if name.endswith("_tokens")}
        return reply

    async with serving(fake) as url:
        (plain,) = await scored(url, SHAPES[shape][0], GOOD)
        fake.alter = altered
        (one,) = await scored(url, SHAPES[shape][0], GOOD)
    assert one.value == plain.value is not None
    is_decision = SHAPES[shape][0].startswith("decisions")
    assert (one.cost.prompt_tokens if is_decision else one.cost.verifier_tokens) is None
    assert one.cost.usd is None
    assert plain.cost.usd > 0


@pytest.mark.parametrize("usage", [None, [], "many", 7])
async def test_a_server_that_tells_no_usage_gives_scores_all_the_same(usage: object) -> None:
    for shape, (option, _) in SHAPES.items():
        fake = fake_of(shape)
        fake.alter = lambda reply: {**reply, "usage": usage, "meta_info": usage} if isinstance(reply, dict) else reply
        async with serving(fake) as url:
            (one,) = await scored(url, option, GOOD)
        assert one.value is not None, shape
        assert one.cost.usd is None, shape


async def test_what_broke_may_have_been_paid_for() -> None:
    """Nobody knows what a reply cost that did not come; what was refused cost nothing."""
    fake = Fake()
    async with serving(fake) as url:
        for trouble, cost in (
            (answering(500, "broke"), None),
            (answering(200, "<p>"), None),
            (answering(200, "{}"), None),
            (answering(400, "too long"), 0),
            (answering(503, "busy"), 0),
        ):
            fake.trouble = trouble
            (one,) = await scored(url, PRM + ",patience=0", GOOD)
            assert one.value is None
            assert (one.cost.verifier_tokens, one.cost.usd) == (cost, cost)


# Anything.


ODD = [None, True, -1, 0.5, 10**400, 1e308, math.nan, "x", "", [], {}, [[]], [None]]


def altered(told: Any) -> list[Any]:
    """A reply with each of its parts replaced by each odd value, in turn, or left out."""
    found: list[Any] = list(ODD)
    if isinstance(told, dict):
        for name, value in told.items():
            found += [{**told, name: odd} for odd in altered(value)]
            found.append({other: told[other] for other in told if other != name})
    elif isinstance(told, list):
        for i, value in enumerate(told[:2]):
            found += [[*told[:i], odd, *told[i + 1 :]] for odd in altered(value)]
            found.append(told[:i] + told[i + 1 :])
    return found


@pytest.mark.parametrize("shape", SHAPES)
async def test_whatever_a_server_answers_is_a_score_or_a_reason(shape: str) -> None:
    fake, replies = fake_of(shape), list[Any]()
    fake.alter = lambda reply: replies.append(reply) or reply  # type: ignore[func-returns-value]
    async with serving(fake) as url:
        verifier = spec.build("verifier", spec.VERIFIERS, SHAPES[shape][0].replace("URL", url))
        await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
        for odd in altered(replies[-1]):
            fake.alter = lambda reply, odd=odd: odd  # type: ignore[misc]
            (one,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
            assert one.value is None or 0 <= one.value <= 1
            assert one.why.isprintable()
            assert len(one.why) < 500
            assert (one.value is None) <= bool(one.why)
            assert one.cost.usd is None or one.cost.usd >= 0


@pytest.mark.parametrize("text", ["[" * 100_000, '{"data":' * 100_000, '{"error": ' + "[" * 980 + "]" * 980 + "}"])
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_what_is_nested_too_deep_is_no_score_and_ends_nothing(text: str, status: int) -> None:
    fake = Fake()
    fake.trouble = answering(status, text)
    async with serving(fake) as url:
        for option in (PRM, SHAPES["vllm"][0]):
            (one,) = await scored(url, option, GOOD)
            assert one.value is None
            assert one.why


async def test_choices_without_any_probability_are_no_preference() -> None:
    fake = Fake()

    def none(reply: Any) -> Any:
        for row in reply["answers"][0]["probabilities"]:
            row["probability"] = 0.0
        return reply

    fake.alter = none
    async with serving(fake) as url:
        judge = spec.build("judge", spec.JUDGES, f"decisions:model=m,base_url={url},server=vllm")
        (one,) = await judge.prefer(PROBLEM, [Pair(sample("14"), sample("20"))], MeteredCalls())
    assert one.first is None
    assert "not have the format of vllm: ZeroDivisionError" in one.why


# Connections and waits.


async def test_one_loop_has_one_connection_for_all_that_is_scored_in_turn() -> None:
    fake = Fake()
    async with serving(fake) as url:
        verifiers = [spec.build("verifier", spec.VERIFIERS, PRM.replace("URL", url)) for _ in range(2)]
        for text in ("one right", "two right", "three right"):
            for verifier in verifiers:
                await verifier.score(PROBLEM, [sample(text)], MeteredCalls())
    assert len(fake.seen) == 6
    assert len(fake.clients) == 1


async def test_a_server_that_asks_to_be_left_alone_for_a_day_is_not_waited_for() -> None:
    """Nor by the replies that stand in line, more than are asked about at once."""
    fake = Fake()
    fake.trouble = answering(429, "busy", **{"Retry-After": "86400"})
    async with serving(fake) as url:
        started = time.monotonic()
        scores = await scored(url, PRM + ",patience=0.2", *(f"right {i}" for i in range(60)))
        assert time.monotonic() - started < 60
    assert len(fake.seen) < 60
    assert all("asks to wait" in one.why for one in scores)
    assert all(one.cost == Cost() for one in scores)


async def test_a_server_that_refuses_the_key_is_asked_no_more() -> None:
    fake = Fake()
    fake.trouble = answering(401, '{"error": {"message": "Unauthorized"}}')
    async with serving(fake) as url:
        verifier = spec.build("verifier", spec.VERIFIERS, PRM.replace("URL", url))
        (first,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
        (second,) = await verifier.score(PROBLEM, [sample("another")], MeteredCalls())
    assert "no key was sent; name its variable with api_key_env (HTTP 401: Unauthorized)" in first.why
    assert "no key was sent" in second.why
    assert len(fake.seen) == 1
