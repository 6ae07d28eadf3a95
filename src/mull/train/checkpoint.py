"""The folder of a trained language model, as transformers and mull's runtime read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from mull.runtime.session import BLOCK
from mull.train.graph import decoder

COPIED = ("tokenizer.json", "tokenizer_config.json")


def save_language_model(model: Any, base: Path, folder: Path, card: str) -> None:
    """Writes the weights in half precision, the tokenizer of the base, the runtime's graph, and a model card."""
    model.half().save_pretrained(folder)
    for name in COPIED:
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "decoder.onnx").write_bytes(decoder(raw, BLOCK).SerializeToString())
    (folder / "README.md").write_text(card, encoding="utf-8")


class Marked(TrainerCallback):  # type: ignore[misc]
    """Marks checkpoints that were written whole."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / "complete").touch()


def last_complete(folder: Path) -> Path | None:
    """The last checkpoint that was written whole: a process may have been killed while it wrote the last one."""
    found = [path.parent for path in folder.glob("checkpoint-*/complete")]
    for path in folder.glob("checkpoint-*"):
        if path not in found:
            shutil.rmtree(path)
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
