"""Where the weights of a model in the format of transformers come from: a folder, or a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mull.errors import FileFormatError, UsageError


class WeightSource(Protocol):
    """The configuration of a model, as in `config.json`, and its weights by the names of transformers."""

    path: Path

    @property
    def config(self) -> Mapping[str, Any]:
        """`eos_token_id` has every token that ends a reply. Raises `FileFormatError`."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The weights. Raises `FileFormatError`."""
        ...


class FolderSource:
    """A folder in the format of transformers: `config.json` and `*.safetensors`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """With the ends that its maker's settings for generation add."""
        raw, beside = _json(self.path / "config.json"), self.path / "generation_config.json"
        ends: set[int] = set()
        for one in (raw.get("eos_token_id"), _json(beside).get("eos_token_id") if beside.exists() else None):
            ends.update(one if isinstance(one, list) else [] if one is None else [one])
        return {**raw, "eos_token_id": sorted(ends)}

    def tensors(self) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise FileFormatError(self.path, None, "it has no weights: no file *.safetensors")
        return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(path, None, f"no model can be read from it: {error}") from error
    if not isinstance(raw, dict):
        raise FileFormatError(path, None, "it is no JSON object")
    return raw


SIZES = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
}
"""Entries of `config.json`, and the fields of a GGUF file that have them."""
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Names of tensors in a GGUF file, of the model and of a layer, and those of transformers."""
FACTORS = "rope_freqs.weight"
ENDS = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "</s>"}
"""Control tokens that end a reply in whatever file they are: most files name but one of them as their end."""
CONTROL, USER_DEFINED = 3, 4
"""Types in `tokenizer.ggml.token_type`: tokens such as the end of a turn, and those of text that are never cut."""


class GgufSource:
    """A GGUF file, whose weights are dequantised to float32. Raises `UsageError` without the package `gguf`."""

    def __init__(self, path: Path) -> None:
        try:
            from gguf import GGUFReader
        except ImportError as error:
            from mull.errors import install

            raise UsageError(f"GGUF files need gguf for mull's own engine: {install('hf')}") from error
        self.path = path
        self._reader: Any = GGUFReader(path)

    def field(self, name: str) -> Any:
        """A field of the file's metadata; `None`: it has none."""
        found = self._reader.get_field(name)
        return None if found is None else found.contents()

    @cached_property
    def tokens(self) -> list[str]:
        """The vocabulary. Raises `FileFormatError`."""
        if not (found := self.field("tokenizer.ggml.tokens")):
            raise FileFormatError(self.path, None, "it has no tokenizer")
        return list(found)

    @cached_property
    def _kinds(self) -> list[int]:
        return list(self.field("tokenizer.ggml.token_type") or [])

    def of_type(self, kind: int) -> list[int]:
        """The ids of its tokens of one type."""
        return [i for i, one in enumerate(self._kinds) if one == kind]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        kind = self.field("general.architecture")
        sizes = {name: self.field(f"{kind}.{told}") for name, told in SIZES.items()}
        made = {"model_type": kind, "vocab_size": len(self.tokens)}
        made |= {name: value for name, value in sizes.items() if value is not None}
        named = (self.field(f"tokenizer.ggml.{end}_token_id") for end in ("eos", "eot", "eom"))
        ends = {i for i in self.of_type(CONTROL) if self.tokens[i] in ENDS} | {i for i in named if i is not None}
        if (scaling := self.field(f"{kind}.rope.scaling.type")) not in (None, "none"):
            made["rope_scaling"] = {"rope_type": scaling}
        if (factors := next((one for one in self._reader.tensors if one.name == FACTORS), None)) is not None:
            made["rope_scaling"] = {"rope_type": "factors", "factors": np.array(factors.data, dtype=np.float64)}
        return {**made, "eos_token_id": sorted(ends)}

    @property
    def n_parameters(self) -> int:
        """The numbers in its weights."""
        return sum(int(one.n_elements) for one in self._reader.tensors)

    def tensors(self) -> dict[str, Tensor]:
        from gguf import dequantize

        made = {}
        for one in self._reader.tensors:
            if one.name == FACTORS:
                continue
            try:
                values = dequantize(one.data, one.tensor_type)
            except NotImplementedError as error:
                what = f"weights of type {one.tensor_type.name} are not read: run it by llama.cpp, without engine=own"
                raise FileFormatError(self.path, None, what) from error
            made[self._name(one.name)] = torch.from_numpy(np.array(self._in_halves(one.name, values), dtype=np.float32))
        return made

    def _name(self, name: str) -> str:
        stem, _, kind = name.rpartition(".")
        if stem in WHOLE:
            return f"{WHOLE[stem]}.{kind}"
        _, layer, part = (*stem.split("."), "", "")[:3]
        if part not in IN_LAYER:
            raise FileFormatError(self.path, None, f"it has a tensor {name!r} that mull's own engine does not know")
        return f"model.layers.{layer}.{IN_LAYER[part]}.{kind}"

    def _in_halves(self, name: str, values: Any) -> Any:
        """Queries and keys of llama files have the pairs that are rotated side by side, and here in two halves."""
        part = name.split(".")[-2]
        if self.config["model_type"] != "llama" or part not in ("attn_q", "attn_k"):
            return values
        heads = self.config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
        return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
