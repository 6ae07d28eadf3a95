"""The length of an answer that was written in steps: that of all of them, told apart from what is not in it."""

from collections.abc import Callable
from typing import Any

import pytest

from mull.run.events import DrawArrived
from mull.serve.lengths import Steps
from mull.types import Cost, Finish, Prompt, Sample

Make = Callable[..., Any]
QUESTION = "a:7;b:a*6;c:b-5;d:c*8;d?"


@pytest.mark.parametrize(
    ("strategy", "fields"),
    [("beam:n=4,width=2", {}), ("dvts:n=4,width=2", {"n": 2}), ("mcts:n=4", {}), ("majority:n=4", {})],
)
async def test_an_answer_has_the_tokens_of_all_its_steps(gateway: Make, strategy: str, fields: dict[str, Any]) -> None:
    """Its own tokenizer reads that many, and one for the end."""
    async with gateway("", "nano") as served:
        mull = {"strategy": strategy, "verifier": "nano-prm"}
        reply = await served.ask("nano", QUESTION, seed=4, extra_body={"mull": mull}, **fields)
        texts = [choice.message.content for choice in reply.choices]
        assert all(len(text) > 20 for text in texts)
        read = served.gateway.offer.models["nano"]._model.tokens.encode
        n_tokens = sum(len(read(text)) + 1 for text in texts)
        assert reply.usage.mull["answer_tokens"] == n_tokens
        thought = reply.usage.completion_tokens_details.reasoning_tokens
        assert thought == reply.usage.completion_tokens - n_tokens


def draw(prefix: str, text: str, n_tokens: int | None, question: str = "q", finish: Finish = Finish.STOP) -> Sample:
    cost = Cost(1, output_tokens=n_tokens)
    return Sample(Prompt.user(question).extend(prefix), text, finish, cost)


def test_draws_of_other_replies_are_no_part_of_one() -> None:
    told: list[Any] = []
    steps = Steps(told.append)
    drawn = [
        draw("", "one", 3),
        draw("", "onto", 4),
        draw("one\n", "two", 5),
        draw("one\n", "too", 6),
        draw("", "one\ntwo", 50, "another question"),
        draw("one\n", "", 7),
        draw("one\n", "two\n", 8, finish=Finish.ERROR),
    ]
    for one in drawn:
        steps(DrawArrived(one, "m", False, Cost(), Cost(), 0.0))
    assert len(told) == len(drawn)
    assert steps.n_before(draw("", "x", 1)) == 0
    assert steps.n_before(draw("one\n", "x", 1)) == 3
    assert steps.n_before(draw("one\ntwo\nWait", "x", 1)) == 3 + 5
    assert steps.n_before(draw("<think>", "x", 1)) == 0
    steps(DrawArrived(draw("one\ntwo\n", "three", None), "m", False, Cost(), Cost(), 0.0))
    assert steps.n_before(draw("one\ntwo\nthree\n", "x", 1)) is None
