"""Models whose weights a training loop replaces in memory, and models of folders that `mull train` wrote."""

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from mull import Draw, Params, Prompt, Sample, UsageError, spec
from mull.models.embedded import EmbeddedModel, Nano
from mull.models.live import Checkpoint, LiveEngine
from mull.runtime import EOS, WEIGHTS
from mull.runtime.session import Floats, read_safetensors
from mull.testing import FakePurse
from mull.types import Finish

PROMPT = Prompt.user("b:a+45;a:9;c:b-30;c?")
SEEDS = (11, 12, 13)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Floats]:
    return read_safetensors(WEIGHTS / "nano" / "model.safetensors")


@pytest.fixture(scope="module")
def live() -> LiveEngine:
    return LiveEngine(WEIGHTS / "nano")


def samples_of(model: EmbeddedModel) -> list[Sample]:
    async def drawn() -> list[Sample]:
        draws = [Draw(i, seed) for i, seed in enumerate(SEEDS)]
        found = [one async for one in model.sample(PROMPT, Params(max_tokens=60), draws, FakePurse())]
        return sorted(found, key=lambda one: one.draw)

    return asyncio.run(drawn())


def told(samples: list[Sample]) -> list[tuple[str, tuple[float, ...] | None]]:
    return [(one.text, one.logprobs) for one in samples]


def other(tensors: dict[str, Floats]) -> dict[str, Floats]:
    rng = np.random.default_rng(3)
    return {name: (t + rng.normal(0, 0.02, t.shape)).astype(np.float32) for name, t in tensors.items()}


def test_weights_in_memory_draw_what_the_same_weights_in_a_folder_draw(
    live: LiveEngine, tensors: dict[str, Floats]
) -> None:
    assert told(samples_of(live.use(tensors))) == told(samples_of(Nano()))


def test_new_weights_are_used_at_once_and_have_another_identity(live: LiveEngine, tensors: dict[str, Floats]) -> None:
    first = live.use(tensors)
    before = told(samples_of(first))
    second = live.use(other(tensors))
    assert second.identity != first.identity
    assert told(samples_of(second)) != before
    third = live.use(tensors)
    assert third.identity == first.identity, "the identity is that of the weights"
    assert told(samples_of(third)) == before, "keys and values of other weights are forgotten"


def test_a_model_of_replaced_weights_draws_no_more(live: LiveEngine, tensors: dict[str, Floats]) -> None:
    first = live.use(tensors)
    live.use(other(tensors))
    with pytest.raises(UsageError, match="were replaced"):
        samples_of(first)


def test_weights_are_not_replaced_while_there_are_draws(live: LiveEngine, tensors: dict[str, Floats]) -> None:
    model = live.use(tensors)
    engine = live.loaded.engine
    (worker, *_) = engine._active
    engine.active(worker, 1)  # as while it computes a row
    with pytest.raises(UsageError, match="while it draws"):
        live.use(other(tensors))
    engine.active(worker, 0)
    assert told(samples_of(model)) == told(samples_of(Nano()))


def test_weights_of_another_model_are_refused(live: LiveEngine, tensors: dict[str, Floats]) -> None:
    model = live.use(tensors)
    wrong = dict(tensors)
    wrong["model.norm.weight"] = wrong["model.norm.weight"][:-1]
    del wrong["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(UsageError, match=r"model\.layers\.0\.mlp\.up_proj\.weight, model\.norm\.weight differ"):
        live.use(wrong)
    assert told(samples_of(model)) == told(samples_of(Nano())), "the old weights are still in use"


def test_draws_have_their_tokens_with_special_ones(live: LiveEngine, tensors: dict[str, Floats]) -> None:
    model = live.use(tensors)
    tokens = live.loaded.tokens
    for sample in samples_of(model):
        assert sample.tokens is not None
        assert sample.logprobs is not None
        assert len(sample.tokens) == len(sample.logprobs)
        assert tokens.decode(sample.tokens) == sample.text
        assert (sample.tokens[-1] == tokens.id_of[EOS]) == (sample.finish is Finish.STOP)
    assert tokens.decode(model.prompt_tokens(PROMPT)) == PROMPT.question


def test_a_trained_folder_is_a_model_by_its_name(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "nano", tmp_path / "mine")
    model = spec.build("model", spec.MODELS, f"trained:{tmp_path / 'mine'}")
    assert isinstance(model, Checkpoint)
    assert told(samples_of(model)) == told(samples_of(Nano()))


def test_a_folder_that_has_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        Checkpoint(str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="not the folder of a model: it has no config"):
        LiveEngine(tmp_path)
    shutil.copytree(WEIGHTS / "nano", tmp_path / "mine")
    (tmp_path / "mine" / "decoder.onnx").unlink()
    with pytest.raises(UsageError, match=r"no decoder\.onnx.*--base-url"):
        Checkpoint(str(tmp_path / "mine"))
