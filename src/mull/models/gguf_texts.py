"""The tokenizer of a GGUF file, and its chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mull.errors import FileFormatError
from mull.models.served.template import ChatTemplate, told

if TYPE_CHECKING:
    from mull.runtime.sources import GgufSource

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {"qwen2": rf"{WORDS}\p{{N}}{SIGNS}", "llama-bpe": rf"{WORDS}\p{{N}}{{1,3}}{SIGNS}"}
"""How texts are cut before their parts are merged, by the names that files have for it (`tokenizer.ggml.pre`)."""
SIMPLE = ("gpt-2", "smollm")
"""Those that are cut as GPT-2 does; the second takes digits one by one."""


def tokenizer_of(source: GgufSource) -> str:
    """The tokenizer in the format of tokenizers. Raises `FileFormatError` for one of another kind."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    from mull.runtime.sources import CONTROL, USER_DEFINED

    model, cut = source.field("tokenizer.ggml.model"), source.field("tokenizer.ggml.pre")
    if model != "gpt2" or cut not in (*PATTERNS, *SIMPLE):
        known = ", ".join((*PATTERNS, *SIMPLE))
        what = f"its tokenizer is of the kind {model!r}, {cut!r}, and mull's own engine reads gpt2 with {known}"
        raise FileFormatError(source.path, None, f"{what}: run it by llama.cpp, without engine=own")
    vocabulary = {token: i for i, token in enumerate(source.tokens)}
    merges = [tuple(pair.split(" ", 1)) for pair in source.field("tokenizer.ggml.merges") or ()]
    merges = [pair for pair in merges if "".join(pair) in vocabulary]
    made: Any = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=cut == "llama-bpe"))
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut in SIMPLE)
    first: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if cut == "smollm" else []
    if cut in PATTERNS:
        first = [pre_tokenizers.Split(Regex(PATTERNS[cut]), "isolated")]
    made.pre_tokenizer = pre_tokenizers.Sequence([*first, in_bytes])
    if cut == "qwen2":
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    for kind in (CONTROL, USER_DEFINED):
        is_special = kind == CONTROL
        added = [AddedToken(source.tokens[i], special=is_special, normalized=False) for i in source.of_type(kind)]
        (made.add_special_tokens if is_special else made.add_tokens)(added)
    return str(made.to_str())


def template_of(source: GgufSource) -> ChatTemplate | None:
    """The file's chat template; `None`: it is of a base model."""
    row: dict[str, Any] = {"chat_template": source.field("tokenizer.chat_template")}
    for name in ("bos", "eos"):
        if (i := source.field(f"tokenizer.ggml.{name}_token_id")) is not None:
            row[f"{name}_token"] = source.tokens[i]
    return told(row)
