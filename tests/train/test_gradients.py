"""The gradients that TRL computes from rounds of draws, against those of each published loss by its definition.

Needs torch: the plain run skips it.
"""

import copy
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, TrainerCallback
from trl import GRPOConfig

from mull.runtime import WEIGHTS
from mull.train.advantages import VARIANTS
from mull.train.batches import batches_of
from mull.train.grpo import Reinforcement, trainer_of
from mull.train.objectives import Objective
from mull.train.rollouts import Rewards, Rollout, RoundSize

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what the libraries warn of is theirs
    pytest.mark.usefixtures("one_thread"),
]
MAX_TOKENS = 24
ADVANTAGES = [1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 0.0, 0.0]
"""One group that teaches, and one with equal rewards."""


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=90,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=24,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def logprobs_of(model: Any, one: Rollout) -> Any:
    """The log-probability of each token of a reply, of one sequence without padding."""
    ids = torch.tensor([[*one.prompt, *one.tokens]])
    logits = model(input_ids=ids).logits[0, len(one.prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, ids[0, len(one.prompt) :, None])[:, 0]


@pytest.fixture(scope="module")
def rollouts(model: LlamaForCausalLM) -> list[Rollout]:
    """Draws of several lengths, whose old probabilities are off the model's by up to half: some ratios are clipped."""
    rng = random.Random(4)
    found = []
    for place, advantage in enumerate(ADVANTAGES):
        prompt = tuple(rng.randrange(5, 90) for _ in range(4 + place // 4))
        tokens = tuple(rng.randrange(5, 90) for _ in range(rng.randint(3, 20)))
        with torch.no_grad():
            exact = logprobs_of(model, Rollout(prompt, tokens, (), 0.0)).tolist()
        old = tuple(p + rng.uniform(-0.5, 0.5) for p in exact)
        found.append(Rollout(prompt, tokens, old, advantage))
    return found


def expected(model: Any, reference: Any, rollouts: list[Rollout], name: str, kl: float, *, is_old: bool) -> Any:
    """The loss of one update on all these draws."""
    variant, losses = VARIANTS[name], []
    for one in rollouts:
        new = logprobs_of(model, one)
        old = torch.tensor(one.logprobs) if is_old else new.detach()
        ratio = torch.exp(new - old)
        clipped = ratio.clamp(1 - variant.clip_low, 1 + variant.clip_high)
        part = -torch.minimum(ratio * one.advantage, clipped * one.advantage)
        if kl:
            with torch.no_grad():
                there = logprobs_of(reference, one)
            part = part + kl * (torch.exp(there - new) - (there - new) - 1)
        losses.append(part)
    if name == "grpo":
        return sum(part.mean() for part in losses) / len(losses)
    if name == "dr-grpo":
        return sum(part.sum() for part in losses) / (len(losses) * MAX_TOKENS)
    return sum(part.sum() for part in losses) / sum(len(part) for part in losses)


class Caught(TrainerCallback):  # type: ignore[misc]
    """Keeps the gradients of each update."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, Any]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})


@pytest.mark.parametrize("kl", [0.0, 0.1])
@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize("name", list(VARIANTS))
def test_gradients_are_those_of_the_published_loss(
    model: LlamaForCausalLM, rollouts: list[Rollout], tmp_path: Path, name: str, updates: int, kl: float
) -> None:
    reference = copy.deepcopy(model)
    for p in reference.parameters():
        p.data += 0.02
    reference.save_pretrained(tmp_path / "reference")
    mine = copy.deepcopy(model)
    mine.config._name_or_path = str(tmp_path / "reference")
    rewards = Rewards(Objective(), VARIANTS[name])
    options = Reinforcement(1, RoundSize(2, 4, MAX_TOKENS), rewards, updates=updates, kl=kl, rate=0.0, warmup=0)
    caught = Caught()
    trainer = trainer_of(mine, AutoTokenizer.from_pretrained(WEIGHTS / "nano"), tmp_path / "out", options, 2, [caught])
    # Draws without an advantage are left out where nothing else would use them.
    kept = rollouts if kl or name == "dapo" else [one for one in rollouts if one.advantage]
    is_tokens = name == "dapo"
    trainer.args.max_grad_norm = 0.0

    def rounds() -> list[dict[str, Any]]:
        return batches_of(kept, len(rollouts), 2, updates, 0, random.Random(1), is_tokens=is_tokens)

    trainer.rounds = rounds
    trainer.train()
    assert len(caught.gradients) == updates
    whole = {key: sum(one[key] for one in caught.gradients) / updates for key in caught.gradients[0]}
    plain = copy.deepcopy(model)
    expected(plain, reference, rollouts, name, kl, is_old=updates > 1).backward()
    for key, p in plain.named_parameters():
        assert torch.allclose(whole[key], p.grad, atol=2e-6, rtol=2e-4), key


def test_defaults_of_trl_are_those_that_the_page_tells(tmp_path: Path) -> None:
    told = GRPOConfig(str(tmp_path), use_cpu=True, bf16=False)
    assert (told.loss_type, told.epsilon, told.epsilon_high, told.beta) == ("dapo", 0.2, None, 0.0)
    assert told.use_bias_correction_kl is True
