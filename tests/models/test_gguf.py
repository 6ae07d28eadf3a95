"""A model file as a model: what its header says, what is refused before it is loaded, and what memory it needs."""

from pathlib import Path

import pytest

from gguf_files import gguf_file, header
from mull import UsageError, spec
from mull.errors import FileFormatError, ModelError
from mull.files.gguf import digest, read_header
from mull.models import gguf
from mull.models.gguf import Gguf
from mull.models.hub import folder

LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.context_length": 8192,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.feed_forward_length": 1536,
    "llama.vocab_size": 49152,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.tokens": ["a", "bc"],
}


def written(folder: Path, raw: bytes, name: str = "it.gguf") -> str:
    (folder / name).write_bytes(raw)
    return str(folder / name)


def test_the_header_is_read_to_its_end(tmp_path: Path) -> None:
    read = read_header(Path(written(tmp_path, header(LLAMA))))
    assert read.fields == {**LLAMA, "tokenizer.ggml.tokens": 2}
    assert (read.architecture, read.number("block_count"), read.number("nothing")) == ("llama", 30, None)


def test_flops_are_those_of_the_dimensions_in_the_header(tmp_path: Path) -> None:
    """SmolLM2 has 30 layers of width 576: 9 heads and 3 pairs of keys and values of 64, three matrices of 1,536."""
    model = Gguf(written(tmp_path, header(LLAMA)))
    layer = 576 * 64 * (2 * 9 + 2 * 3) + 3 * 576 * 1536
    assert model._price.architecture is not None
    assert model._price.architecture.active_params == 30 * layer + 576 * 49152
    other = Gguf(written(tmp_path, header({**LLAMA, "general.architecture": "mamba"}), "other.gguf"))
    assert other._price.architecture is None
    assert other._price.cost(10, 10).flops is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"PK\x03\x04 something else", "it is no GGUF file"),
        (b"", "it is no GGUF file"),
        (header(LLAMA)[:300], "the file ends within its header"),
        (header(LLAMA, n_data=0), "it was not copied whole"),
        (b"GGUF" + b"\x09\0\0\0" + b"\0" * 16, "it is GGUF of version 9"),
        (b"GGUF" + b"\x03\0\0\0" + b"\xff" * 16, "it is damaged"),
        (header(LLAMA).replace(b"\x05\0\0\0\0\0\0\0llama", b"\xff" * 8 + b"llama"), "it is damaged"),
        (header({**LLAMA, "tokenizer.chat_template": ""}), "no chat template: add the option api=completions"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_the_reason(tmp_path: Path, raw: bytes, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        Gguf(written(tmp_path, raw))


def test_a_model_without_a_chat_template_is_taken_for_completions(tmp_path: Path) -> None:
    path = written(tmp_path, header({**LLAMA, "tokenizer.chat_template": ""}))
    model = spec.build("model", spec.MODELS, f"gguf:{path},api=completions")
    assert model.identity.endswith("/completions")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="it cannot be read: No such file"):
        Gguf(str(tmp_path / "none.gguf"))


@pytest.mark.parametrize("options", [{"slots": 0}, {"context": -1}, {"threads": 0}, {"api": "responses"}])
def test_options_out_of_range(tmp_path: Path, options: dict) -> None:
    with pytest.raises(UsageError, match="of a gguf model"):
        Gguf(written(tmp_path, header(LLAMA)), **options)


def test_its_memory_is_that_of_weights_keys_and_values(tmp_path: Path) -> None:
    raw = header(LLAMA)
    path = written(tmp_path, raw)
    # 30 layers, keys and values of 3 heads of 64 numbers of 2 bytes, for 8 replies of 512 tokens.
    assert Gguf(path, slots=8, context=512).n_bytes == len(raw) + 30 * 2 * 3 * 64 * 2 * 8 * 512 + gguf.RATHER_MORE
    assert Gguf(path, context=100_000).n_context == 8192, "what the model was trained on"


def test_the_identity_changes_with_the_weights_and_not_with_the_place(tmp_path: Path) -> None:
    raw = header(LLAMA, n_data=1 << 20)
    here = Gguf(written(tmp_path, raw)).identity
    (tmp_path / "sub").mkdir()
    assert Gguf(written(tmp_path / "sub", raw)).identity == here
    assert Gguf(written(tmp_path, raw[:-1] + b"\1", "new.gguf")).identity.partition("@")[2] != here.partition("@")[2]
    assert digest(tmp_path / "it.gguf", len(raw)) == here.partition("@")[2]


def test_fewer_replies_are_generated_at_once_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, header(LLAMA))
    monkeypatch.setattr(gguf, "free_memory", lambda: None)
    assert Gguf(path).n_slots == 16, "nothing is known of the memory"
    monkeypatch.setattr(gguf, "free_memory", lambda: Gguf(path, slots=5).n_bytes)
    assert (Gguf(path).n_slots, Gguf(path, slots=9).n_slots) == (4, 9)
    monkeypatch.setattr(gguf, "free_memory", lambda: 1000)
    assert Gguf(path).n_slots == 1


async def test_too_little_memory_is_told_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Gguf(str(gguf_file()), slots=3)
    monkeypatch.setattr(gguf, "free_memory", lambda: 1 << 28)
    with pytest.raises(ModelError, match=r"needs about .* GiB with slots=3 and context=4096, and 0.2 GiB are free"):
        await model.prepare()


async def test_an_architecture_that_the_engine_does_not_know_is_named(tmp_path: Path) -> None:
    gguf_file()
    model = Gguf(written(tmp_path, header({**LLAMA, "general.architecture": "abacus"})), slots=1)
    with pytest.raises(ModelError, match=r"llama.cpp cannot load .*Its architecture is 'abacus'"):
        await model.prepare()


def test_a_name_alone_is_looked_for_where_model_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the working folder, then among files of the hub, then in installed packages: no path need be known."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    package, here = tmp_path / "packages", tmp_path / "here"
    fetched = folder() / "some" / "repo"
    for place in (package / "tiny_model", package / "tiny_model-1.0.dist-info", fetched, here):
        place.mkdir(parents=True)
    (package / "tiny_model-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
    )
    names = ("one.gguf", "two.gguf", "three.gguf")
    (package / "tiny_model-1.0.dist-info" / "RECORD").write_text("".join(f"tiny_model/{name},,\n" for name in names))
    for place, n in ((package / "tiny_model", 3), (fetched, 2), (here, 1)):
        for name in names[:n]:
            (place / name).write_bytes(header({"general.architecture": "llama"}))
    monkeypatch.syspath_prepend(package)
    monkeypatch.chdir(here)
    assert [Gguf(name, api="completions").path.resolve().parent for name in names] == [
        here, fetched, package / "tiny_model"
    ]  # fmt: skip
    (package / "tiny_model" / "three.gguf").unlink()
    with pytest.raises(UsageError, match=r"unknown model file 'three\.gguf'"):
        Gguf("three.gguf")
