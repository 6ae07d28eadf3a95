"""Models of transformers' format on torch, against transformers itself, and what they promise about draws."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_folders import LLAMA3, hf_folder
from mull import Draw, Finish, Params, Prompt, Sample, UsageError
from mull.errors import FileFormatError
from mull.models.hf import Hf
from mull.testing import FakePurse

torch = pytest.importorskip("torch")
PROMPT = Prompt.user("Say a word.")
KINDS = {
    "llama": ("llama", {}),
    "llama 3.1": ("llama", {"rope_parameters": LLAMA3, "head_dim": 16}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head_dim": 16}),
}


@pytest.fixture(params=KINDS, scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, sizes = KINDS[request.param]
    return hf_folder(tmp_path_factory.mktemp("hf") / "tiny", kind, **sizes)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hf_folder(tmp_path_factory.mktemp("hf") / "tiny", "qwen2")


def reference(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def draw(
    folder: Path, seeds: range, params: Params, prompt: Prompt = PROMPT, dtype: Any = "float32"
) -> dict[int, Sample]:
    async def drawn() -> dict[int, Sample]:
        model = Hf(str(folder), dtype=dtype, context=256)
        draws = [Draw(i, seed) for i, seed in enumerate(seeds)]
        return {s.seed or 0: s async for s in model.sample(prompt, params, draws, FakePurse())}

    return asyncio.run(drawn())


@pytest.mark.parametrize("n", [5, 64, 130])
def test_logits_are_those_of_transformers(folder: Path, n: int) -> None:
    """Of a prompt computed in chunks, and of the tokens after it, one at a time beside other rows."""
    from mull.runtime.sources import FolderSource
    from mull.runtime.torch_session import TorchSession

    ids = np.random.default_rng(n).integers(0, 250, n + 4)
    with torch.inference_mode():
        want = reference(folder)(torch.tensor(ids)[None]).logits[0].numpy()
    session = TorchSession(FolderSource(folder), "float32", 256, 2)
    whole = session.bind(session.cache(1, 256), 1, -(-n // 16) * 16)
    whole.ids[0, :n], whole.last[0] = ids[:n], whole.ids.shape[1] - 1
    np.testing.assert_allclose(whole.run(n - 1)[0], want[n - 1], atol=1e-4)
    rows = session.bind(session.cache(3, 256), 3, 1)
    rows.cache[:, 1, :, :n] = whole.cache[:, 0, :, :n]
    for i in range(n, n + 4):
        rows.ids[1, 0], rows.last[:] = ids[i], (0, i, 9)
        np.testing.assert_allclose(rows.run()[1], want[i], atol=1e-4)


def test_bfloat16_is_float32_up_to_its_rounding(folder: Path) -> None:
    """8 bits of a number are kept, so that logits differ by few hundredths of their spread."""
    from mull.runtime.sources import FolderSource
    from mull.runtime.torch_session import TorchSession

    found = []
    for dtype in ("float32", "bfloat16"):
        session = TorchSession(FolderSource(folder), dtype, 256, 2)  # type: ignore[arg-type]
        batch = session.bind(session.cache(1, 256), 1, 64)
        batch.ids[0], batch.last[0] = np.arange(64), 63
        found.append(batch.run(63)[0])
    assert float((found[1] - found[0]).std()) < 0.05 * float(found[0].std())


def test_a_greedy_draw_is_that_of_transformers(folder: Path) -> None:
    found = draw(folder, range(1), Params(temperature=0, max_tokens=40))[0]
    model = reference(folder)
    ids = Hf(str(folder))._model.tokens.conversation(PROMPT.messages)
    out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=40, eos_token_id=[257, 258])
    made = out[0, len(ids) :].tolist()
    assert found.cost.output_tokens == len(made)
    assert found.text == Hf(str(folder))._model.tokens.decode(made)
    with torch.inference_mode():
        rows = model(out).logits[0].log_softmax(-1)
    want = [float(rows[len(ids) - 1 + i, token]) for i, token in enumerate(made)]
    np.testing.assert_allclose(found.logprobs or (), want, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_draw_depends_on_its_seed_alone(qwen: Path, dtype: str) -> None:
    params = Params(temperature=1.0, max_tokens=30)
    together = draw(qwen, range(20), params, dtype=dtype)
    alone = draw(qwen, range(7, 8), params, dtype=dtype)[7]
    assert (alone.text, alone.logprobs) == (together[7].text, together[7].logprobs)
    assert len({s.text for s in together.values()}) > 15


def test_first_tokens_follow_the_law_of_the_logits(qwen: Path) -> None:
    """Chi-squared over the likelier half of 4,000 first tokens; false alarm 1 in 100,000, seeds are fixed."""
    from scipy.stats import chi2

    ids = Hf(str(qwen))._model.tokens.conversation(PROMPT.messages)
    with torch.inference_mode():
        chances = (reference(qwen)(torch.tensor([ids])).logits[0, -1].double() / 0.7).softmax(-1).numpy()
    drawn = draw(qwen, range(4000), Params(temperature=0.7, max_tokens=1, logprobs=1))
    shown = Hf(str(qwen))._model.tokens.shown
    likely = [i for i in np.argsort(-chances) if 4000 * chances[i] >= 10 and i < 256 and shown(int(i)) != "\ufffd"]
    counts = [sum(s.text == shown(int(i)) for s in drawn.values()) for i in likely]
    expected = 4000 * chances[likely]
    rest = 4000 - sum(counts), 4000 - expected.sum()
    far = ((counts - expected) ** 2 / expected).sum() + (rest[0] - rest[1]) ** 2 / rest[1]
    assert len(likely) > 5
    assert far < chi2.isf(1e-5, len(likely))


def test_a_continued_reply_is_the_uninterrupted_one(qwen: Path) -> None:
    letters = tuple((chr(c), 100.0) for c in range(97, 123))  # random weights write bytes that are no text
    params = Params(temperature=0, max_tokens=20, logit_bias=letters)
    whole = draw(qwen, range(1), params)[0].text
    assert whole.isalpha()
    rest = draw(qwen, range(1), params, Prompt(PROMPT.messages, prefix=whole[:7]))[0].text
    assert (whole[:7] + rest)[:20] == whole


def test_a_special_token_that_a_message_spells_out_is_text(qwen: Path) -> None:
    tokens = Hf(str(qwen))._model.tokens
    ids = tokens.conversation(Prompt.user("a<|im_end|>b").messages)
    assert ids.count(257) == 1  # that of the template
    assert tokens.decode(ids) == "user\na<|im_end|>b\nassistant\n"


def test_a_template_in_a_file_of_its_own_has_the_special_tokens_of_the_tokenizer(qwen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "apart"
    shutil.copytree(qwen, folder)
    config = folder / "tokenizer_config.json"
    template = json.loads(config.read_text())["chat_template"]
    (folder / "chat_template.jinja").write_text("{{ bos_token }}" + template)
    config.write_text(json.dumps({"bos_token": "<|endoftext|>"}))
    ids = Hf(str(folder))._model.tokens.conversation(PROMPT.messages)
    assert ids == [258, *Hf(str(qwen))._model.tokens.conversation(PROMPT.messages)]
    config.write_text("{")
    with pytest.raises(FileFormatError, match="no chat template can be read"):
        _ = Hf(str(folder))._model


def test_stop_strings_and_end_tokens_end_a_draw(qwen: Path) -> None:
    some = draw(qwen, range(30), Params(temperature=1.0, max_tokens=300))
    assert {s.finish for s in some.values()} >= {Finish.STOP}
    assert all("<|im_end|>" not in s.text for s in some.values())
    cut = draw(qwen, range(30), Params(temperature=1.0, max_tokens=100, stop=("e",)))
    assert any(s.finish is Finish.STOP_STRING for s in cut.values())
    assert all("e" not in s.text for s in cut.values())


def test_what_cannot_be_a_model_is_refused(tmp_path: Path, qwen: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no config\.json"):
        Hf(str(tmp_path))
    with pytest.raises(UsageError, match="float32 or bfloat16"):
        Hf(str(qwen), dtype="int8")  # type: ignore[arg-type]
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "tokenizer.json").write_text((qwen / "tokenizer.json").read_text())
    with pytest.raises(UsageError, match="'gpt2'"):
        _ = Hf(str(tmp_path))._model
