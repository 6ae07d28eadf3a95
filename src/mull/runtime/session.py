"""A Llama model on onnxruntime: its weights from a checkpoint, its graph from a small file beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mull.errors import UsageError

Floats = NDArray[np.float32]

N_THREADS = 1
"""Threads per session: more would wait for each other dozens of times per step."""
BLOCK = 8
"""Batches and prompts are padded to multiples of this many rows."""


class ModelConfig(NamedTuple):
    """The dimensions of a Llama model, from its `config.json`. A reward model has one output, not a vocabulary."""

    layers: int
    heads: int
    kv_heads: int
    head: int
    context: int
    outputs: int
    ends: frozenset[int]
    """Tokens that end a reply."""
    rope_theta: float


class BoundBatch(Protocol):
    """A batch shape bound to its memory."""

    ids: NDArray[np.int32]
    """Token ids [rows, length], to be written before each run."""
    last: NDArray[np.int32]
    """Position of the last token of each row."""
    cache: NDArray[Any]
    """Keys and values, read and written in place."""

    def run(self, place: int = 0) -> Floats:
        """Logits [rows, vocabulary] after column `place` of `ids`."""
        ...


class Decoder(Protocol):
    """A model that the engine runs: maps token ids and the keys and values so far to logits."""

    config: ModelConfig
    block: int
    """Batches and prompts are padded to multiples of this many rows."""
    n_parameters: int

    def cache(self, rows: int, capacity: int) -> NDArray[Any]:
        """An array for keys and values: [2 * layers, rows, kv_heads, capacity, head]."""
        ...

    def bind(self, cache: NDArray[Any], rows: int, length: int) -> BoundBatch:
        """A batch of this shape."""
        ...

    def use(self, tensors: dict[str, Floats]) -> None:
        """Computes with these weights from now on. Raises `UsageError` if they are those of another model."""
        ...


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_config(folder: Path) -> ModelConfig:
    raw = json.loads((folder / "config.json").read_text())
    rope = raw.get("rope_parameters") or raw
    n_outputs = raw["vocab_size"] if raw["architectures"][0].endswith("ForCausalLM") else 1
    return ModelConfig(
        raw["num_hidden_layers"],
        raw["num_attention_heads"],
        raw["num_key_value_heads"],
        raw["head_dim"],
        raw["max_position_embeddings"],
        n_outputs,
        frozenset((raw["eos_token_id"],)),
        rope["rope_theta"],
    )


def read_safetensors(path: Path) -> dict[str, Floats]:
    """The float16 or float32 tensors of a safetensors file, as float32."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            kind = {"F16": np.float16, "F32": np.float32}[entry["dtype"]]
            flat = np.frombuffer(data[start + first : start + last], dtype=kind)
            tensors[name] = flat.astype(np.float32).reshape(entry["shape"])
    return tensors


def graph_weights(config: ModelConfig, tensors: dict[str, Floats]) -> dict[str, Floats]:
    """The tensors with the names and shapes of the graph: projections are fused and transposed."""
    frequency = config.rope_theta ** (-np.arange(0, config.head, 2) / config.head)
    angle = np.outer(np.arange(config.context + BLOCK), frequency)
    embedding = tensors["model.embed_tokens.weight"]
    named = {"embed": embedding, "head": tensors.get("score.weight", embedding).T, "norm": tensors["model.norm.weight"]}
    named |= {"cos": np.cos(angle), "sin": np.sin(angle)}
    for i in range(config.layers):
        layer = f"model.layers.{i}."
        fused = {
            "qkv": [f"self_attn.{part}_proj" for part in "qkv"],
            "o": ["self_attn.o_proj"],
            "gate": ["mlp.gate_proj"],
            "up": ["mlp.up_proj"],
            "down": ["mlp.down_proj"],
        }
        for name, parts in fused.items():
            named[f"{name}.{i}"] = np.concatenate([tensors[f"{layer}{part}.weight"] for part in parts]).T
        named[f"attention_norm.{i}"] = tensors[f"{layer}input_layernorm.weight"]
        named[f"mlp_norm.{i}"] = tensors[f"{layer}post_attention_layernorm.weight"]
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in named.items()}


class Session:
    """The model: maps token ids [rows, length] and the keys and values so far to logits."""

    block = BLOCK

    def __init__(self, folder: Path) -> None:
        self.config = read_config(folder)
        self._graph = (folder / "decoder.onnx").read_bytes()
        tensors = read_safetensors(folder / "model.safetensors")
        self.shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self.n_parameters = sum(tensor.size for tensor in tensors.values())
        self.use(tensors)

    def use(self, tensors: dict[str, Floats]) -> None:
        """Computes with these weights from now on; a `Binding` made before keeps the old ones.

        Raises `UsageError` if they are not of the shapes of the checkpoint.
        """
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        odd = {name for name in {*shapes, *self.shapes} if shapes.get(name) != self.shapes.get(name)}
        if odd:
            raise UsageError(f"the new weights are those of another model: {', '.join(sorted(odd)[:3])} differ")
        weights = graph_weights(self.config, tensors)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = N_THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
        self._weights = weights, values
        self.session = onnxruntime.InferenceSession(self._graph, options, providers=["CPUExecutionProvider"])

    def cache(self, rows: int, capacity: int) -> Floats:
        """An array for keys and values: [2 * layers, rows, kv_heads, capacity, head]."""
        c = self.config
        return np.zeros((2 * c.layers, rows, c.kv_heads, capacity, c.head), dtype=np.float32)

    def bind(self, cache: Floats, rows: int, length: int) -> Binding:
        """A batch of this shape."""
        return Binding(self, cache, rows, length)


class Binding:
    """A batch shape bound to its memory: keys and values are read and written in place."""

    def __init__(self, session: Session, cache: Floats, rows: int, length: int) -> None:
        self.session = session.session
        self.ids = np.zeros((rows, length), dtype=np.int32)
        self.last = np.zeros(rows, dtype=np.int32)
        self.total = np.zeros((), dtype=np.int32)
        self.logits = np.zeros((rows, length, session.config.outputs), dtype=np.float32)
        self.io = self.session.io_binding()
        self.cache = cache
        for name, array in (("ids", self.ids), ("last", self.last), ("total", self.total)):
            self.io.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self.io.bind_output("logits", "cpu", 0, np.float32, self.logits.shape, self.logits.ctypes.data)
        for i in range(len(cache)):
            kind = "key" if i % 2 == 0 else "value"
            part = cache[i, :rows]
            self.io.bind_input(f"past_{kind}.{i // 2}", "cpu", 0, np.float32, part.shape, part.ctypes.data)
            self.io.bind_output(f"present_{kind}.{i // 2}", "cpu", 0, np.float32, part.shape, part.ctypes.data)

    def run(self, place: int = 0) -> Floats:
        """Logits [rows, outputs] after column `place` of `ids`; row r's last token is at position `last[r]`."""
        self.total[...] = self.last.max() + 1
        self.session.run_with_iobinding(self.io)
        return self.logits[:, place]


def blocks(n: int, block: int = BLOCK) -> int:
    """`n` rounded up to whole blocks."""
    return -(-n // block) * block
