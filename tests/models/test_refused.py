"""What hosted models refuse, in their own words: it is learned, said once, adapted to where that changes nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from hosted_server import HostedServer
from mull import Params, Prompt, Run
from mull.errors import ModelError, UsageError
from mull.models.served.capabilities import Capabilities
from mull.models.served.refused import adapted, least_budget

HELLO = Prompt.user("Count a little.")
ONLY_1 = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported."
NO_TOP_P = "Unsupported parameter: 'top_p' is not supported with this model."
NOT_BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
GONE = "`temperature` is deprecated for this model."
NO_BUDGET = (
    '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" '
    "to control thinking behavior."
)
LEAST = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (ONLY_1, "temperature"),
        ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        (NO_TOP_P, "top_p"),
        (NOT_BOTH, "top_p"),
        (GONE, "temperature"),
        ("litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.84.", "temperature"),
        ("adaptive thinking is not supported on this model", "adaptive"),
    ],
)
def test_the_field_that_a_refusal_names_is_left_out(words: str, left_out: str) -> None:
    for backend in ("openai", "anthropic", "unknown", "vllm"):
        can = adapted(Capabilities(backend), words)
        assert can is not None
        assert can.rejects == (left_out,)


def test_a_refusal_of_both_leaves_out_one_after_the_other() -> None:
    can = adapted(Capabilities("anthropic"), NOT_BOTH)
    assert can is not None
    again = adapted(can, GONE)
    assert again is not None
    assert set(again.rejects) == {"top_p", "temperature"}
    assert adapted(again, GONE) is None


@pytest.mark.parametrize("words", ["model not found", "Your credit balance is too low", "max_tokens: 24 > 16"])
def test_a_refusal_of_something_else_is_the_end(words: str) -> None:
    assert adapted(Capabilities("anthropic"), words) is None


@pytest.mark.parametrize(("words", "least"), [(LEAST, 1024), ("must be at least 1,024", 1024), (NO_BUDGET, None)])
def test_the_smallest_budget_is_read_from_a_refusal(words: str, least: int | None) -> None:
    assert least_budget(words) == least


def modern(body: Mapping[str, Any]) -> str | None:
    """A model of the Messages API that takes no sampling parameters, no budget and no partial reply."""
    if "temperature" in body or "top_p" in body or "top_k" in body:
        return GONE.replace("temperature", next(name for name in ("top_p", "temperature", "top_k") if name in body))
    if (body.get("thinking") or {}).get("type") == "enabled":
        return NO_BUDGET
    return NO_PREFILL if body["messages"][-1]["role"] == "assistant" else None


def reasoner(body: Mapping[str, Any]) -> str | None:
    """A reasoning model of the chat and Responses APIs."""
    if "top_p" in body:
        return NO_TOP_P
    if body.get("temperature", 1) != 1:
        return ONLY_1
    return "Unsupported parameter: 'stop' is not supported with this model." if "stop" in body else None


def older(body: Mapping[str, Any]) -> str | None:
    """A model of the Messages API that takes one of two sampling parameters, and budgets from 1,024 tokens on."""
    if "temperature" in body and "top_p" in body:
        return NOT_BOTH
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "adaptive":
        return "adaptive thinking is not supported on this model"
    if 0 < thinking.get("budget_tokens", 1024) < 1024:
        return LEAST
    if thinking.get("budget_tokens", 0) >= body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`."
    return None


@pytest.mark.parametrize(
    ("api", "refuses"), [("anthropic", modern), ("responses", reasoner), ("chat", reasoner), ("anthropic", older)]
)
async def test_draws_at_the_default_go_without_the_fields_that_are_refused(served, api: str, refuses: Any) -> None:
    async with HostedServer(refuses, n_thought=3) as server:
        model = served(server, served="big", api=api)
        draws = await Run(model).draw(HELLO, 3)
        assert [draw.error for draw in draws] == [None] * 3
        assert "top_p" not in server.bodies[-1]
        if refuses is not older:
            assert server.bodies[-1].get("temperature", 1) == 1


@pytest.mark.parametrize(("api", "refuses"), [("anthropic", modern), ("responses", reasoner), ("chat", reasoner)])
async def test_another_temperature_is_refused_before_anything_is_drawn(served, api: str, refuses: Any) -> None:
    async with HostedServer(refuses) as server:
        model = served(server, served="big", api=api)
        await model.prepare()
        before = len(server.bodies)
        with pytest.raises(UsageError, match="accepts no temperature, as its server says: leave --temperature at 1"):
            await Run(model, params=Params(0.5)).draw(HELLO, 2)
        assert len(server.bodies) == before


async def test_a_budget_that_is_refused_is_told_in_the_servers_words(served) -> None:
    async with HostedServer(modern) as server:
        model = served(server, served="big", api="anthropic")
        await model.prepare()
        why = model.refuses(HELLO, Params(max_tokens=4000, thinking_tokens=2000))
        assert why is not None
        assert "thinking.type.adaptive" in why
        assert "set effort" in why
        assert "does not support assistant message prefill" in model.capabilities.why


async def test_a_budget_goes_out_where_the_server_keeps_to_its_least(served) -> None:
    async with HostedServer(older) as server:
        model = served(server, served="big", api="anthropic")
        await model.prepare()
        assert (model.capabilities.limits, model.capabilities.least_limit) == ("thinking", 1024)
        (draw,) = await Run(model, params=Params(max_tokens=3000, thinking_tokens=2000)).draw(HELLO, 1)
        assert draw.error is None
        assert server.bodies[-1]["thinking"] == {"type": "enabled", "budget_tokens": 2000}
        assert model.refuses(HELLO, Params(thinking_tokens=500)) == (
            "has a thinking budget of at least 1,024 tokens, as its server says: 500 are too few"
        )


async def test_effort_goes_out_without_the_field_that_an_older_model_refuses(served) -> None:
    async with HostedServer(older) as server:
        model = served(server, served="big", api="anthropic", effort="low")
        (draw,) = await Run(model).draw(HELLO, 1)
    assert draw.error is None
    assert server.bodies[-1]["output_config"] == {"effort": "low"}
    assert "thinking" not in server.bodies[-1]


async def test_an_effort_that_the_model_does_not_have_is_told_at_once(served) -> None:
    def refuses(body: Mapping[str, Any]) -> str | None:
        return "Unsupported value: 'none' is not supported" if "none" in str(body.get("reasoning")) else None

    async with HostedServer(refuses) as server:
        with pytest.raises(ModelError, match=r"rejects a plain question: .*'none' is not supported"):
            await served(server, served="big", api="responses", effort="none").prepare()


async def test_what_is_left_out_is_said(served) -> None:
    async with HostedServer(modern) as server:
        model = served(server, served="big", api="anthropic")
        await model.prepare()
    assert model.capabilities.remarks == ("its server accepts no top_p and no temperature: draws are made at its own",)
    assert Capabilities(rejects=("seed",)).remarks == ()
