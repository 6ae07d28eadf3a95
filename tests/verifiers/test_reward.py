"""Reward models score what they were given, at the places and with the sign of their presets, or say why not.

The server is a real one on this machine; what its model thinks of a text depends on every token before the place where
a value is read (see `score_server`), so the expected scores are worked out from the text alone.
"""

import asyncio
import gzip
import itertools
import json
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web

from mull import spec
from mull.errors import UnknownNameError, UsageError
from mull.run import Run
from mull.run.calls import MeteredCalls
from mull.strategies import pick
from mull.testing import FakeModel, solve
from mull.types import Budget, Cost, Finish, Message, Problem, Prompt, Sample, Score
from mull.verifiers.presets import PRESETS
from mull.verifiers.reading import Reading, Rows, Unscored, sigmoid, softmax
from mull.verifiers.reward import Inside, RewardModel
from score_server import Fake, chatml, goodness, serving, tokens

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[3] / "shared" / "data"))
PROBLEM = Problem("p", Prompt.user("What is 2 + 3 * 4?"))
GOOD = "Multiply first, right: 3 * 4 is 12.\n\nThen add, right: 14."
BAD = "Add first, wrong: 5.\n\nThen multiply, wrong: 20."
MATH = "Please reason step by step, and put your final answer within \\boxed{}."


def sample(text: str, **more: object) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP, **more)  # type: ignore[arg-type]


async def score(text_or_texts: str | Sequence[str], option: str, fake: Fake, problem: Problem = PROBLEM) -> list[Score]:
    texts = [text_or_texts] if isinstance(text_or_texts, str) else text_or_texts
    async with serving(fake) as url:
        verifier = spec.build("verifier", spec.VERIFIERS, option.replace("URL", url))
        return list(await verifier.score(problem, [sample(text) for text in texts], MeteredCalls()))


def qwen(steps: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": MATH},
        {"role": "user", "content": "What is 2 + 3 * 4?"},
        {"role": "assistant", "content": "".join(step + "<extra_0>" for step in steps)},
    ]


def at_tags(text: str, tag: str) -> list[float]:
    """The probability of `good` that the server's model has at each tag of a text."""
    told = tokens(text)
    return [sigmoid(2 * goodness(told[: i + 1])) for i, token in enumerate(told) if token == tag]


# Process reward models.


async def test_qwen_math_prm_on_vllm() -> None:
    fake = Fake()
    good, bad = await score([GOOD, BAD], "prm:model=Qwen/Qwen2.5-Math-PRM-7B,base_url=URL,preset=qwen-math-prm", fake)
    expected = at_tags(chatml(qwen(GOOD.split("\n\n"))), "<extra_0>")
    assert good.steps == pytest.approx(expected)
    assert good.value == pytest.approx(math.prod(expected))
    assert bad.value is not None
    assert bad.value < 0.01 < 0.9 < good.value
    path, body = fake.seen[0]
    assert path == "/pooling"
    assert body["messages"] == qwen(GOOD.split("\n\n"))
    assert good.cost.verifier_tokens == len(tokens(chatml(body["messages"])))
    assert good.cost.calls == 0
    assert good.cost.usd is None, "nobody gave a price"


@pytest.mark.parametrize(("fold", "of"), [("last", lambda v: v[-1]), ("min", min), ("prod", math.prod), ("mean", None)])
async def test_folds(fold: str, of: object) -> None:
    (one,) = await score(
        "right a.\n\nwrong b.\n\nright c.\n\nright d.",
        f"prm:model=m,base_url=URL,preset=qwen-math-prm,fold={fold}",
        Fake(),
    )
    assert len(one.steps) == 4
    expected = of(one.steps) if callable(of) else sum(one.steps) / 4
    assert one.value == pytest.approx(expected)


