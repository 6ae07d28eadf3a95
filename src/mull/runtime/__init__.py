"""The embedded runtime: Llama models on onnxruntime, without torch. It serves the built-in models and verifiers."""

from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "weights"
"""Where the built-in models lie, a folder each."""
UNKNOWN, BOS, EOS, USER, ASSISTANT = "<unk>", "<bos>", "<eos>", "<user>", "<assistant>"
"""The special tokens of their tokenizer."""
