"""A real open model in this process, run by mull's own engine on torch (`pip install 'mull-scaling[hf]'`)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mull.cost import Price
from mull.cost.flops import read_config
from mull.errors import FileFormatError, ModelError, UsageError, install
from mull.files.gguf import read_header
from mull.models.embedded import EmbeddedModel, LoadedModel, Texts
from mull.models.gguf_texts import template_of, tokenizer_of
from mull.models.live import LiveEngine
from mull.models.served.template import ChatTemplate, told
from mull.models.sizes import architecture, free_memory, gib
from mull.models.texts import ModelTexts
from mull.runtime.tokens import Content, Tokens, one_a_process

if TYPE_CHECKING:
    from mull.runtime.engine import Engine

BESIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""Files beside the weights that affect what is computed; not every folder has all of them."""


BYTES = 8
"""Bytes of a parameter while a file is loaded: as single precision, and as the engine keeps it."""


class _Loaded:
    """The engine and the tokenizer of a folder or a GGUF file."""

    def __init__(self, path: Path, dtype: Literal["float32", "bfloat16"], context: int) -> None:
        try:
            from mull.runtime.sources import FolderSource, GgufSource
            from mull.runtime.torch_session import TorchSession
        except ImportError as error:
            raise UsageError(f"mull's own engine needs torch for this model: {install('hf')}") from error
        from mull.runtime.engine import N_WORKERS, Engine

        source: FolderSource | GgufSource
        if path.is_file():
            source = GgufSource(path)
            free, needed = free_memory(), BYTES * source.n_parameters
            if free is not None and needed > free:
                what = f"{path.stem} needs about {gib(needed)} while it is loaded, and {gib(free)} are free"
                raise ModelError(f"{what}: run it by llama.cpp, without engine=own")
            self.tokens = ModelTexts(tokenizer_of(source), template_of(source))
        else:
            source = FolderSource(path)
            self.tokens = _texts(path)
        self.engine: Engine = Engine(TorchSession(source, dtype, context, N_WORKERS))


@dataclass(frozen=True)
class Hf(EmbeddedModel):
    """A folder in the format of transformers (Llama, Qwen2 or Qwen3), run by mull's own engine: `hf:FOLDER`.

    A GGUF file may take the place of the folder, as `gguf:FILE,engine=own` does.

    Draw i is that of its seed, alone or beside others, and prompts are computed once for all their draws. `context` is
    the most tokens of prompt and reply together. `dtype=bfloat16` is several times faster on processors with units for
    it; its logits differ from float32's by a few tenths.
    """

    dtype: Literal["float32", "bfloat16"] = "float32"
    context: int = 4096

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            raise UsageError(f"dtype of an hf model is float32 or bfloat16, not {self.dtype!r}")
        if self.context < 2:
            raise UsageError("context of an hf model is at least 2")
        if Path(self.folder).is_file():
            read_header(Path(self.folder))
        elif not Path(self.folder, "config.json").is_file():
            raise FileFormatError(self.folder, None, "it is no folder of a model: it has no config.json")

    @property
    def name(self) -> str:
        path = Path(self.folder).resolve()
        return path.stem if path.is_file() else path.name

    @cached_property
    def identity(self) -> str:
        return f"{self.name}@{self._content.weights}/{self._content.rest}/{self.dtype}"

    @cached_property
    def _content(self) -> Content:
        return content_of(Path(self.folder))

    @cached_property
    def _price(self) -> Price:
        path = Path(self.folder)
        found = architecture(read_header(path)) if path.is_file() else read_config(path / "config.json")
        return Price(0.0, 0.0, architecture=found)

    @cached_property
    def _model(self) -> LoadedModel:
        return _loader(self.dtype, self.context)(Path(self.folder), self._content)


class LiveHf(LiveEngine):
    """The engine of an hf model whose weights are replaced in memory, as by a training loop.

    Raises `UsageError` for a model that mull's engine cannot run, with what can be done with it.
    """

    def __init__(self, model: Hf) -> None:
        from mull.runtime.sources import FolderSource
        from mull.runtime.torch_session import KINDS

        self.folder = Path(model.folder)
        if self.folder.is_file():
            what = "training writes a folder of transformers and begins with one"
            raise UsageError(f"{self.folder} is a file, and {what}: make one by python recipes/gguf_folder.py")
        source = FolderSource(self.folder)
        if (kind := source.config.get("model_type")) not in KINDS:
            raise UsageError(
                f"the draws of reinforcement come from mull's own engine, which runs {', '.join(KINDS)}, and "
                f"{self.folder} is of type {kind!r}: take another base, or fine-tune this one with mull train sft"
            )
        self.kind = "" if model.dtype == "float32" else model.dtype
        self.loaded = _Loaded(self.folder, model.dtype, model.context)
        self.tensors = {name: tensor.float().numpy() for name, tensor in source.tensors().items()}
        self.digest = ""


def live_of(model: EmbeddedModel) -> LiveEngine:
    """The engine of a model whose weights are to be replaced; raises what loading the model raises."""
    return LiveHf(model) if isinstance(model, Hf) else LiveEngine(Path(model.folder))


def texts_of(model: EmbeddedModel) -> Texts:
    """The tokenizer of a model, without its weights."""
    folder = Path(model.folder)
    return _texts(folder) if isinstance(model, Hf) else Tokens(folder)


def _texts(folder: Path) -> ModelTexts:
    """The tokenizer and the chat template of a folder. Raises `FileFormatError`."""
    path = folder / "tokenizer.json"
    if not path.exists():
        raise FileFormatError(path, None, "the model's tokenizer is not there")
    return ModelTexts(path.read_text(encoding="utf-8"), _template(folder))


@cache
def _loader(dtype: Literal["float32", "bfloat16"], context: int) -> Callable[[Path, Content], _Loaded]:
    return one_a_process(lambda folder: _Loaded(folder, dtype, context), content_of)


def _template(folder: Path) -> ChatTemplate | None:
    """The folder's chat template; `None`: it is of a base model."""
    path, beside = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    try:
        row = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise FileFormatError(path, None, f"no chat template can be read from it: {error}") from error
    if beside.exists() and isinstance(row, dict):
        row["chat_template"] = beside.read_text(encoding="utf-8")
    return told(row)


_digests: dict[tuple[Path, int, int], str] = {}
_digesting = threading.Lock()


def content_of(folder: Path) -> Content:
    """Digests of the weights in a folder, and of the other files that affect what is computed; of a file, its own."""
    if folder.is_file():
        return Content(_digest(folder)[:20], "gguf")
    weights, rest = hashlib.blake2b(digest_size=10), hashlib.blake2b(digest_size=5)
    for path in sorted(folder.glob("*.safetensors")):
        weights.update(_digest(path).encode())
    for name in BESIDE:
        path = folder / name
        rest.update(path.read_bytes() if path.exists() else b"")
        rest.update(b"\0")
    return Content(weights.hexdigest(), rest.hexdigest())


def _digest(path: Path) -> str:
    """The digest of a large file, read again only if it was changed."""
    state = path.stat()
    key = path, state.st_mtime_ns, state.st_size
    with _digesting:
        if key not in _digests:
            with path.open("rb") as file:
                _digests[key] = hashlib.file_digest(file, "blake2b").hexdigest()
        return _digests[key]