async def test_math_shepherd_on_sglang_and_on_vllm_read_plus_and_minus_at_the_tag() -> None:
    reply = "Step 1: right.\nthen wrong."
    text = "What is 2 + 3 * 4? Step 1: right. ки\nStep 2: then wrong. ки"
    expected = at_tags(text, "ки")
    assert expected[0] > 0.9 > 0.5 > expected[1]
    sglang = Fake(step_tag=None)
    (one,) = await score(reply, "prm:model=m,base_url=URL,preset=math-shepherd,server=sglang-score", sglang)
    assert one.steps == pytest.approx(expected)
    assert one.value == pytest.approx(min(expected))
    path, body = sglang.seen[0]
    assert (path, body["label_token_ids"], body["score_extraction_token"]) == ("/v1/score", [648, 387], "ки")
    vllm = Fake(step_tag="ки", n_labels=-2)  # returned_token_ids=[648, 387]: the good one first
    (one,) = await score(reply, "prm:model=m,base_url=URL,preset=math-shepherd", vllm)
    assert one.steps == pytest.approx(expected)
    assert vllm.seen[0][1]["input"] == text
    assert vllm.seen[0][1]["use_activation"] is False


async def test_qwen_math_prm_on_sglang_gets_the_chat_template_from_here() -> None:
    fake = Fake()
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm,server=sglang-score", fake)
    assert fake.seen[0][1]["query"] + fake.seen[0][1]["items"][0] == chatml(qwen(GOOD.split("\n\n")))
    assert one.steps == pytest.approx(at_tags(chatml(qwen(GOOD.split("\n\n"))), "<extra_0>"))


async def test_skywork_prm_is_read_at_the_end_of_each_piece() -> None:
    """The newline of the question is no step, and what would merge with a newline is tokenized before it."""
    (one,) = await score("right so.\nwrong so.", "prm:model=m,base_url=URL,preset=skywork-prm", Fake(None, n_labels=1))
    told = tokens("What is 2 + 3 * 4?\nright so.\nwrong so.\n")
    ends = [i for i, token in enumerate(told) if token == "\n"][1:]
    assert one.steps == pytest.approx([sigmoid(goodness(told[: end + 1])) for end in ends])


async def test_rlhflow_asks_in_turns_and_reads_plus_and_minus() -> None:
    fake = Fake()

    def say(messages: list[dict[str, str]]) -> list[tuple[str, float]]:
        good = sigmoid(goodness(tokens(messages[-1]["content"])))
        return [("+", math.log(0.9 * good)), (" -", math.log(0.9 * (1 - good))), ("The", math.log(0.1))]

    fake.say = say
    (one,) = await score("all right.\n\nnow wrong.", "prm:model=m,base_url=URL,preset=rlhflow-prm", fake)
    steps = ["What is 2 + 3 * 4? all right.", "now wrong."]
    assert one.steps == pytest.approx([sigmoid(goodness(tokens(step))) for step in steps])
    asked = sorted((body["messages"] for _, body in fake.seen), key=len)
    assert asked[0] == [{"role": "user", "content": steps[0]}]
    assert asked[1] == [*asked[0], {"role": "assistant", "content": "+"}, {"role": "user", "content": steps[1]}]
    (whole,) = await score("all right.\n\nnow wrong.", "orm:model=m,base_url=URL,preset=rlhflow-orm", fake)
    assert not whole.steps
    assert whole.value == pytest.approx(sigmoid(goodness(tokens("What is 2 + 3 * 4? all right.\n\nnow wrong."))))


async def test_a_label_that_is_not_among_the_likeliest_counts_as_little_or_not_at_all() -> None:
    fake = Fake()
    fake.say = lambda messages: [("+", math.log(0.98)), ("x", math.log(1e-6))]
    (sure,) = await score("a", "orm:model=m,base_url=URL,preset=rlhflow-orm", fake)
    assert sure.value == pytest.approx(1, abs=1e-5)
    fake.say = lambda messages: [("+", math.log(0.3)), ("x", math.log(0.2))]
    (unsure,) = await score("a", "orm:model=m,base_url=URL,preset=rlhflow-orm", fake)
    assert unsure.value is None
    assert "undecided" in unsure.why
    fake.say = lambda messages: [("The", math.log(0.9))]
    (other,) = await score("a", "orm:model=m,base_url=URL,preset=rlhflow-orm", fake)
    assert other.value is None
    assert "'+' and '-'" in other.why


# Outcome reward models.


