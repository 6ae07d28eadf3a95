"""A built-in model as a GGUF file, for llama.cpp and what is built on it: `python recipes/gguf_file.py nano OUT.gguf`.

Needs `gguf` and `safetensors`. The whole words of the vocabulary become tokens that llama.cpp cuts a text at before
all else, and the rest are characters, so that a text has the same tokens there as here; characters that the models
have never seen are left out there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).parents[1] / "src" / "mull" / "weights"
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
BYTES = {" ": "Ġ", "\n": "Ċ"}
"""What byte-level vocabularies write for what cannot be seen; the other characters stand for themselves."""


def paired(weight: Any, heads: int) -> Any:
    """Rows of queries or keys in the order in which llama.cpp turns them: neighbours instead of halves of a head."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def write(folder: Path, out: Path) -> None:
    """Writes the checkpoint in a folder as GGUF, weights as they are kept but in 32 bits."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_name(folder.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokens(writer, folder)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, weight in load_file(folder / "model.safetensors").items():
        theirs = _name(name)
        values = weight.astype(np.float32)
        head = heads.get(theirs.split(".")[-2])
        writer.add_tensor(theirs, values if head is None else paired(values, head))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(name: str) -> str:
    name = name.removeprefix("model.")
    if name.startswith("layers."):
        _, number, *rest = name.split(".")
        return f"blk.{number}.{LAYER['.'.join(rest[:-1])]}.weight"
    return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]


def _add_tokens(writer: gguf.GGUFWriter, folder: Path) -> None:
    told = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    vocabulary: dict[str, int] = told["model"]["vocab"]
    special = {token["content"] for token in told["added_tokens"]}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    types = [
        gguf.TokenType.CONTROL
        if token in special
        else (gguf.TokenType.NORMAL if len(token) == 1 else gguf.TokenType.USER_DEFINED)
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([BYTES.get(token, token) for token in tokens])
    writer.add_token_types(types)
    # There are none; but a file without any is refused. What this one would join is cut into characters again.
    writer.add_token_merges(["? ?"])
    writer.add_bos_token_id(vocabulary[settings["bos_token"]])
    writer.add_eos_token_id(vocabulary[settings["eos_token"]])
    writer.add_unk_token_id(vocabulary[settings["unk_token"]])
    writer.add_pad_token_id(vocabulary[settings["pad_token"]])
    # The template begins with it.
    writer.add_add_bos_token(False)
    writer.add_chat_template(settings["chat_template"])


def main() -> None:
    parser = argparse.ArgumentParser(description="A built-in model as a GGUF file.")
    parser.add_argument("name", help="nano or mini, or a folder with a checkpoint")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    folder = WEIGHTS / options.name
    write(folder if folder.is_dir() else Path(options.name), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
