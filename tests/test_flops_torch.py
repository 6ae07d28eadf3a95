"""FLOPs against what torch counts while transformers' own models run; `make test-torch` runs these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mull.cost.flops import Architecture, read_architecture, read_config
from mull.runtime import WEIGHTS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402 - it is part of torch

pytestmark = pytest.mark.filterwarnings("default")  # transformers warns of its own doings
TINY = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
}  # fmt: skip
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 20}


def counted(model: Any, ids: list[int], pieces: list[int]) -> int:
    """What torch counts where a model reads tokens in pieces of these lengths; logits of each piece's last alone."""
    cache, at = None, 0
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for n in pieces:
            piece = torch.tensor([ids[at : at + n]])
            cache = model(piece, past_key_values=cache, use_cache=True, logits_to_keep=1).past_key_values
            at += n
    return int(counter.get_total_flops())


def square(a: Architecture, n: int) -> int:
    """What torch computes of attention in one piece and then masks: tokens that come after."""
    return 4 * a.layers * a.heads * a.head * n * (n - 1) // 2


@pytest.mark.parametrize("folder", ["nano", "mini", "nano-r1", "nano-think"])
def test_a_draw_of_a_built_in_model_costs_what_torch_counts(folder: str) -> None:
    path = Path(WEIGHTS, folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    a = read_config(path / "config.json")
    n_prompt, n_output = 23, 31
    ids = [5 + i % 40 for i in range(n_prompt + n_output)]
    decoded = counted(model, ids, [n_prompt] + [1] * (n_output - 1))
    assert decoded == a.draw(n_prompt, n_output) + square(a, n_prompt)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Llama", {"head_dim": 16}),
        ("Mistral", {"sliding_window": 6}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
        ("Qwen3", {"head_dim": 16}),
        ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
        ("Qwen2Moe", {**EXPERTS, "shared_expert_intermediate_size": 24, "decoder_sparse_step": 2}),
        ("Qwen3Moe", {**EXPERTS, "mlp_only_layers": [0], "head_dim": 8}),
    ],
)
def test_every_known_family_costs_what_torch_counts(kind: str, options: dict[str, Any]) -> None:
    config = getattr(transformers, f"{kind}Config")(**TINY, **options)
    how = {"attn_implementation": "eager", "experts_implementation": "eager"}
    model = transformers.AutoModelForCausalLM.from_config(config, **how).eval()
    assert counted(model, list(range(12)), [1] * 12) == read_architecture(config.to_dict()).forward(12, 0, 12)