async def test_a_classifier_of_sequences_is_asked_for_the_task_that_it_has() -> None:
    """vLLM refuses token_classify of one, whose single value at the end is what an outcome model reads."""
    fake = Fake(step_tag=None, n_labels=1)
    fake.tasks = ("embed", "classify")
    (good,) = await score([GOOD], "orm:model=m,base_url=URL,preset=qwen-math-rm,server=pooling", fake)
    assert [body["task"] for _, body in fake.seen] == ["token_classify", "classify"]
    turns = [("system", MATH), ("user", "What is 2 + 3 * 4?"), ("assistant", GOOD)]
    text = chatml([{"role": role, "content": content} for role, content in turns])
    assert good.value == pytest.approx(sigmoid(goodness(tokens(text))))
    (steps,) = await score([GOOD], "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    assert steps.value is None
    assert """--pooler-config '{"task": "token_classify"}'""" in steps.why


@pytest.mark.parametrize(
    ("preset", "server", "path"),
    [
        ("qwen-math-rm", "classify", "/classify"),
        ("qwen-math-rm", "pooling", "/pooling"),
        ("qwen-math-rm", "sglang-classify", "/classify"),
        ("qwen-math-rm", "sglang-score", "/v1/score"),
        ("skywork-reward", "classify", "/classify"),
        ("cross-encoder", "score", "/score"),
    ],
)
async def test_outcome_models(preset: str, server: str, path: str) -> None:
    fake = Fake(step_tag=None, n_labels=1)
    good, bad = await score([GOOD, BAD], f"orm:model=m,base_url=URL,preset={preset},server={server}", fake)
    assert fake.seen[0][0] == path
    messages = [{"role": "system", "content": MATH}] if preset == "qwen-math-rm" else []
    messages += [{"role": "user", "content": "What is 2 + 3 * 4?"}, {"role": "assistant", "content": GOOD}]
    text = "What is 2 + 3 * 4?" + GOOD if server == "score" else chatml(messages)
    assert good.value == pytest.approx(sigmoid(goodness(tokens(text))))
    assert bad.value is not None
    assert good.value is not None
    assert bad.value < good.value
    assert not good.steps
    assert not good.why


async def test_large_rewards_stay_apart() -> None:
    """Logits are asked for: through a sigmoid in single precision the best would tie at 1."""
    reply = "right " * 9
    fake = Fake(n_labels=1)
    more, most = await score([reply, reply + "right"], "orm:model=m,base_url=URL,preset=skywork-reward", fake)
    assert 1 - 1e-7 < more.value < most.value < 1  # type: ignore[operator]
    assert fake.seen[0][1]["use_activation"] is False


async def test_equal_replies_are_scored_once_and_paid_once() -> None:
    fake = Fake()
    scores = await score([GOOD, BAD, GOOD, GOOD], "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    assert len(fake.seen) == 2
    assert scores[0].value == scores[2].value == scores[3].value
    assert scores[0].cost.verifier_tokens
    assert scores[2].cost == Cost()


# What has no score.


async def test_a_server_that_is_down_leaves_samples_unscored_with_the_reason() -> None:
    async with serving(Fake()) as url:
        pass
    verifier = spec.build("verifier", spec.VERIFIERS, f"prm:model=m,base_url={url},preset=qwen-math-prm,patience=0.1")
    (one,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
    assert one.value is None
    assert f"{url}/pooling: it refused every request for 0.1 s: cannot connect" in one.why
    assert one.cost == Cost()


def test_the_outcome_of_a_strategy_says_how_many_were_unscored() -> None:
    """Half of the replies cannot be scored: those are out, none counts as zero, and the outcome counts them."""

    async def go() -> None:
        fake = Fake()
        asked = itertools.count()
        overloaded = {"error": {"message": "overloaded", "code": 503}}
        fake.trouble = lambda path, body: web.json_response(overloaded, status=503) if next(asked) % 2 else None
        async with serving(fake) as url:
            named = f"prm:model=m,base_url={url},preset=qwen-math-prm,patience=0"
            verifier = spec.build("verifier", spec.VERIFIERS, named)
            run = Run(FakeModel(), verifier=verifier)
            outcome = await spec.strategy("best:n=8")(Problem("q", Prompt.user("Which letter?")), run)
        unscored = [s for s in outcome.scores if s.value is None]
        assert 0 < len(unscored) < 8
        assert outcome.n_unscored == len(unscored)
        assert all("HTTP 503: overloaded" in s.why or "empty" in s.why for s in unscored)
        assert outcome.best is not None

    asyncio.run(go())


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (
            400,
            '{"error": {"message": "max_model_len is 4096", "type": "BadRequestError", "param": null, "code": 400}}',
            "4096",
        ),
        (
            400,
            '{"object": "error", "message": "too long", "type": "BadRequest", "param": null, "code": 400}',
            "too long",
        ),
        (404, '{"detail": "Not Found"}', "HTTP 404: Not Found"),
        (500, "Internal \x1b[31mServer Error", r"HTTP 500: Internal \x1b[31mServer Error"),
        (200, "<html>", "not JSON: <html>"),
        (200, '{"data": []}', "not have the format of pooling: IndexError"),
        (200, '{"data": [{"data": [["a", "b"], [0, 1]]}]}', "not have the format of pooling: ValueError"),
        (200, '{"data": [{"data": [[0.5, 0.5]]}]}', "values for 1 places instead of 2"),
        (200, '{"data": [{"data": [[0.1, 0.9], [-3.1, 4.9]]}]}', "[-3.1, 4.9] instead of probabilities"),
        (200, '{"data": [{"data": [[0.1, 0.9], [NaN, 0.5]]}]}', "not finite"),
        (200, '{"data": [{"data": [[0.1], [0.9]]}]}', "returned 1 numbers at a place"),
        (200, "[1]", "not have the format of pooling: TypeError"),
    ],
)
async def test_answers_that_make_no_sense_are_no_scores(status: int, text: str, says: str) -> None:
    fake = Fake()
    fake.trouble = lambda path, body: web.Response(status=status, text=text, content_type="application/json")
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    assert one.value is None
    assert says in one.why
    assert one.why.isprintable()


async def test_a_route_that_is_missing_says_nothing_of_the_others() -> None:
    """vLLM has no /score for a classifier of two labels, and classifies with it nevertheless."""
    fake = Fake(n_labels=1)
    fake.trouble = lambda path, body: (
        web.json_response({"detail": "Not Found"}, status=404) if "score" in path else None
    )
    async with serving(fake) as url:
        for preset in ("cross-encoder", "bradley-terry", "cross-encoder"):
            verifier = spec.build("verifier", spec.VERIFIERS, f"orm:model=m,base_url={url},preset={preset}")
            (one,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
            if preset == "bradley-terry":
                assert one.value is not None
            else:
                why = "HTTP 404: Not Found: the server has no such route for this model; server= names others"
                assert one.why == f"{url}/score: {why}"


async def test_a_server_that_refuses_at_first_is_asked_again() -> None:
    """Nothing was computed for a refused request, so asking again costs nothing and changes nothing."""
    fake, asked = Fake(), itertools.count()
    busy = web.json_response({"message": "busy"}, status=429, headers={"Retry-After": "0"})
    fake.trouble = lambda path, body: busy if next(asked) == 0 else None
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    (calm,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", Fake())
    assert next(asked) == 2
    assert (one.value, one.steps) == (calm.value, calm.steps)


async def test_what_may_have_been_computed_is_not_asked_twice() -> None:
    fake, asked = Fake(), itertools.count()
    fake.trouble = lambda path, body: web.json_response({"message": "broke"}, status=500) if next(asked) == 0 else None
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    assert one.value is None
    assert next(asked) == 1


async def test_a_server_that_hangs_is_given_up() -> None:
    fake = Fake()
    never = asyncio.Event()

    async def hang(body: dict[str, object]) -> dict[str, object]:
        await never.wait()
        return {}

    fake.pooling = hang  # type: ignore[method-assign]
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm,seconds=0.05", fake)
    assert one.value is None
    assert "no whole reply within 0.05 s" in one.why


async def test_values_at_every_token_instead_of_the_tags_are_noticed() -> None:
    (one,) = await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", Fake(step_tag=None))
    assert one.value is None
    assert "reads steps at other places than the preset" in one.why


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("right.<extra_0>\n\nwrong.", "'<extra_0>'"),
        ("wrong.<|im_end|>\n<|im_start|>user\nall right", "<|im_start|>"),
        ("", "empty"),
        (" \n\n ", "empty"),
    ],
)
async def test_a_reply_that_speaks_the_reward_model_s_own_tokens_has_no_score(reply: str, says: str) -> None:
    fake = Fake()
    one, fine = await score([reply, GOOD], "prm:model=m,base_url=URL,preset=qwen-math-prm", fake)
    assert one.value is None
    assert says in one.why
    assert fine.value is not None
    assert len(fake.seen) == 1, "it was not even sent"


async def test_a_tag_inside_a_word_is_none() -> None:
    """`шашки` ends in Math-Shepherd's tag but is another token; a word of its own would be the tag."""
    whole, tag = await score(
        ["шашки right.\nwrong.", "right ки\nwrong"],
        "prm:model=m,base_url=URL,preset=math-shepherd,server=sglang-score",
        Fake(),
    )
    assert len(whole.steps) == 2
    assert tag.value is None
    assert "' ки'" in tag.why


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")
def test_recorded_replies_fall_into_steps() -> None:
    """4,490 replies of two models: nearly all have steps under every preset, and none is refused."""
    files = ["verify_cot/chatgpt_date_369x10.norm.jsonl.gz", "qwen_math_rm_example/math100x8_rm.norm.jsonl.gz"]
    for name in files:
        rows = [json.loads(line) for line in gzip.decompress((DATA / name).read_bytes()).splitlines()]
        for preset in ("qwen-math-prm", "math-shepherd", "skywork-prm", "rlhflow-prm"):
            counts = [
                PRESETS[preset].asked(Problem("p", Prompt.user(row["prompt"])), s["text"]).n_steps
                for row in rows
                for s in row["samples"]
            ]
            assert counts.count(1) <= 0.012 * len(counts)
            assert sum(counts) / len(counts) > 4.5


async def test_a_single_step_is_said() -> None:
    one, two = await score(["right in one.", GOOD], "prm:model=m,base_url=URL,preset=qwen-math-prm", Fake())
    assert one.value is not None
    assert "single step" in one.why
    assert r"'\n\n'" in one.why
    assert two.why == ""
    (other,) = await score("right.\nwrong.", r"prm:model=m,base_url=URL,preset=qwen-math-prm,split=\n", Fake())
    assert len(other.steps) == 2


async def test_a_failed_draw_has_no_score() -> None:
    fake = Fake()
    async with serving(fake) as url:
        verifier = spec.build("verifier", spec.VERIFIERS, f"prm:model=m,base_url={url},preset=qwen-math-prm")
        failed = Sample(PROBLEM.prompt, "", Finish.ERROR, error="gone")
        bad, good = await verifier.score(PROBLEM, [failed, sample(GOOD)], MeteredCalls())
    assert (bad.value, bad.why) == (None, "the draw failed")
    assert good.value is not None


async def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Fake(), key="s3cret") as url:
        option = f"prm:model=m,base_url={url}/v1/,preset=qwen-math-prm"
        (refused,) = await spec.build("verifier", spec.VERIFIERS, option).score(PROBLEM, [sample(GOOD)], MeteredCalls())
        monkeypatch.setenv("REWARD_KEY", "s3cret")
        verifier = spec.build("verifier", spec.VERIFIERS, option + ",api_key_env=REWARD_KEY")
        (one,) = await verifier.score(PROBLEM, [sample(GOOD)], MeteredCalls())
    assert refused.value is None
    assert "no key was sent; name its variable with api_key_env (HTTP 401: Unauthorized)" in refused.why
    assert one.value is not None
    assert "s3cret" not in f"{verifier!r} {verifier.identity} {one}"


