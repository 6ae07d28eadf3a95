"""What the runtime reads beside a checkpoint: `python recipes/export.py CHECKPOINT NAME`.

Writes the graph of the decoder, a few kilobytes without weights, and copies the checkpoint's files beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from mull.runtime.session import BLOCK
from mull.train.graph import decoder

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "reward.json", "README.md"]
PACKAGE = Path(__file__).parents[1] / "src" / "mull" / "weights"
CURVES = Path(__file__).parents[1] / "docs" / "training"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what the runtime reads beside a checkpoint.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name", help="the model's name: the folder in the package")
    options = parser.parse_args()
    target = PACKAGE / options.name
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (options.checkpoint / name).exists():
            shutil.copyfile(options.checkpoint / name, target / name)
    curve = options.checkpoint / "curve.jsonl"
    if curve.exists():
        shutil.copyfile(curve, CURVES / f"{options.name}.jsonl")
    config = json.loads((target / "config.json").read_text())
    (target / "decoder.onnx").write_bytes(decoder(config, BLOCK).SerializeToString())
    size = sum(file.stat().st_size for file in target.iterdir())
    print(f"{target}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
