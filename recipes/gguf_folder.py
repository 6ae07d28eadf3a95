"""Writes the model of a GGUF file as a folder of transformers in single precision, for servers that read no GGUF.

Usage: python recipes/gguf_folder.py FILE.gguf FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(file: Path, folder: Path) -> None:
    """Weights are dequantised; the tokenizer and its chat template come with them."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    # A model that was quantised refuses to be saved until it forgets that.
    model.hf_quantizer, model._is_quantized = None, False
    del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
