"""The sizes of a model in a GGUF file, and the memory of this machine."""

from __future__ import annotations

from pathlib import Path

from mull.cost.flops import Architecture, read_architecture
from mull.errors import UsageError
from mull.files.gguf import Header

COUNTED = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""Architectures whose FLOPs are counted, with the `model_type` that has the same layers."""


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; `None`: the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def gib(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 30):.1f} GiB"


def architecture(header: Header) -> Architecture | None:
    """The dimensions for counting FLOPs; `None`: the header is of another architecture, or does not give them all."""
    kind, size = COUNTED.get(header.architecture), header.number
    if kind is None or size("expert_count"):
        return None
    config = {
        "model_type": kind,
        "num_hidden_layers": size("block_count"),
        "hidden_size": size("embedding_length"),
        "num_attention_heads": size("attention.head_count"),
        "num_key_value_heads": size("attention.head_count_kv") or size("attention.head_count"),
        "head_dim": size("attention.key_length"),
        "intermediate_size": size("feed_forward_length"),
        "vocab_size": size("vocab_size") or header.fields.get("tokenizer.ggml.tokens"),
    }
    try:
        return read_architecture({name: value for name, value in config.items() if value is not None})
    except UsageError:
        return None
