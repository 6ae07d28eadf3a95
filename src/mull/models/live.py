"""Models of checkpoint folders, and models whose weights a training loop replaces in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mull.errors import UsageError
from mull.models.embedded import EmbeddedModel, Loaded, LoadedModel
from mull.types import Draw, Params, Prompt, Sample

if TYPE_CHECKING:
    from mull.runtime.requests import Finished
    from mull.runtime.session import Floats

FILES = ("config.json", "model.safetensors", "tokenizer.json", "decoder.onnx")


@dataclass(frozen=True)
class Checkpoint(EmbeddedModel):
    """A language model in a folder that `mull train` wrote: `trained:FOLDER`.

    Raises `UsageError` if the folder lacks a file of such a model.
    """

    def __post_init__(self) -> None:
        check_folder_of_model(Path(self.folder))


def check_folder_of_model(folder: Path) -> None:
    """Raises `UsageError`, with the missing file, for a folder that the embedded runtime cannot load."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r} with a model")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing == ["decoder.onnx"]:
        raise UsageError(
            f"{folder} has no decoder.onnx, the graph that the embedded runtime computes: models that `mull train` "
            "made have one; serve any other model and name its server with --base-url"
        )
    if missing:
        raise UsageError(f"{folder} is not the folder of a model: it has no {', '.join(missing)}")


class LiveEngine:
    """The engine of a checkpoint's model whose weights are replaced in memory, as by a training loop."""

    kind = ""
    """What tells apart models with the same weights that compute in other ways."""

    def __init__(self, folder: Path) -> None:
        from mull.runtime.session import read_safetensors

        check_folder_of_model(folder)
        self.folder = folder
        self.loaded: LoadedModel = Loaded(folder)
        self.tensors = read_safetensors(folder / "model.safetensors")
        """The weights of the checkpoint, as float32."""
        self.digest = ""
        """Digest of the weights in use; empty until the first are."""

    def use(self, tensors: Mapping[str, Floats]) -> LiveModel:
        """The model with these weights: float32 by the names of the checkpoint.

        Models that an earlier call returned cannot draw any more. Raises `UsageError` for shapes of another model, and
        while there are draws.
        """
        wide = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}
        digest = hashlib.blake2b(self.kind.encode(), digest_size=10)
        for name in sorted(wide):
            digest.update(name.encode() + b"\0" + wide[name].tobytes())
        self.loaded.engine.use(wide)
        self.digest = digest.hexdigest()
        return LiveModel(str(self.folder), self.digest, self)


@dataclass(frozen=True)
class LiveModel(EmbeddedModel):
    """The model of a `LiveEngine` with the weights of one time, which its identity names; its samples have tokens."""

    digest: str = ""
    live: LiveEngine | None = field(default=None, repr=False, compare=False)

    @cached_property
    def identity(self) -> str:
        return f"{self.name}@live-{self.digest}"

    @property
    def _model(self) -> LoadedModel:
        if self.live is None or self.live.digest != self.digest:
            raise UsageError(f"the weights of {self.identity} were replaced: draw from the model of the new weights")
        return self.live.loaded

    def _sample(self, prompt: Prompt, params: Params, draw: Draw, n_prompt: int, finished: Finished) -> Sample:
        sample = super()._sample(prompt, params, draw, n_prompt, finished)
        return replace(sample, tokens=tuple(finished.tokens))

    def prompt_tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids of a prompt, as the model reads it. Raises `PromptError`."""
        return tuple(self._ids(prompt))
