"""Reward models with random weights on vLLM's pooling routes: their scores are what transformers computes."""

import asyncio
import json
import math
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server_contract as contract
import server_table
from mull import Finish, Problem, Prompt, Run, Sample, Score, spec
from mull.testing import FakeModel
from mull.verifiers.reading import sigmoid
from mull.verifiers.servers import FOR_TOKENS
from real_servers import QUIET_VLLM, SERVERS, asked, running

PROBLEM = Problem("p", Prompt.user("Is 7 odd?"))
REPLIES = ["Yes", "It is 1 more than 6.\nSo it is odd: yes", "no", "A number is odd if\n2 does not divide it.\nYes."]
SCRIPT = Path(__file__).with_name("reward_folders.py")


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    """The models' folders, and by transformers the values of every reply, before any activation."""
    python = SERVERS / "vllm" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {python}: make test-servers installs it")
    question, texts = PROBLEM.prompt.question, list[dict[str, Any]]()
    for reply in REPLIES:
        steps = [piece for step in reply.split("\n") for piece in (step, "\n")]
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
        texts.append({"chat": chat, "pair": [question, reply], "pieces": [f"{question}\n", *steps]})
    command = [python, SCRIPT, SERVERS / "smol", folder / "rewards"]
    done = subprocess.run(command, input=json.dumps(texts), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    values = {name: [one[name] for one in told] for name in ("one", "pair")}
    # A step's value is read at its newline, every second piece after the question.
    return values | {name: [one[name][2::2] for one in told] for name in ("each", "tokens")}


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest, folder: Path, made: dict[str, Any]) -> Iterator[str]:
    """vLLM with one of the folders, and options."""
    name, *options = request.param.split(" ", 2)
    with running(
        "vllm", "vllm", "serve", folder / "rewards" / name, "--served-model-name", "rm", "--runner", "pooling",
        "--host", "127.0.0.1", "--port", "PORT", "--enforce-eager", "--max-model-len", 256, "--dtype", "float32",
        *[option.strip("'") for option in options], folder=folder, **QUIET_VLLM,
    ) as at:  # fmt: skip
        yield at


def scored(url: str, option: str) -> list[Score]:
    """The scores of the replies; what they cost is what the server counted."""

    async def score() -> list[Score]:
        verifier = spec.build("verifier", spec.VERIFIERS, f"{option},model=rm,base_url={url}")
        run = Run(FakeModel(), verifier=verifier)
        return await run.score(PROBLEM, [Sample(PROBLEM.prompt, reply, Finish.STOP) for reply in REPLIES])

    before = n_read(url)
    scores = asyncio.run(score())
    told = [score.cost.verifier_tokens for score in scores]
    assert None in told or sum(n or 0 for n in told) == n_read(url) - before
    return scores


