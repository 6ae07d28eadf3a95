"""GGUF files by mull's own engine: the weights, tokens and draws of the folder that they were made of."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf_files import gguf_file
from hf_folders import LLAMA3, SPECIAL, TEMPLATE, hf_folder
from mull import Draw, Params, Prompt, Sample, UsageError
from mull.errors import FileFormatError
from mull.models.embedded import Nano
from mull.models.gguf import Gguf
from mull.models.hf import Hf, LiveHf
from mull.runtime import WEIGHTS
from mull.testing import FakePurse

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")
recipe = pytest.importorskip("gguf_file")
LAYER = {**recipe.LAYER, "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
PROMPT = Prompt.user("Say a word.")
TEXTS = (
    "<tool_call>x</tool_call>",
    "Hello  world 12345, don't!\n\n\tx = [1, 2];",
    "<|im_start|>user\nhi<|im_end|>\n",
    "I'LL go 3.14e10 caf\u0065\u0301 日本 \ufb01   \n \n b",
)


def told(name: str) -> str:
    """A tensor's name in the file."""
    for whole, its in (("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output")):
        name = name.replace(f"{whole}.", f"{its}.")
    if name.startswith("model.layers."):
        _, _, layer, *part, kind = name.split(".")
        name = f"blk.{layer}.{LAYER['.'.join(part)]}.{kind}"
    return name


def written(folder: Path, path: Path, *, kind: str = "gpt2", cut: str = "gpt-2") -> Path:
    """The model of a folder as a file, as the makers of the format lay it out."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config, out = model.config, gguf.GGUFWriter(path, model.config.model_type)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(head)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    out.add_rope_freq_base(rope["rope_theta"])
    texts = Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocabulary = [texts.id_to_token(i) for i in range(texts.get_vocab_size())]
    out.add_tokenizer_model(kind)
    out.add_tokenizer_pre(cut)
    out.add_token_list(vocabulary)
    out.add_token_types([3 if token in SPECIAL else 1 for token in vocabulary])
    out.add_eos_token_id(257)
    out.add_chat_template(TEMPLATE)
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        heads = {"q": config.num_attention_heads, "k": config.num_key_value_heads}.get(name.split("_proj")[0][-1])
        if config.model_type == "llama" and "_proj" in name and heads and "self_attn" in name:
            values = recipe.paired(values, heads)
        if not (name.startswith("lm_head") and config.tie_word_embeddings):
            out.add_tensor(told(name), np.ascontiguousarray(values))
    if rope["rope_type"] == "llama3":
        plain = rope["rope_theta"] ** (-np.arange(0, head, 2) / head)
        out.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def drawn(model: Any) -> list[tuple[str, Any]]:
    async def draws() -> list[tuple[str, Any]]:
        asked = [Draw(i, 5 + i) for i in range(4)]
        params = Params(temperature=0.9, max_tokens=20)
        return sorted([(s.text, s.logprobs) async for s in model.sample(PROMPT, params, asked, FakePurse())])

    return asyncio.run(draws())


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("llama", {}),
        ("llama", {"rope_parameters": LLAMA3, "head_dim": 16}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 16}),
    ],
)
def test_logits_are_those_of_transformers(tmp_path: Path, kind: str, sizes: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM

    from mull.runtime.sources import GgufSource
    from mull.runtime.torch_session import TorchSession

    folder = hf_folder(tmp_path / "tiny", kind, **sizes)
    source = GgufSource(written(folder, tmp_path / "tiny.gguf"))
    ids = np.random.default_rng(3).integers(0, 250, 60)
    with torch.inference_mode():
        want = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor(ids)[None]).logits[0]
    session = TorchSession(source, "float32", 256, 2)
    batch = session.bind(session.cache(1, 256), 1, 64)
    batch.ids[0, :60], batch.last[0] = ids, 63
    np.testing.assert_allclose(batch.run(59)[0], want[59].numpy(), atol=1e-4)
    assert source.config["eos_token_id"] == [257, 258]  # its own, and <|endoftext|>


def test_draws_of_a_file_are_those_of_its_folder(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "tiny", "qwen2")
    path = written(folder, tmp_path / "small.gguf")
    own = Gguf(str(path), context=256, engine="own")
    assert drawn(own) == drawn(Hf(str(folder), context=256))
    assert own.identity.startswith("small@")
    assert own.identity != Gguf(str(path), context=256, engine="own", dtype="bfloat16").identity
    assert own.quote(PROMPT, Params(max_tokens=9)).flops == Hf(str(folder)).quote(PROMPT, Params(max_tokens=9)).flops


def test_a_built_in_model_writes_the_same_as_a_file(tmp_path: Path) -> None:
    """Its words are tokens of their own, at which a text is cut before all else."""
    recipe.write(WEIGHTS / "nano", tmp_path / "nano.gguf")
    question, params = Prompt.user("a:7;b:a*6;c:b-5;c?"), Params(temperature=0, max_tokens=60)

    async def reply(model: Any) -> Sample:
        (found,) = [s async for s in model.sample(question, params, [Draw(0, 1)], FakePurse())]
        return found  # type: ignore[no-any-return]

    own, built_in = asyncio.run(reply(Gguf(str(tmp_path / "nano.gguf"), engine="own"))), asyncio.run(reply(Nano()))
    assert (own.text, own.cost.output_tokens) == (built_in.text, built_in.cost.output_tokens)
    np.testing.assert_allclose(own.logprobs or (), built_in.logprobs or (), atol=1e-3)


def test_what_it_cannot_run_is_said(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "tiny", "qwen2")
    pieces = written(folder, tmp_path / "pieces.gguf", kind="llama")
    with pytest.raises(FileFormatError, match=r"'llama'.*gpt2 with qwen2.*without engine=own"):
        drawn(Gguf(str(pieces), engine="own"))
    path = str(written(folder, tmp_path / "tiny.gguf"))
    for options, words in (
        ({"engine": "own", "threads": 2}, r"are llama\.cpp's"),
        ({"dtype": "float32"}, "engine=own"),
        ({"engine": "vllm"}, r"llama\.cpp or own"),
        ({"engine": "own", "dtype": "int8"}, "float32 or bfloat16"),
    ):
        with pytest.raises(UsageError, match=words):
            Gguf(path, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"gguf_folder\.py"):
        LiveHf(Hf(path))


def test_a_real_file_has_the_weights_and_tokens_that_transformers_reads() -> None:
    """SmolLM2-135M in 4 bits, dequantised and tokenized by transformers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from mull.models.gguf_texts import template_of, tokenizer_of
    from mull.models.texts import ModelTexts
    from mull.runtime.sources import GgufSource

    path = gguf_file()
    source = GgufSource(path)
    want = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).state_dict()
    found = source.tensors()
    assert {*want} - {"lm_head.weight"} == {*found}  # the head is the embedding
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor.numpy(), want[name].numpy(), atol=1e-6)
    theirs = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    texts = ModelTexts(tokenizer_of(source), template_of(source))
    for text in TEXTS:
        assert texts._reader.encode(text).ids == theirs.encode(text), text
    turns = [{"role": "user", "content": "What is 2 + 2?"}]
    ids = theirs.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert texts.conversation(Prompt.user("What is 2 + 2?").messages) == ids