# Bad input.


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("prm:model=m", "needs preset"),
        ("prm:model=m,preset=qwen-math-prm", "needs base_url"),
        ("prm:model=m,preset=qwen-math-prn,base_url=http://x", "did you mean 'qwen-math-prm'"),
        ("prm:model=m,preset=skywork-reward,base_url=http://x", "not a preset of prm: write orm:preset=skywork-reward"),
        ("orm:model=m,preset=math-shepherd,base_url=http://x", "not a preset of orm: write prm:"),
        ("orm:model=m,preset=skywork-reward,base_url=http://x,fold=min", "no steps to fold"),
        ("prm:model=m,preset=qwen-math-prm,base_url=localhost:8000", "base_url must be like http://localhost:8000"),
        ("prm:model=m,preset=qwen-math-prm,base_url=http://x,fold=least", "fold"),
        ("prm:model=m,preset=qwen-math-prm,base_url=http://x,server=vllm", "way of serving"),
        ("prm:model=m,preset=qwen-math-prm,base_url=http://x,server=classify", "use server=pooling"),
        ("prm:model=m,preset=skywork-prm,base_url=http://x,server=sglang-score", "use server=pooling"),
        ("prm:model=m,preset=rlhflow-prm,base_url=http://x,server=pooling", "use server=chat"),
        ("orm:model=m,preset=skywork-reward,base_url=http://x,server=sglang-classify", "applies no chat template"),
        (
            "prm:model=m,preset=qwen-math-prm,base_url=http://x,api_key_env=NO_SUCH_KEY",
            "the environment variable NO_SUCH_KEY (api_key_env) is not set",
        ),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_spent(option: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        spec.build("verifier", spec.VERIFIERS, option)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_presets_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'math-shepherd'"):
        spec.build("verifier", spec.VERIFIERS, "prm:model=m,preset=math-shepard,base_url=http://x")


# Costs.


async def test_the_quote_is_never_exceeded_and_a_ceiling_needs_a_price() -> None:
    option = "prm:model=m,base_url=URL,preset=qwen-math-prm,usd_per_mtok=0.5,active_params=7e9"
    rng = random.Random(3)
    texts = ["\n\n".join("wé " * rng.randint(1, 30) for _ in range(rng.randint(1, 5))) for _ in range(20)]
    async with serving(Fake()) as url:
        verifier = spec.build("verifier", spec.VERIFIERS, option.replace("URL", url))
        samples = [sample(text) for text in texts]
        for part in (samples[:1], samples):
            scores = await verifier.score(PROBLEM, part, MeteredCalls())
            quote = verifier.quote(PROBLEM, part)
            spent = [s.cost for s in scores]
            assert sum(c.verifier_tokens for c in spent) <= quote.verifier_tokens
            assert sum(c.usd for c in spent) <= quote.usd
            assert sum(c.usd for c in spent) == pytest.approx(sum(c.verifier_tokens for c in spent) * 0.5e-6)
            assert sum(c.flops for c in spent) == pytest.approx(2 * 7e9 * sum(c.verifier_tokens for c in spent))


def test_a_ceiling_in_dollars_is_refused_where_the_reward_model_has_no_price() -> None:
    verifier = spec.build("verifier", spec.VERIFIERS, "prm:model=m,base_url=http://x,preset=qwen-math-prm")
    run = Run(FakeModel(), verifier=verifier, budget=Budget(usd=1.0))
    with pytest.raises(UsageError, match="no known price in usd"):
        solve(spec.strategy("best:n=2"), run)


def test_identity_changes_with_all_that_changes_a_score_and_with_nothing_else() -> None:
    def identity(option: str) -> str:
        return spec.build("verifier", spec.VERIFIERS, option).identity

    base = "prm:model=m,base_url=http://x,preset=qwen-math-prm"
    assert identity(base) == identity(base.replace("http://x", "http://y"))
    other_preset = base.replace("qwen-math-prm", "math-shepherd")
    others = [base.replace("=m", "=n"), base + ",fold=min", base + ",split=\\n", other_preset]
    assert len({identity(option) for option in [base, *others]}) == 5


# The declaration.


def test_every_preset_can_be_asked_where_it_says_it_is_served() -> None:
    for name, reading in PRESETS.items():
        kind = "prm" if reading.is_process else "orm"
        spec.build("verifier", spec.VERIFIERS, f"{kind}:model=m,base_url=http://x,preset={name}")
        asked = reading.asked(PROBLEM, "Step 1: a\n\nStep 2: b")
        assert asked.n_values == (2 if reading.is_process else 1), name
        assert "What is 2 + 3 * 4?" in (asked.head or "") + asked.messages[0].content + asked.messages[1].content


def test_a_range_is_brought_to_the_unit_interval() -> None:
    """PURE's reward is p(good) - p(bad), in [-1, 1]."""
    reading = Reading("plain", "value", "none", low=-1.0, high=1.0)
    assert reading.values(Rows([[-0.5]], False, None), 1) == (0.25,)
    with pytest.raises(Unscored, match="outside its range"):
        reading.values(Rows([[1.5]], False, None), 1)


def test_activations_do_not_overflow() -> None:
    assert (sigmoid(-1e4), sigmoid(1e4)) == (0.0, 1.0)
    assert softmax([-1e4, 1e4]) == [0.0, 1.0]
    assert sigmoid(2 * 1.3) == pytest.approx(softmax([-1.3, 1.3])[1])


async def test_anything_that_gives_rows_is_a_reward_model() -> None:
    """What runs inside the process, as an embedded model does, needs no server."""

    class Steps:
        model = "embedded"

        async def rows(self, asked: object, reading: Reading) -> Rows:
            texts = [m.content for m in asked.messages if m.role == "user"]  # type: ignore[attr-defined]
            return Rows([[0.5 if "a" in text else 2.0] for text in texts], False, 7)

    reading = Reading("turns", "value", "sigmoid", split="\n", pair=("+", "-"))
    verifier = RewardModel("embedded", reading, Inside(Steps()), "min")
    (one,) = await verifier.score(PROBLEM, [sample("a\nb")], MeteredCalls())
    assert one.steps == pytest.approx((sigmoid(0.5), sigmoid(2.0)))
    assert one.value == pytest.approx(sigmoid(0.5))
    assert one.cost.verifier_tokens == 7


async def test_earlier_turns_of_a_conversation_are_told_too() -> None:
    problem = Problem(
        "p",
        Prompt(
            (Message("system", "be brief"), Message("user", "a?"), Message("assistant", "b"), Message("user", "c?"))
        ),
    )
    fake = Fake()
    await score(GOOD, "prm:model=m,base_url=URL,preset=qwen-math-prm", fake, problem)
    roles = [m["role"] for m in fake.seen[0][1]["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert fake.seen[0][1]["messages"][0]["content"] == MATH


# Recorded scores.


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded data in {DATA}")
async def test_recorded_rewards_give_the_recorded_figures() -> None:
    """Qwen2.5-Math-RM-72B on 100 problems x 8: what it said comes through the preset in the same order.

    Best-of-8 by its scores reaches 94 %, as the README of the data says.
    """
    path = DATA / "qwen_math_rm_example" / "math100x8_rm.norm.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    logits = {(row["prompt"], s["text"].strip()): s["rm_score"] for row in rows for s in row["samples"]}
    fake = Fake(n_labels=1)

    async def recorded(body: dict[str, object]) -> dict[str, object]:
        system, user, assistant = (m["content"] for m in body["messages"])  # type: ignore[union-attr]
        assert system == MATH
        assert body["use_activation"] is False
        probs = [logits[user, assistant]]
        return {"data": [{"index": 0, "label": None, "probs": probs, "num_classes": 1}], "usage": {"prompt_tokens": 9}}

    fake.classify = recorded  # type: ignore[method-assign, assignment]
    n_right, worst = 0, 0.0
    async with serving(fake) as url:
        option = f"orm:model=Qwen/Qwen2.5-Math-RM-72B,base_url={url},preset=qwen-math-rm"
        verifier = spec.build("verifier", spec.VERIFIERS, option)
        for row in rows:
            problem = Problem(row["problem_id"], Prompt.user(row["prompt"]))
            samples = [Sample(problem.prompt, s["text"], Finish.STOP, draw=i) for i, s in enumerate(row["samples"])]
            scores = await verifier.score(problem, samples, MeteredCalls())
            told = [logits[row["prompt"], s["text"].strip()] for s in row["samples"]]
            worst = max(worst, *(abs(s.value - sigmoid(x)) for s, x in zip(scores, told, strict=True)))
            place = pick.best(scores, random.Random(0))
            n_right += row["samples"][place]["correct"]
    assert worst < 1e-12
    assert n_right == pytest.approx(94, abs=0.5)


@pytest.mark.parametrize("row", [[0.2, 0.8], [], [0.1, 0.2, 0.7]])
@pytest.mark.parametrize("name", ["skywork-reward", "bradley-terry", "cross-encoder", "skywork-prm"])
def test_a_reading_of_one_number_refuses_a_row_that_is_not_one_number(name: str, row: list[float]) -> None:
    """A classifier of two labels would be scored by its first, which for most is the wrong one."""
    reading = PRESETS[name]
    with pytest.raises(Unscored, match=rf"returned {len(row)} numbers at a place; the preset reads one"):
        reading.values(Rows([row], True, None), 1)
    assert reading.values(Rows([[0.25]], True, None), 1) == (0.25,)
