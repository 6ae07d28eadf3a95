"""FLOPs of a transformer's forward passes, counted exactly from its dimensions: matrix products and attention.

A multiply-add counts as 2 FLOPs; norms, rotary embeddings, softmax and activations are left out, as is usual (Kaplan
et al. 2020, arXiv 2001.08361). The embedding is a lookup and counts as 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.errors import UsageError

DENSE = ("llama", "mistral", "qwen2", "qwen3")
MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe")
"""Mixture-of-experts `model_type`s of `config.json` that `read_architecture` can read."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The dimensions of a decoder with dense layers, mixture-of-experts layers, or both.

    `outputs` is the width of the output layer: the vocabulary size, or 1 for a reward model. `window` is the attention
    window of `windowed_layers`, in tokens; `None`: all layers attend to the whole context.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    hidden: int
    """Width of the feed-forward network in the `layers - expert_layers` dense layers."""
    outputs: int
    expert_layers: int = 0
    experts: int = 0
    active_experts: int = 0
    expert_hidden: int = 0
    shared_hidden: int = 0
    """Width of the shared expert, which processes every token."""
    window: int | None = None
    windowed_layers: int = 0

    @property
    def body_params(self) -> int:
        """Parameters in the matrix products applied to each token, without the output layer."""
        attention = self.width * self.head * (2 * self.heads + 2 * self.kv_heads)
        dense = 3 * self.width * self.hidden
        mixture = self.width * (self.experts + 3 * self.active_experts * self.expert_hidden)
        if self.shared_hidden:
            mixture += self.width * (3 * self.shared_hidden + 1)  # the 1: a gate on the shared expert
        return self.layers * attention + (self.layers - self.expert_layers) * dense + self.expert_layers * mixture

    @property
    def active_params(self) -> int:
        """Parameters applied to a token whose logits are computed; its FLOPs are 2 for each, plus attention."""
        return self.body_params + self.width * self.outputs

    def forward(self, n: int, n_before: int = 0, n_logits: int = 0) -> int:
        """FLOPs of computing `n` tokens after `n_before` tokens whose keys and values are cached.

        Attention is causal: a token attends to itself and all tokens before it, within the window. `n_logits` is the
        number of tokens whose logits are computed.
        """
        seen = _seen(n, n_before, None) * (self.layers - self.windowed_layers)
        if self.windowed_layers:
            seen += _seen(n, n_before, self.window) * self.windowed_layers
        # Queries times keys, and weights times values; grouped queries share keys, but each query is multiplied.
        attention = 4 * self.heads * self.head * seen
        return 2 * self.body_params * n + attention + 2 * self.width * self.outputs * n_logits

    def draw(self, n_prompt: int, n_output: int, n_cached: int = 0) -> int:
        """FLOPs of one draw: the prompt without its cached tokens, and the output one token at a time.

        Cached tokens are attended to but not computed. The last token drawn is not computed, because nothing follows
        it. A token is drawn from the logits of the one before; if the whole prompt is cached, so are those logits.
        """
        n = max(0, n_prompt - n_cached + max(0, n_output - 1))
        return self.forward(n, n_cached, min(n, n_output))


def _seen(n: int, n_before: int, window: int | None) -> int:
    """The number of attended positions, summed over `n` tokens after `n_before`."""
    last = n_before + n
    full = last * (last + 1) // 2 - n_before * (n_before + 1) // 2
    if window is None or last <= window:
        return full
    n_inside = max(0, min(n, window - n_before))  # tokens that attend to all tokens before them
    return (_seen(n_inside, n_before, None) if n_inside else 0) + (n - n_inside) * window


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """The dimensions in a Hugging Face `config.json` whose `model_type` is in `DENSE` or `MIXTURES`.

    Raises `UsageError` naming the missing key or the unknown `model_type`.
    """
    told: Mapping[str, Any] = config.get("text_config") or config
    kind = told.get("model_type")
    if kind not in DENSE + MIXTURES:
        raise UsageError(
            f"FLOPs of model_type {kind!r} are not known, only of {', '.join(DENSE + MIXTURES)}; "
            "give active_params instead"
        )

    def size(key: str, default: int | None = None) -> int:
        value = told.get(key)
        if value is None:
            value = default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            what = f"has no {key}" if value is None else f"has {key} = {value!r}, but a whole number from 1 is needed"
            raise UsageError(f"the architecture {what}")
        return value

    layers, width, heads = size("num_hidden_layers"), size("hidden_size"), size("num_attention_heads")
    window, windowed = _window(told, kind, layers)
    rewards = any(not str(name).endswith("ForCausalLM") for name in told.get("architectures") or ())
    sizes = {
        "layers": layers,
        "width": width,
        "heads": heads,
        "kv_heads": size("num_key_value_heads", heads),
        "head": size("head_dim", width // heads),
        "hidden": size("intermediate_size"),
        "outputs": 1 if rewards else size("vocab_size"),
        "window": window,
        "windowed_layers": windowed,
    }
    if kind == "mixtral":
        sizes |= {
            "expert_layers": layers,
            "experts": size("num_local_experts"),
            "active_experts": size("num_experts_per_tok"),
            "expert_hidden": size("intermediate_size"),
        }
    elif kind in MIXTURES:
        dense = set(told.get("mlp_only_layers") or ())
        step = size("decoder_sparse_step", 1)
        sizes |= {
            "expert_layers": sum(i not in dense and (i + 1) % step == 0 for i in range(layers)),
            "experts": size("num_experts", told.get("num_local_experts")),
            "active_experts": size("num_experts_per_tok"),
            "expert_hidden": size("moe_intermediate_size"),
            "shared_hidden": size("shared_expert_intermediate_size") if kind == "qwen2_moe" else 0,
        }
    return Architecture(**sizes)  # type: ignore[arg-type]


def _window(told: Mapping[str, Any], kind: str, layers: int) -> tuple[int | None, int]:
    """The attention window in tokens, and the number of layers that have it."""
    window = told.get("sliding_window")
    if not isinstance(window, int) or not told.get("use_sliding_window", not kind.startswith("qwen")):
        return None, 0
    kinds = told.get("layer_types")
    if kinds:
        return window, sum(name == "sliding_attention" for name in kinds)
    first = told.get("max_window_layers", layers) if kind.startswith("qwen") else 0
    return window, max(0, layers - first)


def read_config(path: Path) -> Architecture:
    """The dimensions in a `config.json` file. Raises `UsageError` if it cannot be read."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as a config.json: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not a config.json: it is not a JSON object")
    try:
        return read_architecture(config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
