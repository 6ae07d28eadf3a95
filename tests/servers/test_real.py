"""Against servers that nobody here wrote: what they were found to do, and that their draws are the model's own."""

import asyncio
from dataclasses import replace

import pytest

from mull import Cost, Finish, Outcome, Params, Problem, Prompt, Run, Sample, UsageError, spec
from mull.errors import ModelError
from mull.models.embedded import Nano
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.run.events import DrawArrived, RunEvent

CHAIN = Prompt.user("b:a+45;a:9;c:b-30;c?")
HARD = Prompt.user("d:c*3;b:a+45;a:9;e:d+17;c:b-30;f:e-8;f?")
BOTH = ["llama", "transformers"]
ALL = [*BOTH, "mlx"]


def drawn(model: OpenAIModel | Nano, prompt: Prompt, n: int, **params: object) -> list[Sample]:
    async def draw() -> list[Sample]:
        run = Run(model, params=Params(**params))
        await run.prepare()
        return await run.draw(prompt, n)

    return asyncio.run(draw())


def said(sample: Sample) -> str:
    """What was generated, with the thought in the form that it has in nano's text."""
    return sample.text if sample.reasoning is None else f"<think>{sample.reasoning}</think>{sample.text}"


@pytest.fixture
def model(request: pytest.FixtureRequest) -> OpenAIModel:
    made: OpenAIModel = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize("model", ALL, indirect=True)
def test_a_greedy_reply_is_the_embedded_models(model: OpenAIModel) -> None:
    (here,) = drawn(Nano(), CHAIN, 1, temperature=0.0, max_tokens=100)
    (there,) = drawn(model, CHAIN, 1, temperature=0.0, max_tokens=100)
    assert "".join(said(there).split()) == "".join(here.text.split())
    assert there.finish is Finish.STOP
    # Some count the end of the reply as a token, and some do not.
    assert there.cost.output_tokens in (here.cost.output_tokens, here.cost.output_tokens - 1)
    assert there.cost.prompt_tokens == here.cost.prompt_tokens


@pytest.mark.parametrize("model", ALL, indirect=True)
def test_the_probe_finds_what_the_server_does(model: OpenAIModel) -> None:
    drawn(model, CHAIN, 1, max_tokens=4)
    can = model.capabilities
    assert can is not None
    found = (can.backend, can.n, can.seed, can.varies, can.logprobs, can.stop, can.stream, can.continues, can.biases)
    assert (
        found
        == {
            "llama": ("llama-cpp-python", False, True, True, True, "dropped", True, "template", "texts"),
            "transformers": ("transformers", False, True, True, False, "kept", True, "template", None),
            "mlx": ("unknown", False, True, True, True, "dropped", True, None, None),
        }[model.name]
    )


@pytest.mark.parametrize("model", ALL, indirect=True)
def test_draws_have_their_seeds_and_come_again(model: OpenAIModel) -> None:
    limits = replace(model.deployment.limits, concurrency=1)
    alone = OpenAIModel(replace(model.deployment, limits=limits))
    first = drawn(alone, HARD, 4, max_tokens=30)
    again = drawn(alone, HARD, 4, max_tokens=30)
    assert [said(s) for s in first] == [said(s) for s in again]
    assert all(s.seed is not None for s in first)


@pytest.mark.parametrize("model", ALL, indirect=True)
def test_draws_follow_the_models_own_distribution(model: OpenAIModel) -> None:
    """Filters of the server's own would make likely replies likelier: the share of draws that begin as the greedy
    reply does is within 5 standard errors of the embedded model's, a false alarm in a million runs.
    """
    n_there, n_here = 150, 4000
    params = {"temperature": 2.0, "max_tokens": 6}
    greedy = drawn(Nano(), HARD, 1, temperature=0.0, max_tokens=6)[0].text

    def share(samples: list[Sample]) -> float:
        begun = ["".join(said(s).removesuffix("</think>").split()) for s in samples]
        return sum(text == "".join(greedy.split()) for text in begun) / len(samples)

    here = share(drawn(Nano(), HARD, n_here, **params))
    there = share(drawn(model, HARD, n_there, **params))
    assert 0.05 < here < 0.95
    assert abs(here - there) < 5 * (here * (1 - here) * (1 / n_here + 1 / n_there)) ** 0.5


@pytest.mark.parametrize("model", BOTH, indirect=True)
def test_a_partial_reply_is_gone_on_from(model: OpenAIModel) -> None:
    (whole,) = drawn(Nano(), CHAIN, 1, temperature=0.0, max_tokens=100)
    for cut in (8, 20, whole.text.index("\n", 9) + 1):
        (rest,) = drawn(model, CHAIN.extend(whole.text[:cut]), 1, temperature=0.0, max_tokens=100)
        assert rest.reply == whole.text


def thought(model: OpenAIModel | Nano, plan: str, prompt: Prompt) -> tuple[Outcome, Cost, int]:
    """What a strategy of thoughts makes of a problem at temperature 0, what that took beside the probe, and how many of
    its draws came to the end of a reply.
    """
    drawn(model, CHAIN, 1, max_tokens=1)
    events: list[RunEvent] = []
    run = Run(model, params=Params(0.0, 200), watch=events.append)
    outcome = asyncio.run(spec.strategy(plan)(Problem("it", prompt), run))
    finishes = [event.sample.finish for event in events if isinstance(event, DrawArrived)]
    return outcome, run.spent, finishes.count(Finish.STOP)


