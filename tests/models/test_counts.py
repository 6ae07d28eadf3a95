"""Counts of tokens that cannot be true, and prompts that leave no room: counted safely, and said once."""

import logging
from collections.abc import Iterator

import pytest

from fault_server import FaultServer
from mull import Budget, Finish, Params, Prompt, Run
from mull.models.served import remarks
from mull.models.served.counting import believed, likeliest
from mull.wire.replies import ReplyChoice, Usage

HELLO = Prompt.user("hello")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remarks, "_said", set())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mull"]


@pytest.mark.parametrize(
    ("usage", "expected", "words"),
    [
        (Usage(10, 40), Usage(10, 40), None),
        (Usage(10, 2), Usage(10, 2), None),
        (Usage(10, 1), Usage(10, None), "reports 1 tokens for a text of 600 bytes"),
        (Usage(10, 0, reasoning=0), Usage(10, None), "reports 0 tokens for a text"),
        (Usage(0, 40), Usage(None, 40), "reports 0 tokens for a prompt"),
        (Usage(None, None), Usage(None, None), None),
        (Usage(10, 108), Usage(10, 108), None),
        (Usage(10, 109), Usage(10, 109), "reports 109 tokens where 100 were allowed"),
        (Usage(10, 900, reasoning=850), Usage(10, 900, reasoning=850), None),
    ],
)
def test_what_is_believed_of_the_counts_of_a_reply(usage: Usage, expected: Usage, words: str | None) -> None:
    told, why = believed(usage, 200, [ReplyChoice(0, "x" * 600)], 100, counts_all=True)
    assert told == expected
    assert (why is None) if words is None else (words in str(why))


def test_counts_of_the_first_reply_alone_are_held_against_it_alone() -> None:
    choices = [ReplyChoice(0, "x"), ReplyChoice(1, "x" * 2000)]
    assert believed(Usage(10, 1), 9, choices, 100, counts_all=False) == (Usage(10, 1), None)
    assert believed(Usage(10, 1), 9, choices, 100, counts_all=True)[0].output is None


@pytest.mark.parametrize("counts_all", [False, True])
def test_a_stream_that_counts_all_replies_is_within_what_all_were_allowed(counts_all: bool) -> None:
    """llama.cpp counts the first reply of a request, and in a stream more of them."""
    choices = [ReplyChoice(0, "x"), ReplyChoice(1, "y")]
    assert believed(Usage(10, 138), 9, choices, 80, counts_all=counts_all) == (Usage(10, 138), None)
    assert "where 160 were allowed" in str(believed(Usage(10, 177), 9, choices, 80, counts_all=counts_all)[1])


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "mull"):
        yield caplog


async def test_a_server_that_reports_nothing_but_zeros_passes_no_ceiling(served, warned) -> None:
    async with FaultServer(n="rejected") as server:
        model = served(server)
        await model.prepare()
        server.usage = {"prompt_tokens": 0, "completion_tokens": 0}
        before = server.counts["words"]
        run = Run(model, budget=Budget(tokens=60), params=Params(max_tokens=12))
        draws = await run.draw(HELLO, 40)
        assert server.counts["words"] - before <= 60
    assert 0 < len(draws) <= 5, "each counts as the most that it may have"
    assert {draw.cost.output_tokens for draw in draws} == {None}
    (words,) = said(warned)
    assert words.startswith("words: its server reports 0 tokens for a text of ")


async def test_a_prompt_that_leaves_too_little_room_is_said_once(served, warned) -> None:
    """vLLM clips max_tokens without a word where the prompt and it do not fit together."""
    async with FaultServer(owned_by="llamacpp", slots=4, context=30) as server:
        model = served(server)
        await model.prepare()
        server.usage = {"prompt_tokens": 26}
        draws = await Run(model, params=Params(max_tokens=4)).draw(HELLO, 6)
        assert said(warned) == []
        server.usage = {"prompt_tokens": 27}
        draws += await Run(model, params=Params(max_tokens=4)).draw(Prompt.user("longer"), 6)
    assert {draw.finish for draw in draws} == {Finish.LENGTH}
    (words,) = said(warned)
    assert "a prompt of 27 tokens leaves room for 3 in the server's context of 30" in words


def test_the_likeliest_tokens_are_as_many_as_were_asked_for() -> None:
    """The chosen token stands before the likeliest ones on vLLM, and is none of them here."""
    place = (("rare", -9.0), ("a", -0.5), ("b", -1.0), ("c", -4.0))
    assert likeliest([place], 3) == ((("a", -0.5), ("b", -1.0), ("c", -4.0)),)
    assert likeliest([place, ()], 4) == (place, ())
    assert likeliest([place], 0) == (place,)
    assert likeliest([(), ()], 3) is None
