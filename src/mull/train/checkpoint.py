"""The folder of a trained language model, as transformers and mull read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from mull.models.embedded import EmbeddedModel
from mull.models.hf import BESIDE, Hf
from mull.runtime.session import BLOCK
from mull.train.adapters import has_adapters
from mull.train.graph import decoder


def save_language_model(model: Any, base: EmbeddedModel, folder: Path, card: str) -> None:
    """Writes the weights with what adapters add, the tokenizer of the base, and a model card.

    An hf model keeps the number format of its base. Any other is written in half precision, with the runtime's graph.
    """
    source, is_hf = Path(base.folder), isinstance(base, Hf)
    plain = model.merge_and_unload() if has_adapters(model) else model
    raw = json.loads((source / "config.json").read_text(encoding="utf-8"))
    told = raw.get("dtype") or raw.get("torch_dtype") or "float32"
    plain.to(getattr(torch, told if is_hf else "float16")).save_pretrained(folder)
    for name in BESIDE:
        if name != "config.json" and (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    if not is_hf:
        made = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "decoder.onnx").write_bytes(decoder(made, BLOCK).SerializeToString())
    (folder / "README.md").write_text(card, encoding="utf-8")


def name_of(base: EmbeddedModel, folder: Path) -> str:
    """How mull calls the model that was trained from a base into a folder."""
    return f"{'hf' if isinstance(base, Hf) else 'trained'}:{folder}"


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
