"""Each client gets the answer of the vote, its token counts and its errors, whole and streamed, as from OpenAI."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients_at import CLIENTS

Told = Callable[[str, str], Any]


@pytest.mark.parametrize("client", ["openai2", "openai3"])
def test_openai(told: Told, client: str) -> None:
    found = told(client, "with_openai.py")
    first = found["contents"][0]
    assert "42" in first
    assert found["models"] == ["nano", "nano@vote"]
    assert (len(found["contents"]), found["finish"], found["calls"]) == (2, ["stop", "stop"], 6)
    assert 0 < found["confidence"] <= 1
    assert (found["request"], found["role"], found["first"]) == ("req_", "assistant", "nano@vote")
    assert {found[name] for name in ("streamed", "text", "response", "response_streamed")} == {first}
    assert found["streamed_tokens"] > 0
    assert found["kinds"] == ["response.created", "response.completed"]
    assert found["error"] == ["temperature", "invalid_request_error", "false"]


def test_langchain(told: Told) -> None:
    found = told("langchain", "with_langchain.py")
    assert "42" in found["content"]
    assert {found["streamed"], *found["batch"]} == {found["content"]}
    assert (found["finish"], found["strategy"], found["deep"]) == ("stop", "mull:majority:n=3", "mull:majority:n=4")
    assert found["tokens"] > 0


def test_litellm(told: Told) -> None:
    found = told("litellm", "with_litellm.py")
    assert "42" in found["content"]
    assert found["streamed"].endswith(found["content"])
    assert (found["finish"], found["error"]) == ("stop", True)
    assert sum(weight for _, weight in found["tally"]) == 3
    assert found["tokens"] > 0


def test_inspect(told: Told) -> None:
    found = told("inspect", "with_inspect.py")
    assert (found["status"], found["scores"]) == ("success", ["C", "I"])
    assert len(set(found["samples"])) == 1
    assert found["tokens"] > 0


def test_lm_evaluation_harness(told: Told) -> None:
    found = told("lm_eval", "with_lm_eval.py")
    assert found["exact_match"] == 0.5
    assert len(set(found["replies"])) == 1


def test_the_gateway_does_what_its_description_says(url: str, tmp_path: Path) -> None:
    """Schemathesis asks what the description allows and what it forbids. What a model takes is the model's own."""
    program = CLIENTS / "schemathesis" / "bin" / "schemathesis"
    if not program.exists():
        pytest.skip(f"no {program}: make test-clients installs it")
    words = [program, "run", f"{url.removesuffix('/v1')}/openapi.json", "--seed", "1", "--max-examples", "100"]
    words += ["--phases", "coverage,fuzzing", "--exclude-checks", "positive_data_acceptance", "--no-color"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
