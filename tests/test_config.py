"""`mull.toml` is read as it is meant, and what is wrong with it is said with its line."""

import json
import random
from pathlib import Path

import pytest

from mull import Budget
from mull.config.checked import find_line
from mull.config.schema import FIELDS
from mull.config.settings import parse, read
from mull.cost import Price
from mull.cost.flops import read_config
from mull.errors import FileFormatError
from mull.models.served.configured import check_priced, configured
from mull.runtime import WEIGHTS

WHOLE = """
[models.qwen]
base_url = ["http://localhost:8000/v1", "http://localhost:8001/v1/"]
model = "Qwen/Qwen3-8B"
api_key_env = "QWEN_KEY"
usd_per_mtok_in = 0.1
usd_per_mtok_out = 0.4
usd_per_mtok_cached = 0.01
active_params = 8e9
concurrency = 32
retries = 2
timeout = 90
use_n = false
chat_template = "template.jinja"
bos_token = "<s>"
version = "awq"
[models.qwen.extra_body]
reasoning_effort = "low"

[models.words]
base_url = "http://localhost:9/v1"
"""


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "template.jinja").write_text("{{ bos_token }}x")
    (tmp_path / "mull.toml").write_text(WHOLE)
    config = read(tmp_path / "mull.toml")
    model = configured(config, "qwen")
    assert model.name == "qwen"
    served = model.deployment
    assert served.urls == ("http://localhost:8000/v1", "http://localhost:8001/v1")
    assert served.served == "Qwen/Qwen3-8B"
    assert served.price == Price(0.1, 0.4, 8e9, 0.01)
    assert (served.limits.concurrency, served.limits.retries, served.limits.timeout) == (32, 2, 90.0)
    assert not served.use_n
    assert served.template is not None
    assert served.template.text == "{{ bos_token }}x"
    assert served.template.bos_token == "<s>"
    assert served.extra_body == {"reasoning_effort": "low"}
    assert model.identity.startswith("qwen:Qwen/Qwen3-8B:awq/")
    assert configured(config, "words").deployment.served == "words"


def test_a_template_out_of_a_tokenizers_settings(tmp_path: Path) -> None:
    told = {"chat_template": [{"name": "default", "template": "x"}], "bos_token": {"content": "<s>"}, "eos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    text = '[models.m]\nbase_url = "http://a/v1"\nchat_template = "tokenizer_config.json"'
    template = configured(parse(text, tmp_path / "mull.toml"), "m").deployment.template
    assert template is not None
    assert (template.text, template.bos_token, template.eos_token) == ("x", "<s>", "")


def test_a_template_beside_a_tokenizers_settings(tmp_path: Path) -> None:
    """transformers writes it into a file of its own."""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<e>"}))
    config = parse(
        '[models.m]\nbase_url = "http://a/v1"\nchat_template = "tokenizer_config.json"', tmp_path / "mull.toml"
    )
    with pytest.raises(
        FileFormatError, match=r"it has no `chat_template`, nor is there a chat_template\.jinja beside it"
    ):
        configured(config, "m")
    (tmp_path / "chat_template.jinja").write_text("y")
    template = configured(config, "m").deployment.template
    assert template is not None
    assert (template.text, template.eos_token) == ("y", "<e>")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[models.m]\nbase_url = \n", 2, "not TOML"),
        ("[models.m]\n\nbase_ulr = 'http://a/v1'", 3, "unknown setting 'models.m.base_ulr': did you mean 'base_url'?"),
        ("[models.m]\nmodel = 'x'", 1, r"\[models.m\] has no base_url, which it needs"),
        ("[model.m]\nbase_url = 'x'", 1, "unknown setting 'model': did you mean 'models'?"),
        ("[models.m]\nbase_url = 'http://a/v1'\nconcurrency = 0", 3, "concurrency: Input should be greater than"),
        ("[models.m]\nbase_url = 'http://a/v1'\nusd_per_mtok_in = -1", 3, "usd_per_mtok_in: Input should be"),
        ("[models.m]\nbase_url = 'http://a/v1'\nusd_per_mtok_in = nan", 3, "usd_per_mtok_in: Input should be a finite"),
        ("[models.m]\nbase_url = 7", 2, "base_url.* must be a text in quotes"),
        ("[models.m]\nbase_url = 'http://a/v1'\nuse_n = 1", 3, "use_n must be true or false"),
        ("[models.m]\nbase_url = 'http://a/v1'\napi = 'chats'", 3, "'chat', 'completions', 'anthropic'"),
        ("models.m.base_url = 'http://a/v1'\nmodels.m.retries = 'x'", 2, "retries"),
        ("[models.m]\nextra_body = { n = 3 }\nbase_url = 'http://a/v1'", 2, "n is mull's own to set"),
        ("[models]\nm = 3", 2, "models.m"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(FileFormatError, match=words) as caught:
        parse(text, Path("mull.toml"))
    assert f"mull.toml, line {line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[models.m]\nbase_url = 'localhost'", 2, "base_url must be like http://localhost:8000/v1"),
        ("[models.m]\nbase_url = []", 2, "no base_url"),
        ("[models.m]\nbase_url = 'http://a/v1'\nchat_template = 'none'", 3, "there is no file 'none'"),
        ("[models.m]\nbase_url = 'http://a/v1'\nextra_body.day = 2026-01-01", 3, "cannot be sent as JSON"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    config = parse(text, tmp_path / "mull.toml")
    with pytest.raises(FileFormatError, match=words) as caught:
        configured(config, "m")
    assert f"mull.toml, line {line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("architecture = 'no.json'", "cannot be read as a config.json"),
        ("architecture = { model_type = 'mamba' }", "give active_params instead"),
        (
            "active_params = 1e9\narchitecture = { model_type = 'llama' }",
            "give active_params or architecture, not both",
        ),
    ],
)
def test_an_architecture_that_cannot_be_used_is_said_with_its_line(tmp_path: Path, said: str, words: str) -> None:
    config = parse(f"[models.m]\nbase_url = 'http://a/v1'\n{said}\n", tmp_path / "mull.toml")
    with pytest.raises(FileFormatError, match=f"mull.toml, line .*{words}"):
        configured(config, "m")


