"""The embedded runtime: Llama models on onnxruntime, without torch. It serves the built-in models and verifiers."""

from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "weights"
"""The folder of the built-in models, one subfolder each."""
UNKNOWN, BOS, EOS, USER, ASSISTANT = "<unk>", "<bos>", "<eos>", "<user>", "<assistant>"
"""The special tokens of the built-in models' tokenizer."""
