"""FLOPs are those of the operations that a forward pass makes, counted here from the weights that run and by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.cost import Price
from mull.cost.flops import Architecture, read_architecture, read_config
from mull.errors import UsageError
from mull.runtime import WEIGHTS
from mull.runtime.session import graph_weights, read_safetensors
from mull.runtime.session import read_config as sizes

NANO = read_config(WEIGHTS / "nano" / "config.json")
MISTRAL = {
    "model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
}  # fmt: skip


def products(folder: str) -> tuple[int, int]:
    """Multiplications of one token in the matrix products that run: those in the layers, and the last one."""
    path = WEIGHTS / folder
    weights = graph_weights(sizes(path), read_safetensors(path / "model.safetensors"))
    made = {name: w.size for name, w in weights.items() if name.split(".")[0] in ("qkv", "o", "gate", "up", "down")}
    return sum(made.values()), weights["head"].size


@pytest.mark.parametrize("folder", ["nano", "mini", "nano-r1", "nano-think", "nano-prm", "nano-orm"])
def test_the_products_are_those_that_run(folder: str) -> None:
    architecture = read_config(WEIGHTS / folder / "config.json")
    body, last = products(folder)
    assert architecture.body_params == body
    assert architecture.active_params == body + last
    assert architecture.forward(7, 0, 2) - architecture.forward(7) == 2 * 2 * last


def by_hand(a: Architecture, n: int, n_before: int, n_logits: int) -> int:
    """Token by token, layer by layer, head by head: 2 for every multiplication."""
    flops = 2 * n_logits * a.width * a.outputs
    for place in range(n_before, n_before + n):
        flops += 2 * a.body_params
        for layer in range(a.layers):
            seen = place + 1
            if a.window is not None and layer < a.windowed_layers:
                seen = min(seen, a.window)
            flops += a.heads * (2 * a.head * seen + 2 * seen * a.head)
    return flops


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.none() | st.integers(1, 30), st.integers(0, 4))
def test_attention_is_causal_and_within_its_window(
    n: int, n_before: int, n_logits: int, window: int | None, windowed: int
) -> None:
    a = replace(NANO, window=window, windowed_layers=windowed if window else 0)
    assert a.forward(n, n_before, n_logits) == by_hand(a, n, n_before, n_logits)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_draw_costs_what_its_tokens_do_and_never_more_than_was_quoted(n: int, made: int, data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, n))
    first_logits = int(cached < n)  # a prompt that is known whole was computed up to its last logits
    expected = by_hand(NANO, n - cached, cached, first_logits)
    expected += sum(by_hand(NANO, 1, n + i, 1) for i in range(made - 1))  # the last token drawn is not computed
    assert NANO.draw(n, made, cached) == expected
    price = Price(architecture=NANO)
    quoted, paid = price.cost(n, 60).flops, price.cost(n, made, cached).flops
    assert quoted is not None
    assert paid is not None
    assert paid <= quoted


def test_grouped_queries_save_parameters_and_no_attention() -> None:
    one, all_heads = replace(NANO, kv_heads=1), replace(NANO, kv_heads=NANO.heads)
    saved = NANO.layers * 2 * NANO.width * (NANO.heads - 1) * NANO.head
    assert all_heads.body_params - one.body_params == saved
    assert all_heads.forward(9) - one.forward(9) == 2 * 9 * saved


def test_the_sizes_of_known_models_are_those_of_their_cards() -> None:
    """Mistral 7B has 7.24 billion parameters, 0.13 of them looked up; Mixtral 8x7B uses 12.9 of its 46.7 on a token."""
    mistral = read_architecture(MISTRAL)
    embedding = 4096 * 32000
    assert (mistral.active_params + embedding) / 1e9 == pytest.approx(7.24, abs=0.005)
    mixtral = MISTRAL | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": None}
    assert (read_architecture(mixtral).active_params + embedding) / 1e9 == pytest.approx(12.88, abs=0.005)
    qwen = {
        "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936,
        "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
    }  # fmt: skip
    assert (read_architecture(qwen).active_params + 2048 * 151936) / 1e9 == pytest.approx(3.35, abs=0.01)


@pytest.mark.parametrize(
    ("change", "layers"),
    [
        ({}, 32),
        ({"sliding_window": None}, 0),
        ({"use_sliding_window": False}, 0),
        ({"layer_types": ["full_attention"] * 31 + ["sliding_attention"]}, 1),
        ({"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 30}, 2),
        ({"model_type": "qwen2"}, 0),
    ],
)
def test_windows_are_read_as_each_family_writes_them(change: dict[str, Any], layers: int) -> None:
    assert read_architecture(MISTRAL | {"sliding_window": 4096} | change).windowed_layers == layers


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (MISTRAL | {"model_type": "mamba"}, "model_type 'mamba' are not known, .* give active_params instead"),
        ({k: v for k, v in MISTRAL.items() if k != "hidden_size"}, "has no hidden_size"),
        (MISTRAL | {"vocab_size": 0}, "vocab_size = 0"),
        (MISTRAL | {"model_type": "mixtral"}, "has no num_local_experts"),
    ],
)
def test_what_cannot_be_counted_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_architecture(config)


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(UsageError, match=re.escape(str(path))):
            read_config(path)
    path.write_text(json.dumps({"text_config": MISTRAL}))
    assert read_config(path) == read_architecture(MISTRAL)
