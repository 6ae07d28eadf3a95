"""`mull.compare`: two presets on the same draws, each under the same ceiling, paid for once."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from fault_server import FaultServer
from mull.serve.accounts import Accounts
from mull.serve.keys import hash_of, new_key

Make = Callable[..., Any]
TEXTS = tuple(f"answer: {word}" for word in "abacaba")
PRESETS = """
[presets.vote]
strategy = "majority:n=6"
[presets.early]
strategy = "adaptive:n=6,wave=2"
[presets.cool]
strategy = "majority:n=2"
temperature = 0.5
[presets.short]
strategy = "majority:n=2"
calls = 2
"""


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\nusd_per_mtok_in = 1\nusd_per_mtok_out = 2\n{PRESETS}{more}'


async def compared(served: Any, *names: str, mull: Any = None, **fields: Any) -> Any:
    body = {"mull": {"compare": list(names), **(mull or {})}}
    told = {"model": "words", "seed": 5, "max_tokens": 20, "extra_body": body, **fields}
    return await served.ask(told.pop("model"), "Which?", **told)


async def test_two_presets_take_the_same_draws_and_pay_for_them_once(gateway: Make) -> None:
    """Each side is what its preset answers alone for that seed; the server makes what the larger side needs."""
    async with FaultServer(texts=TEXTS) as upstream, gateway(table(upstream)) as served:
        alone = [await served.ask(f"words@{name}", "Which?", seed=5, max_tokens=20) for name in ("early", "vote")]
        start = upstream.counts["words"]
        reply = await compared(served, "early", "vote")
        told = reply.mull["compare"]
        assert [side["preset"] for side in told] == ["early", "vote"]
        for side, one in zip(told, alone, strict=True):
            assert side["text"] == one.choices[0].message.content
            its_own = one.mull["answers"][0]
            assert {name: side[name] for name in its_own} == its_own
            assert side["spent"]["tokens"] == one.usage.completion_tokens
            assert side["spent"]["calls"] == one.usage.mull["calls"]
        assert reply.choices[0].message.content == told[0]["text"]
        assert reply.usage.mull["calls"] == max(side["spent"]["calls"] for side in told) == 6
        assert reply.usage.mull["banked_calls"] is None  # which of the shared draws a bank gave is not told
        assert reply.usage.completion_tokens == upstream.counts["words"] - start
        async with await compared(served, "vote", "early", stream=True) as stream:
            chunks = [chunk async for chunk in stream]
        streamed = chunks[-1].mull["compare"]
        assert [side["answer"] for side in streamed] == [side["answer"] for side in reversed(told)]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == told[1]["text"]


async def test_both_sides_have_one_ceiling_and_the_gateways_holds_for_both_together(
    gateway: Make, tmp_path: Path
) -> None:
    key = new_key()
    limits = f'[serve]\ncalls = 10\n[serve.keys.ann]\nsha256 = "{hash_of(key)}"\ntokens_a_day = 1000\n'
    async with FaultServer(texts=TEXTS) as upstream:
        with closing(Accounts(str(tmp_path / "kept.db"))) as kept:
            async with gateway(table(upstream, limits), accounts=kept) as served, served.client_of(key) as client:
                served.client, unkeyed = client, served.client
                reply = await compared(served, "vote", "early", mull={"budget": {"calls": 12}})
                assert reply.mull["budget"]["calls"] == 10
                assert reply.mull["clamped"] == {"calls": 12}
                calls = [side["spent"]["calls"] for side in reply.mull["compare"]]
                assert (calls[0], max(calls)) == (5, 5)
                assert reply.mull["compare"][0]["incomplete"]
                wallet = kept.wallet(served.gateway.keys.of({"x-api-key": key}))
                assert wallet.left.tokens == 1000 - reply.usage.completion_tokens
                short = await compared(served, "vote", "short")
                assert [side["draws"] for side in short.mull["compare"]] == [2, 2]
                await unkeyed.close()


@pytest.mark.parametrize(
    ("names", "fields", "where"),
    [
        (("vote",), {}, "mull.compare: must have at least 2 entries, not 1"),
        (("vote", "early", "short"), {}, "mull.compare: must have at most 2 entries, not 3"),
        (("vote", "vote"), {}, r"mull.compare\[1\]"),
        (("vote", "vot"), {}, r"mull.compare\[1\]: must be a preset of words: cool, early, short, vote"),
        (("words@vote", "early"), {}, r"mull.compare\[0\]"),
        (("vote", "cool"), {}, "mull.compare: the presets differ in temperature"),
        (("vote", "early"), {"model": "words@vote"}, "model"),
        (("vote", "early"), {"n": 2}, "n: must be 1"),
        (("vote", "early"), {"mull": {"strategy": "single"}}, "mull.strategy"),
        (("vote", "early"), {"mull": {"judge": "genrm"}}, "mull.judge"),
        (("vote", 3), {}, r"mull.compare\[1\]: must be a text"),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    gateway: Make, names: tuple[Any, ...], fields: dict[str, Any], where: str
) -> None:
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        with pytest.raises(openai.BadRequestError, match=where) as caught:
            await compared(served, *names, **fields)
        assert str(caught.value.body["param"]).startswith(where.partition(":")[0].replace("\\", ""))
        assert upstream.bodies == []


async def test_presets_that_differ_are_compared_where_the_request_says_the_same(gateway: Make) -> None:
    async with FaultServer(texts=TEXTS) as upstream, gateway(table(upstream)) as served:
        reply = await compared(served, "vote", "cool", temperature=0.8)
        assert [side["draws"] for side in reply.mull["compare"]] == [6, 2]
        assert 0.5 not in {body["temperature"] for body in upstream.bodies}


@pytest.mark.parametrize(("calls", "each"), [(4, 2), (5, 2), (9, 4)])
async def test_the_ceilings_of_a_request_are_those_of_both_sides_together(gateway: Make, calls: int, each: int) -> None:
    async with FaultServer(texts=TEXTS) as upstream, gateway(table(upstream)) as served:
        reply = await compared(served, "vote", "early", mull={"budget": {"calls": calls, "seconds": 60}})
        assert [side["spent"]["calls"] for side in reply.mull["compare"]] == [each, each]
        assert (reply.mull["budget"]["calls"], reply.mull["budget"]["seconds"]) == (2 * each, 60)
        assert "clamped" not in reply.mull
        with pytest.raises(openai.BadRequestError, match=r"mull\.budget: the ceilings on this request leave no room"):
            await compared(served, "vote", "early", mull={"budget": {"calls": 1}})


async def test_a_side_without_room_loses_nothing_of_the_other(gateway: Make) -> None:
    more = '[presets.fused]\nstrategy = "fuse:n=3"\n'
    async with FaultServer(texts=TEXTS) as upstream, gateway(table(upstream, more)) as served:
        reply = await compared(served, "vote", "fused", mull={"budget": {"calls": 3}})
        one, other = reply.mull["compare"]
        assert (one["text"], one["draws"], one["spent"]["calls"]) == (reply.choices[0].message.content, 1, 1)
        assert (other["text"], other["draws"], other["incomplete"]) == (None, 0, True)
        assert "takes more than calls=1" in other["why"]
        n = len(upstream.bodies)
        with pytest.raises(openai.BadRequestError, match="takes more than calls=1"):
            await compared(served, "fused", "vote", mull={"budget": {"calls": 3}})
        assert len(upstream.bodies) == n