def n_read(url: str) -> int:
    """The tokens that the server has read."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics") as page:
        found = re.search(r"^vllm:prompt_tokens_total{.*} ([\d.e+]+)", page.read().decode(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def values_of(scores: list[Score]) -> list[float]:
    assert [score.value for score in scores if score.value is None] == [], scores
    assert all(score.cost.verifier_tokens for score in scores)
    return [score.value for score in scores if score.value is not None]


@pytest.mark.parametrize("url", ["one"], indirect=True, scope="module")
def test_a_classifier_of_one_label_scores_as_transformers_does(url: str, made: dict[str, Any]) -> None:
    for option, name in (
        ("orm:preset=bradley-terry", "one"),
        ("orm:preset=bradley-terry,server=pooling", "one"),
        ("orm:preset=cross-encoder", "pair"),
    ):
        assert values_of(scored(url, option)) == pytest.approx([sigmoid(x) for x in made[name]], abs=1e-5), option
    server_table.check_cell(contract.REWARDS, "vLLM", contract.YES)


@pytest.mark.parametrize("url", ["one"], indirect=True, scope="module")
def test_values_of_steps_name_the_option_that_the_server_lacks(url: str) -> None:
    scores = scored(url, "prm:preset=skywork-prm")
    assert all(score.value is None and FOR_TOKENS in score.why for score in scores)


@pytest.mark.parametrize("url", ["one"], indirect=True, scope="module")
def test_the_routes_of_a_classifier_of_sequences(url: str) -> None:
    """What the client is built on, asked of the server directly."""
    base, texts = url.removesuffix("/v1"), {"model": "rm", "input": "Is 7 odd? Yes"}
    pair = {"model": "rm", "queries": "Is 7 odd?", "documents": "Yes"}
    (logit,) = asked(base, "/classify", {**texts, "use_activation": False})[1]["data"][0]["probs"]
    for fields in ({}, {"activation": False}, {"softmax": False}):
        # On unless it is said by its present name; other fields are ignored.
        (value,) = asked(base, "/classify", {**texts, **fields})[1]["data"][0]["probs"]
        assert value == pytest.approx(sigmoid(logit), abs=1e-5)
    status, reply = asked(base, "/pooling", {**texts, "task": "classify", "use_activation": False})
    assert (status, reply["data"][0]["data"]) == (200, pytest.approx([logit], abs=1e-5))
    assert asked(base, "/pooling", {**texts, "task": "token_classify"})[0] == 400
    for path in ("/score", "/v1/score"):
        assert 0 < asked(base, path, pair)[1]["data"][0]["score"] < 1
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        _, reply = asked(base, path, {"model": "rm", "query": "Is 7 odd?", "documents": ["Yes"]})
        assert 0 < reply["results"][0]["relevance_score"] < 1
    assert [asked(base, path, texts)[0] for path in ("/v1/classify", "/v1/decisions")] == [404, 404]
    long = {**texts, "input": "one two three " * 400}
    assert asked(base, "/classify", long)[0] == 400
    status, reply = asked(base, "/classify", {**long, "truncate_prompt_tokens": 5})
    assert (status, reply["usage"]["prompt_tokens"]) == (200, 5)


@pytest.mark.parametrize("url", ["tokens"], indirect=True, scope="module")
def test_the_routes_of_a_classifier_of_tokens(url: str) -> None:
    base, texts = url.removesuffix("/v1"), {"model": "rm", "input": "Is 7 odd? Yes"}
    status, reply = asked(base, "/pooling", texts)
    assert status == 200
    assert len(reply["data"][0]["data"]) == reply["usage"]["prompt_tokens"] > 1
    assert asked(base, "/classify", texts)[0] == 404
    assert asked(base, "/score", {"model": "rm", "queries": "Is 7 odd?", "documents": "Yes"})[0] == 404


@pytest.mark.parametrize("url", ["two"], indirect=True, scope="module")
@pytest.mark.parametrize(
    ("option", "why"),
    [("orm:preset=bradley-terry", "returned 2 numbers"), ("orm:preset=cross-encoder", "/score: HTTP 404")],
)
def test_a_classifier_of_two_labels_is_refused(url: str, option: str, why: str) -> None:
    """Its first label would be the score, which for most classifiers is the wrong one; vLLM has no /score for it."""
    scores = scored(url, option)
    assert [score.value for score in scores] == [None] * len(REPLIES)
    assert all(why in score.why for score in scores), [score.why for score in scores]


@pytest.mark.parametrize("url", ["tokens", f"one {FOR_TOKENS}"], indirect=True, scope="module")
def test_values_of_steps_are_those_at_their_last_tokens(
    url: str, made: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = "tokens" if request.node.callspec.params["url"] == "tokens" else "each"
    scores = scored(url, "prm:preset=skywork-prm,fold=min")
    for score, expected in zip(scores, made[name], strict=True):
        assert score.steps == pytest.approx([sigmoid(x) for x in expected], abs=1e-5)
    assert values_of(scores) == pytest.approx([min(map(sigmoid, x)) for x in made[name]], abs=1e-5)
    assert not math.isclose(scores[0].value or 0, scores[1].value or 0)
