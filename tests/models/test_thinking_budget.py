"""A server's own thinking budget: found out by what it does, not by what it accepts."""

import pytest

from fault_server import FaultServer
from mull import AnswerKind, MemoryBank, Params, Problem, Prompt, Run, UsageError
from mull.strategies.compose import Repeat
from mull.strategies.force import Force
from mull.strategies.thinking_budget import ThinkingBudget

HELLO = Problem("hello", Prompt.user("hello"), AnswerKind.TEXT)
PARAMS = Params(0.0, 120)


@pytest.mark.parametrize(
    ("owner", "field"),
    [
        ("vllm", "thinking_token_budget"),
        ("llamacpp", "thinking_budget_tokens"),
        ("sglang", "chat_template_kwargs"),
        ("someone", "thinking_budget"),
        ("someone", "thinking"),
        ("someone", "reasoning"),
    ],
)
async def test_the_field_that_a_server_keeps_to_is_found_and_used(served, owner: str, field: str) -> None:
    async with FaultServer(owned_by=owner, thinks_as="reasoning", thinks_for=40, budget=field) as server:
        model = served(server)
        await model.prepare()
        assert model.capabilities.limits == field
        assert model.refuses(Prompt.user("?"), Params(thinking_tokens=9)) is None
        outcome = await ThinkingBudget(tokens=10)(HELLO, Run(model, params=PARAMS))
        told = server.bodies[-1][field]
    assert told == 10 or 10 in told.values()
    assert outcome.best is not None
    assert outcome.best.reasoning == " ".join(["hm"] * 10)
    assert outcome.answer in ("a", "b", "c")
    assert "warning" not in outcome.notes


@pytest.mark.parametrize("hides", [True, False])
async def test_a_server_that_takes_a_budget_and_ignores_it_is_refused(served, hides: bool) -> None:
    async with FaultServer(thinks_as="reasoning", thinks_for=40, hides_thoughts=hides) as server:
        model = served(server)
        await model.prepare()
        assert model.capabilities.limits is None
        assert model.capabilities.ignores == ("thinking_token_budget",)
        n_before = len(server.bodies)
        words = "has no thinking budget of its own: its server accepts thinking_token_budget but does not think less"
        with pytest.raises(UsageError, match=words):
            await ThinkingBudget(tokens=10)(HELLO, Run(model, params=PARAMS))
        assert len(server.bodies) == n_before


async def test_a_server_that_rejects_the_field_or_does_not_think_is_refused_too(served) -> None:
    for options in ({"thinks_as": "reasoning", "thinks_for": 40, "rejects": frozenset({"thinking_token_budget"})}, {}):
        async with FaultServer(**options) as server:
            model = served(server)
            await model.prepare()
            assert (model.capabilities.limits, model.capabilities.ignores) == (None, ())
            with pytest.raises(UsageError, match="no field was found that limits its thinking"):
                await ThinkingBudget(tokens=10)(HELLO, Run(model, params=PARAMS))


@pytest.mark.parametrize("hides", [True, False])
async def test_a_budget_that_is_not_kept_later_on_is_said(served, hides: bool) -> None:
    """An engine may keep to it in one version or on one machine and not on another: every thought is looked at."""
    bank = MemoryBank()
    async with FaultServer(
        thinks_as="reasoning", thinks_for=90, budget="thinking_token_budget", hides_thoughts=hides
    ) as server:
        model = served(server)
        await model.prepare()
        server.budget = None
        first = Run(model, params=PARAMS, bank=bank)
        outcome = await ThinkingBudget(tokens=10)(HELLO, first)
        assert "got a thinking budget of 10 tokens but thought for about" in str(outcome.notes["warning"])
        again = Run(model, params=PARAMS, bank=bank)
        assert await ThinkingBudget(tokens=10)(HELLO, again) == outcome
        assert again.fresh.calls == 0
        # With a budget that it is within there is nothing to say.
        assert "warning" not in (await ThinkingBudget(tokens=90)(HELLO, Run(model, params=PARAMS))).notes


async def test_what_extra_body_says_of_the_template_stays(served) -> None:
    async with FaultServer(
        owned_by="sglang", thinks_as="reasoning_content", thinks_for=40, budget="chat_template_kwargs"
    ) as server:
        model = served(server, extra='{"chat_template_kwargs": {"enable_thinking": true}}')
        await ThinkingBudget(tokens=10)(HELLO, Run(model, params=PARAMS))
        assert server.bodies[-1]["chat_template_kwargs"] == {"enable_thinking": True, "thinking_budget": 10}


async def test_nonsense_is_refused(served) -> None:
    with pytest.raises(UsageError, match="tokens must be at least 0"):
        ThinkingBudget(tokens=-1)
    async with FaultServer(thinks_as="reasoning", thinks_for=40, budget="thinking_token_budget") as server:
        run = Run(served(server), params=PARAMS)
        with pytest.raises(UsageError, match="for whole replies"):
            await run.draw(HELLO.prompt.extend("so"), 1, Params(thinking_tokens=3))


async def test_force_on_a_server_that_continues_partial_replies(served) -> None:
    """The whole way over the wire: cut, closed, asked for the answer; and gone on with."""
    async with FaultServer() as server:
        outcome = await Force(at_most=3, n_answer=8)(HELLO, Run(served(server), params=Params(0.0, 60)))
        assert outcome.best is not None
        first, last = server.bodies[-2:]
        assert (first["max_tokens"], first["stop"]) == (3, ["</think>"])
        assert last["messages"][-1]["content"].endswith("\n</think>\nanswer:")
        assert last["max_tokens"] == 57
        assert "did not begin its reply" in str(outcome.notes["warning"])


async def test_several_forced_chains_on_a_server_that_nobody_has_looked_at(served) -> None:
    """What a composition rehearses on no budget still finds out what the server can do, at the run's expense."""
    async with FaultServer() as server:
        run = Run(served(server), params=Params(1.0, 60))
        outcome = await Repeat(Force(at_most=3, n_answer=8), n=3)(HELLO, run)
        n_probes = run.model.capabilities.cost.calls
        assert len(outcome.candidates) == 3
        assert run.spent.calls == n_probes + 6
        assert "did not begin its reply" in str(outcome.notes["warning"])
