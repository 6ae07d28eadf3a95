"""A key that may use some models and presets reaches and sees no other, whatever a request names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from asking import asked, post
from fault_server import FaultServer
from mull.serve.keys import hash_of

Make = Callable[..., Any]
LIMITED = """
[models.words]
base_url = "{words}"
[models.hidden]
base_url = "{hidden}"
[verifiers]
open-checker = "genrm:model=words"
hidden-checker = "genrm:model=hidden"
[judges]
open-judge = "pairwise:model=words"
hidden-judge = "pairwise:model=hidden"
[presets.vote]
strategy = "majority:n=2"
[presets.written]
strategy = "fuse:n=2,writer=hidden"
[presets.kept]
strategy = "majority:n=2"
[serve.effort]
high = "kept"
[serve.keys.bob]
sha256 = "{bob}"
models = ["words", "words@vote", "words@written"]
[serve.keys.presets]
sha256 = "{presets}"
models = ["words@vote"]
"""
WRITER = "(fuse:n=2,writer=hidden)"
OTHER_MODELS = (
    ("mull.strategy", {"strategy": WRITER[1:-1]}),
    ("mull.strategy", {"strategy": "fuse:n=2,models=hidden"}),
    ("mull.strategy", {"strategy": "fuse:n=2,models=words+hidden"}),
    ("mull.strategy", {"strategy": "on:of=single,model=hidden"}),
    ("mull.strategy", {"strategy": "cascade:first=single,then=single,model=hidden"}),
    ("mull.strategy", {"strategy": f"cascade:first={WRITER},then=single"}),
    ("mull.strategy", {"strategy": f"ensemble:members=(single,{WRITER})"}),
    ("mull.strategy", {"strategy": f"repeat:of={WRITER},n=2"}),
    ("mull.verifier", {"strategy": "on:of=(best:n=2),verifier=hidden-checker"}),
    ("mull.verifier", {"strategy": "best:n=2", "verifier": "hidden-checker"}),
    ("mull.judge", {"strategy": "on:of=(tournament:n=2),judge=hidden-judge"}),
    ("mull.judge", {"strategy": "tournament:n=2", "judge": "hidden-judge"}),
    ("mull.compare[1]", {"compare": ["vote", "kept"]}),
)


@pytest.fixture
async def served(gateway: Make) -> Any:
    async with FaultServer() as words, FaultServer(models=("hidden",)) as hidden:
        hashes = {name: hash_of(f"mull-{name}") for name in ("bob", "presets")}
        text = LIMITED.format(words=words.url, hidden=hidden.url, **hashes)
        async with gateway(text) as running:
            running.hidden = hidden
            yield running


async def ask(served: Any, key: str, model: str, **fields: Any) -> tuple[int, str]:
    status, _, text = await post(served.url, "chat/completions", asked("chat/completions", model, **fields), key)
    return status, text


async def test_no_field_reaches_a_model_or_preset_that_the_key_may_not_use(served: Any) -> None:
    known = {
        "mull.strategy": "not among the models: words",
        "mull.verifier": "must be one of open-checker",
        "mull.judge": "must be one of open-judge",
        "mull.compare[1]": "must be a preset of words: vote, written",
    }
    for path, mull in OTHER_MODELS:
        status, text = await ask(served, "mull-bob", "words", mull=mull)
        assert status == 400, mull
        error = json.loads(text)["error"]
        assert error["param"] == path, mull
        assert known[path] in error["message"], mull
    assert served.hidden.bodies == []


async def test_errors_name_only_what_the_key_may_use(served: Any) -> None:
    for mull in (
        {"strategy": "fuse:n=2,writer=elsewhere"},
        {"strategy": "best:n=2"},
        {"strategy": "best:n=2", "verifier": "elsewhere"},
        {"strategy": "tournament:n=2"},
        {"strategy": "tournament:n=2", "judge": "elsewhere"},
        {"compare": ["vote", "elsewhere"]},
    ):
        status, text = await ask(served, "mull-bob", "words", mull=mull)
        assert status == 400
        assert "hidden" not in text
        assert "kept" not in text
    status, text = await ask(served, "mull-presets", "words@vote", mull={"strategy": "fuse:n=2,writer=words"})
    assert status == 400
    assert "not a model that this key may name" in text


async def test_an_effort_does_not_stand_for_a_preset_of_others(served: Any) -> None:
    status, text = await ask(served, "mull-bob", "words", reasoning_effort="high")
    assert status == 400
    assert "reasoning_effort" in text
    assert "kept" not in text


async def test_a_preset_of_the_operator_may_use_other_models(served: Any) -> None:
    status, _ = await ask(served, "mull-bob", "words@written", seed=1, max_tokens=30)
    assert status == 200
    assert served.hidden.bodies
