"""A model in the format of transformers on torch: Llama, Qwen2 and Qwen3, with the interface of `session.Session`.

Products are computed with a fixed number of rows at a time, so that a row's result does not depend on the other rows:
torch's kernels for bfloat16 sum in another order when they are given another number of rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention as attention

from mull.errors import FileFormatError, UsageError
from mull.runtime.session import Floats, ModelConfig, processors
from mull.runtime.sources import WeightSource

KINDS = ("llama", "qwen2", "qwen3")
"""Values of `model_type` whose layers are computed here."""
CHUNK = 64
"""Tokens of a prompt, and rows of a product, that are computed together."""

DType = Literal["float32", "bfloat16"]


class TorchSession:
    """The model: maps token ids [rows, length] and the keys and values so far to logits.

    Keys, values and weights are in `dtype`; sums of layers, norms, softmax and logits are in float32. Raises
    `FileFormatError` if the source has no such model, `UsageError` for another architecture.
    """

    def __init__(self, source: WeightSource, dtype: DType, context: int, n_workers: int) -> None:
        raw = source.config
        if (kind := raw.get("model_type")) not in KINDS:
            raise UsageError(f"the model in {source.path} is of type {kind!r}, and only {', '.join(KINDS)} are known")
        self.config = _config(raw, source.path, context)
        self.dtype = getattr(torch, dtype)
        self.block = CHUNK if dtype == "bfloat16" else 16
        self.eps = float(raw.get("rms_norm_eps", 1e-6))
        self.threads = max(1, processors() // n_workers)
        self._told = threading.local()
        self.is_packed = dtype == "bfloat16" and _has_kernels()
        tensors = source.tensors()
        self.shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        self.n_parameters = sum(tensor.numel() for tensor in tensors.values())
        self._read(tensors)
        angles = torch.outer(torch.arange(context + 2 * CHUNK, dtype=torch.float64), _frequencies(raw, self.config))
        self.cos, self.sin = angles.cos().float().repeat(1, 2), angles.sin().float().repeat(1, 2)

    def use(self, tensors: dict[str, Floats]) -> None:
        """Computes with these weights from now on. Raises `UsageError` if they are those of another model."""
        if {name: tensor.shape for name, tensor in tensors.items()} != self.shapes:
            raise UsageError("the new weights are those of another model: their names or shapes differ")
        self._read({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})

    def _read(self, tensors: Mapping[str, Tensor]) -> None:
        def joined(layer: str, *parts: str) -> Tensor:
            return self._packed(torch.cat([tensors[f"{layer}{part}.weight"] for part in parts]).to(self.dtype))

        def biases(layer: str, *parts: str) -> Tensor | None:
            names = [f"{layer}{part}.bias" for part in parts]
            return torch.cat([tensors[name] for name in names]).to(self.dtype) if names[0] in tensors else None

        self.embedding = tensors["model.embed_tokens.weight"].to(self.dtype).contiguous()
        self.head = self._packed(
            tensors["lm_head.weight"].to(self.dtype) if "lm_head.weight" in tensors else self.embedding
        )
        self.norm = tensors["model.norm.weight"].float()
        qkv = [f"self_attn.{part}_proj" for part in "qkv"]
        self.layers = []
        for i in range(self.config.layers):
            layer = f"model.layers.{i}."
            self.layers.append(
                {
                    "qkv": joined(layer, *qkv),
                    "qkv_bias": biases(layer, *qkv),
                    "o": joined(layer, "self_attn.o_proj"),
                    "gate_up": joined(layer, "mlp.gate_proj", "mlp.up_proj"),
                    "down": joined(layer, "mlp.down_proj"),
                    "before": tensors[f"{layer}input_layernorm.weight"].float(),
                    "after": tensors[f"{layer}post_attention_layernorm.weight"].float(),
                    "q_norm": tensors.get(f"{layer}self_attn.q_norm.weight"),
                    "k_norm": tensors.get(f"{layer}self_attn.k_norm.weight"),
                }
            )

    def _packed(self, weight: Tensor) -> Tensor:
        """A weight in the order in which the processor's kernels read it, which saves reordering it each time.

        In bfloat16 alone: in float32 it gains little, and the kernels for it round otherwise.
        """
        return torch.ops.mkldnn._reorder_linear_weight(weight, CHUNK) if self.is_packed else weight

    def cache(self, rows: int, capacity: int) -> NDArray[Any]:
        """An array for keys and values: [2 * layers, rows, kv_heads, capacity, head]; bfloat16 is kept as its bits."""
        c = self.config
        kind = np.float32 if self.dtype == torch.float32 else np.int16
        return np.zeros((2 * c.layers, rows, c.kv_heads, _whole(capacity), c.head), dtype=kind)

    def bind(self, cache: NDArray[Any], rows: int, length: int) -> TorchBinding:
        """A batch of this shape."""
        if not hasattr(self._told, "threads"):  # torch keeps the number for each thread
            self._told.threads = self.threads
            torch.set_num_threads(self.threads)
        return TorchBinding(self, cache, rows, length)

    def forward(self, ids: Tensor, at: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """The states [rows, width] after all layers of tokens `ids` at positions `at`, a row each."""
        c = self.config
        n = len(ids)
        x = self.embedding[ids].float()
        cos, sin = self.cos[at][:, None], self.sin[at][:, None]
        for i, layer in enumerate(self.layers):
            qkv = self.product(self.normed(x, layer["before"]), layer["qkv"], layer["qkv_bias"])
            q, k, v = qkv.view(n, -1, c.head).split([c.heads, c.kv_heads, c.kv_heads], dim=1)
            q, k = q.float(), k.float()
            if layer["q_norm"] is not None:
                q, k = self.normed(q, layer["q_norm"], wide=True), self.normed(k, layer["k_norm"], wide=True)
            q, k = _rotated(q, cos, sin).to(self.dtype), _rotated(k, cos, sin).to(self.dtype)
            x += self.product(attend(i, q, k, v).reshape(n, -1), layer["o"])
            gate, up = self.product(self.normed(x, layer["after"]), layer["gate_up"]).chunk(2, dim=1)
            x += self.product(functional.silu(gate) * up, layer["down"])
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Logits [rows, vocabulary] of states."""
        return self.product(self.normed(x, self.norm), self.head).float()

    def normed(self, x: Tensor, weight: Tensor, *, wide: bool = False) -> Tensor:
        """Root-mean-square norm over the last axis, in float32 if `wide`."""
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * weight
        return y if wide else y.to(self.dtype)

    def mask(self, at: Tensor, n: int) -> Tensor:
        """Added to the scores [rows, n] of tokens at positions `at`: nothing is seen of what comes later."""
        later = torch.arange(n) > at[:, None]
        return torch.zeros(later.shape, dtype=self.dtype).masked_fill_(later, -torch.inf)

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x` [rows, in] times `weight` [out, in], whole blocks of rows at a time."""
        n = len(x)
        if n % self.block:
            x = functional.pad(x, (0, 0, 0, -n % self.block))
        if self.is_packed:
            kernel = torch.ops.mkldnn._linear_pointwise
            parts = [kernel(part.contiguous(), weight, bias, "none", [], "") for part in x.split(CHUNK)]
        else:
            parts = [functional.linear(part, weight, bias) for part in x.split(CHUNK)]
        return (parts[0] if len(parts) == 1 else torch.cat(parts))[:n]


class TorchBinding:
    """A batch shape and its memory: keys and values are read and written in place."""

    def __init__(self, session: TorchSession, cache: NDArray[Any], rows: int, length: int) -> None:
        self.session = session
        self.cache = cache
        self.ids = np.zeros((rows, length), dtype=np.int32)
        self.last = np.zeros(rows, dtype=np.int32)
        whole = torch.from_numpy(cache)
        whole = whole if session.dtype == torch.float32 else whole.view(torch.bfloat16)
        self.keys, self.values = whole[0::2, :rows], whole[1::2, :rows]

    def run(self, place: int = 0) -> Floats:
        """Logits [rows, vocabulary] after column `place` of `ids`; row r's last token is at position `last[r]`."""
        with torch.inference_mode():
            return self._tokens() if self.ids.shape[1] == 1 else self._prompt(place)

    def _tokens(self) -> Floats:
        session = self.session
        at = torch.from_numpy(self.last).long()
        rows = torch.arange(len(at))
        n_seen = _whole(int(at.max()) + 1)
        mask = session.mask(at, n_seen)[:, None, None].expand(
            -1, 1, session.config.heads // session.config.kv_heads, -1
        )

        def attend(i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[i], self.values[i]
            keys[rows, :, at], values[rows, :, at] = k, v
            # The queries of the heads that share keys are the queries of one head.
            grouped = q.view(len(q), keys.shape[1], -1, q.shape[2])
            return attention(grouped, keys[:, :, :n_seen], values[:, :, :n_seen], attn_mask=mask)

        x = session.forward(torch.from_numpy(self.ids[:, 0]).long(), at, attend)
        found: Floats = session.logits(x).numpy()
        return found

    def _prompt(self, place: int) -> Floats:
        """One row, computed in chunks."""
        session = self.session
        ids = torch.from_numpy(self.ids[0]).long()
        first = int(self.last[0]) + 1 - len(ids)
        wanted: Floats | None = None
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            at = torch.arange(first + start, first + start + len(part))
            mask = session.mask(at, _whole(int(at[-1]) + 1))

            def attend(i: int, q: Tensor, k: Tensor, v: Tensor, at: Tensor = at, mask: Tensor = mask) -> Tensor:
                keys, values, n = self.keys[i], self.values[i], mask.shape[1]
                here = slice(int(at[0]), int(at[-1]) + 1)
                keys[0, :, here], values[0, :, here] = k.transpose(0, 1), v.transpose(0, 1)
                asked = q.transpose(0, 1)[None]  # [1, heads, tokens, head]
                found = attention(asked, keys[:, :, :n], values[:, :, :n], attn_mask=mask, enable_gqa=True)
                return found[0].transpose(0, 1)

            x = session.forward(part, at, attend)
            if start <= place < start + len(part):
                wanted = session.logits(x[place - start : place - start + 1]).numpy()
        assert wanted is not None
        return wanted


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021, arXiv 2104.09864), halves rotated as in transformers."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def _has_kernels() -> bool:
    """Whether torch and the processor have the kernels for weights in their own order, which torch's compiler uses."""
    ops = torch.ops.mkldnn
    return hasattr(ops, "_linear_pointwise") and bool(ops._is_mkldnn_bf16_supported())


def _whole(n: int) -> int:
    return -(-n // CHUNK) * CHUNK


def _config(raw: Mapping[str, Any], path: Path, context: int) -> ModelConfig:
    try:
        heads = raw["num_attention_heads"]
        return ModelConfig(
            raw["num_hidden_layers"],
            heads,
            raw.get("num_key_value_heads") or heads,
            raw.get("head_dim") or raw["hidden_size"] // heads,
            min(context, raw["max_position_embeddings"]),
            raw["vocab_size"],
            frozenset(raw["eos_token_id"]),
            _rope(raw)["rope_theta"],
        )
    except KeyError as error:
        raise FileFormatError(path, None, f"its configuration has no {error}") from error


def _rope(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of rotary embeddings, which older files have in two other places."""
    found = dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})
    found.setdefault("rope_theta", raw.get("rope_theta", 10000.0))
    return found


def _frequencies(raw: Mapping[str, Any], config: ModelConfig) -> Tensor:
    rope = _rope(raw)
    kind = rope.get("rope_type", rope.get("type", "default"))
    plain = config.rope_theta ** (-torch.arange(0, config.head, 2, dtype=torch.float64) / config.head)
    if kind == "default":
        return plain
    if kind == "factors":  # as GGUF files have what llama3 makes of them
        return plain / torch.from_numpy(rope["factors"])
    if kind != "llama3":
        raise UsageError(f"rotary embeddings of type {kind!r} are not known, only default and llama3")
    # Llama 3.1: low frequencies are divided by `factor`, high ones kept, those between interpolated.
    length, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = ((length * plain / (2 * torch.pi) - low) / (high - low)).clamp(0, 1)
    return plain * (smooth + (1 - smooth) / rope["factor"])