@pytest.mark.parametrize("key", ["sk-abcdef", "sk_live_123", "Bearer abc"])
def test_a_key_in_the_file_is_refused_and_not_repeated(key: str) -> None:
    for text in (f"api_key_env = '{key}'", f"api_key = '{key}'", f"base_url = 'http://u:{key}@a/v1'"):
        with pytest.raises(FileFormatError) as caught:
            configured(parse(f"[models.m]\n{text}\nmodel = 'x'\n", Path("mull.toml")), "m")
        assert key not in str(caught.value)


def test_a_price_that_is_missing_is_named() -> None:
    text = "[models.m]\nbase_url = 'http://a/v1'\nusd_per_mtok_in = 1\n"
    config = parse(text, Path("mull.toml"))
    with pytest.raises(
        FileFormatError,
        match=r"line 1: a ceiling on usd .* \[models.m\] has no usd_per_mtok_out: add usd_per_mtok_out = ",
    ):
        check_priced(config, "m", Budget(usd=1.0))
    with pytest.raises(FileFormatError, match="has no active_params"):
        check_priced(config, "m", Budget(flops=1.0))
    check_priced(config, "m", Budget(tokens=1))


def test_an_architecture_prices_flops_exactly(tmp_path: Path) -> None:
    """As a table in the file, or as the `config.json` that lies beside a model's weights."""
    nano = WEIGHTS / "nano" / "config.json"
    sizes = {k: v for k, v in json.loads(nano.read_text()).items() if isinstance(v, int | str) and v is not True}
    table = ", ".join(f"{k} = {json.dumps(v)}" for k, v in sizes.items())
    (tmp_path / "sizes.json").write_text(nano.read_text())
    for told in (f"{{ {table} }}", "'sizes.json'"):
        config = parse(f"[models.m]\nbase_url = 'http://a/v1'\narchitecture = {told}\n", tmp_path / "mull.toml")
        check_priced(config, "m", Budget(flops=1.0))
        assert configured(config, "m").deployment.price.architecture == read_config(nano)


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="there is no such file"):
        read(tmp_path / "no.toml")
    monkeypatch.setenv("MULL_CONFIG", str(tmp_path / "no.toml"))
    with pytest.raises(FileFormatError, match="there is no such file"):
        read()
    monkeypatch.delenv("MULL_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert read().models == {}


def test_the_line_is_found_whatever_form_a_setting_has() -> None:
    """Settings at random places, among comments and texts of several lines that look like them."""
    rng = random.Random(0)
    for _ in range(50):
        names = rng.sample(FIELDS, 5)
        lines = ["# retries = 3", "[models.m]"]
        where = {}
        for name in names:
            lines += ["note_" + name + ' = """', f"{name} = 1", '"""'] * rng.randint(0, 1) + [""] * rng.randint(0, 2)
            lines.append(f'{name} = "x" # {name}')
            where[name] = len(lines)
        text = "\n".join(lines)
        assert {name: find_line(text, ["models", "m", name]) for name in names} == where
    assert find_line("a = 1", ["b"]) is None


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "servers.md").read_text()
    documented = [line.split("`")[1] for line in page.partition("## `mull.toml`")[2].splitlines() if line[:3] == "| `"]
    assert documented == list(FIELDS)


def test_the_example_of_the_documentation_is_read() -> None:
    page = (Path(__file__).parents[1] / "docs" / "servers.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    model = configured(parse(example, Path("mull.toml")), "qwen")
    assert model.deployment.price == Price(0.05, 0.2, 8.2e9)
