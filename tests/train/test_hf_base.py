"""Training of a model in the format of transformers, with adapters and without. Needs torch: the plain run skips it."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from transformers import AutoModelForCausalLM

from hf_folders import hf_folder
from mull.errors import UsageError
from mull.files.recording import RecordedSample, Recording
from mull.models.hf import Hf, live_of
from mull.models.live import LiveModel
from mull.tasks.synthetic import ChainTask
from mull.train.adapters import adapters_on, put_back, trained_of, weights_of
from mull.train.advantages import VARIANTS
from mull.train.curve import RunFolder
from mull.train.grpo import Reinforced, Reinforcement, train_grpo
from mull.train.objectives import Objective
from mull.train.rollouts import Rewards, RoundSize
from mull.train.sft import FineTuning, train_sft
from mull.types import Grade, Sample

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what the libraries warn of is theirs
    pytest.mark.usefixtures("one_thread"),
]


class Even(ChainTask):
    """A toy task: a reply is right if its number of characters is even, as about half of a random model's are."""

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(len(sample.text) % 2 == 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hf_folder(tmp_path_factory.mktemp("llama"), "llama")


def trained(base: Path, out: Path, steps: int, **options: Any) -> Reinforced:
    rewards = Rewards(Objective(), VARIANTS["grpo"])
    plan = Reinforcement(
        steps, RoundSize(2, 4, 12), rewards, **{"rate": 1e-2, "warmup": 1, "every": 2, "lora": 4, **options}
    )
    return train_grpo(Hf(str(base), context=256), [Even(2, split="train")], RunFolder(out, {}), plan, lambda _: None)


def test_adapters_add_up_to_the_weights_that_the_model_computes_with(folder: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = adapters_on(base, 4)
    torch.manual_seed(1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.normal_(std=0.1)
    ids = torch.arange(1, 30)[None]
    with torch.no_grad():
        expected = model(input_ids=ids).logits
    merged = weights_of(model)
    assert merged.keys() == before.keys()
    n_changed = sum(not torch.equal(merged[name], before[name]) for name in before)
    assert n_changed == 2 * 7, "all linear layers of both layers, and neither the embedding nor the output"
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    plain.load_state_dict(merged)
    with torch.no_grad():
        assert torch.allclose(plain(input_ids=ids).logits, expected, atol=1e-4)
    kept = trained_of(model)
    assert all("lora_" in name for name in kept)
    for p in model.parameters():
        p.data.zero_()
    put_back(model, kept)
    assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters() if name in kept)


@pytest.mark.parametrize(("lora", "kl"), [(4, 0.1), (0, 0.0)])
def test_three_steps_leave_a_model_and_resume_to_the_same(folder: Path, tmp_path: Path, lora: int, kl: float) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = trained(folder, whole, 3, lora=lora, kl=kl)
    assert [row["step"] for row in done.rows] == [1, 2, 3]
    assert all(row["draw_flops"] > 0 for row in done.rows)
    assert any(row["taught"] for row in done.rows)
    trained(folder, broken, 2, lora=lora, kl=kl)
    (broken / "model.safetensors").unlink()
    trained(folder, broken, 3, lora=lora, kl=kl)
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    drawn = live_of(Hf(str(whole), context=256))
    first = live_of(Hf(str(folder), context=256))
    changed = [name for name in first.tensors if (drawn.tensors[name] != first.tensors[name]).any()]
    assert changed
    assert ("model.embed_tokens.weight" in changed) == (lora == 0)
    assert isinstance(drawn.use(drawn.tensors), LiveModel)
    assert json.loads((whole / "tokenizer_config.json").read_text())["chat_template"]
    assert not (whole / "decoder.onnx").exists()


def test_traces_are_learned_with_adapters(folder: Path, tmp_path: Path) -> None:
    problems = itertools.islice(ChainTask(1, split="train").problems(), 40)
    traces = [Recording(p.id, prompt=p.prompt.question, samples=(RecordedSample("answer: 7"),)) for p in problems]
    options = FineTuning(epochs=4, rate=3e-2, batch_tokens=400, lora=8)
    done = train_sft(Hf(str(folder)), traces, tmp_path / "a", options)
    assert done.loss_before is not None
    assert done.loss_after is not None
    assert done.loss_after < done.loss_before / 2
    assert done.flops is not None
    learned = live_of(Hf(str(tmp_path / "a"), context=256))
    assert learned.tensors.keys() == live_of(Hf(str(folder), context=256)).tensors.keys()


def test_an_architecture_that_mull_cannot_draw_from_is_refused_with_what_it_can_do(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = hf_folder(tmp_path / "made", "llama")
    torch.manual_seed(1)
    sizes = {"vocab_size": 259, "n_positions": 128, "n_embd": 16, "n_layer": 1, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(**sizes, eos_token_id=257)).save_pretrained(folder)
    with pytest.raises(UsageError, match=r"runs llama, qwen2, qwen3, and .* is of type 'gpt2'.*mull train sft"):
        trained(folder, tmp_path / "run", 1)
    problems = itertools.islice(ChainTask(1, split="train").problems(), 6)
    traces = [Recording(p.id, prompt=p.prompt.question, samples=(RecordedSample("7"),)) for p in problems]
    done = train_sft(Hf(str(folder)), traces, tmp_path / "a", FineTuning(epochs=1, lora=2))
    assert done.flops is None, "not known for this architecture"
    assert (tmp_path / "a" / "model.safetensors").exists()