@pytest.mark.parametrize("model", BOTH, indirect=True)
@pytest.mark.parametrize("prompt", [CHAIN, HARD], ids=["easy", "hard"])
@pytest.mark.parametrize(
    "plan",
    [
        "force", "force:wait=1", "force:wait=2", "force:at_least=70", "force:at_most=0", "force:at_most=17",
        "force:at_most=30,wait=3", "probe-stop:k=2,chunk=12", "revise:n=3,chain=3,show=thought",
    ],
)  # fmt: skip
def test_what_is_thought_is_the_embedded_models(model: OpenAIModel, plan: str, prompt: Prompt) -> None:
    here, cost_here, n_ended = thought(Nano(), plan, prompt)
    there, cost_there, _ = thought(model, plan, prompt)
    assert here.best is not None
    assert there.best is not None
    assert there.best.reply == here.best.reply
    assert there.answer == here.answer
    assert there.notes == here.notes
    assert (cost_there.calls, cost_there.prompt_tokens) == (cost_here.calls, cost_here.prompt_tokens)
    # Some count the end of a reply as a token, and some do not; the end of a thought all count.
    assert cost_here.output_tokens is not None
    assert cost_there.output_tokens in (cost_here.output_tokens, cost_here.output_tokens - n_ended)


def test_a_logit_bias_on_a_server_is_the_embedded_models(llama: OpenAIModel) -> None:
    """llama-cpp-python takes texts, which stand for all their tokens there: this one is a single token."""
    problem = Prompt.user("reach 88 with 3 4 7 25")
    free, *_ = thought(Nano(), "force", problem)
    assert free.best is not None
    assert "Wait" in free.best.reply
    for plan, is_other in (("tip:alpha=100,words=Wait", True), ("tip:alpha=100,words=Wait,beta=20", False)):
        here, *_ = thought(Nano(), plan, problem)
        there, *_ = thought(llama, plan, problem)
        assert here.best is not None
        assert there.best is not None
        assert there.best.reply == here.best.reply
        assert (there.best.reply != free.best.reply) is is_other
    assert llama.capabilities is not None
    assert llama.capabilities.biases == "texts"


def test_a_context_that_the_server_does_not_tell_is_not_thought_away(llama: OpenAIModel) -> None:
    """Its 512 tokens are full before the rounds are over: what was thought is shortened, and answered."""
    drawn(llama, CHAIN, 1, max_tokens=1)
    run = Run(llama, params=Params(0.0, 900))
    outcome = asyncio.run(spec.strategy("force:wait=400")(Problem("it", CHAIN), run))
    assert outcome.notes["thought_ended_by"] in ("context", "error")
    assert outcome.answer is not None


def test_where_thoughts_are_hidden_a_partial_reply_is_refused_with_the_reason(mlx: OpenAIModel) -> None:
    drawn(mlx, CHAIN, 1, max_tokens=4)
    with pytest.raises(UsageError, match="mlx cannot continue a partial reply"):
        drawn(mlx, CHAIN.extend("<think>"), 1)


@pytest.mark.parametrize("model", BOTH, indirect=True)
def test_a_stop_string_ends_a_reply(model: OpenAIModel) -> None:
    (draw,) = drawn(model, CHAIN, 1, temperature=0.0, max_tokens=100, stop=("=",))
    assert draw.text == "<think>\nc:b:a:9\nb:a+45"
    assert draw.finish is Finish.STOP_STRING


@pytest.mark.parametrize("model", ALL, indirect=True)
def test_a_streamed_reply_is_the_same(model: OpenAIModel) -> None:
    (whole,) = drawn(model, CHAIN, 1, temperature=0.0, max_tokens=100)
    (streamed,) = drawn(replace(model, stream=True), CHAIN, 1, temperature=0.0, max_tokens=100)
    assert "".join(said(streamed).split()) == "".join(said(whole).split())
    assert streamed.finish is whole.finish


def test_log_probabilities_are_the_models(llama: OpenAIModel) -> None:
    (here,) = drawn(Nano(), CHAIN, 1, temperature=0.0, max_tokens=20)
    (there,) = drawn(llama, CHAIN, 1, temperature=0.0, max_tokens=20, logprobs=2)
    assert there.logprobs is not None
    assert here.logprobs is not None
    assert there.logprobs == pytest.approx(here.logprobs, abs=2e-3)
    assert there.alternatives is not None
    assert all(len(place) == 2 for place in there.alternatives)


def test_a_context_overflow_is_that_draws_error(llama: OpenAIModel) -> None:
    (draw,) = drawn(llama, Prompt.user("a:7;" * 200 + "a?"), 1, max_tokens=50)
    assert draw.finish is Finish.ERROR
    assert "do not fit the model's context" in (draw.error or "")


def test_a_proxy_before_a_server(litellm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONT_KEY", "sk-front")
    model = OpenAIModel(Deployment("front", (litellm,), "front", api_key_env="FRONT_KEY"))
    (here,) = drawn(Nano(), CHAIN, 1, temperature=0.0, max_tokens=100)
    (there,) = drawn(model, CHAIN, 1, temperature=0.0, max_tokens=100)
    assert "".join(said(there).split()) == "".join(here.text.split())
    draws = drawn(model, HARD, 6, max_tokens=60)
    assert all(draw.finish is not Finish.ERROR for draw in draws)
    monkeypatch.setenv("FRONT_KEY", "sk-wrong")
    # Without a database LiteLLM says of a key that is not its own that it has none.
    with pytest.raises(ModelError, match=r"the key is refused|No connected db") as caught:
        drawn(replace(model, name="other"), CHAIN, 1)
    assert "sk-wrong" not in str(caught.value)
    monkeypatch.setenv("FRONT_KEY", "sk-front")
    with pytest.raises(UsageError, match=r"unknown model 'fron': did you mean 'front'\?"):
        drawn(replace(model, served="fron"), CHAIN, 1)
