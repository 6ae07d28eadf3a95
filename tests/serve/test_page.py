"""The examples of the page about the gateway, against the command it tells of."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mull.config.schema import Ceilings, KeyTable, PresetTable, ServeTable
from mull.errors import UsageError
from mull.serve.offer import Offer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gateway.md").read_text()
URL = "http://127.0.0.1:8642"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE + (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mull serve` with the page's configuration, stopped by a signal as by a supervisor."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "mull.toml").write_text("\n".join(blocks("toml")))  # the page has all that are in either
    command = ["bash", "-c", f"ulimit -Sn 256; exec {sys.executable} -m mull serve --port 0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.endswith("/v1 offers nano, nano@vote, nano@scored\n"), process.communicate()
        limits = Path(f"/proc/{process.pid}/limits").read_text() if sys.platform == "linux" else ""
        assert not re.search(r"Max open files +256 ", limits)  # each client takes two
        yield line.partition("/v1")[0]
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
        assert (out, errors) == ("", "")


def test_the_examples_run(url: str, tmp_path: Path) -> None:
    for text in blocks("bash"):
        said = text.replace(URL, url).replace("nano@majority-16", "nano@vote")
        said = said.replace("curl -s", "curl -s --fail-with-body")
        done = subprocess.run(["bash", "-ec", said], capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert '"chosen_by":"vote"' in done.stdout
    for text in blocks("py"):
        said = text.replace(URL, url).replace("nano@majority-16", "nano@vote")
        done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert "tokens in 8 draws" in done.stdout


def test_every_setting_is_documented() -> None:
    for form, table in (("[presets.NAME]", PresetTable), ("[serve]", ServeTable), ("[serve.keys.NAME]", KeyTable)):
        rows = PAGE.partition(f"`{form}`:")[2].partition("\n\n|")[2].partition("\n\n")[0].splitlines()[2:]
        told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1 if row[0] == "|" else 0])}
        assert told == set(table.model_fields) - {"keys"}
    assert set(Ceilings.model_fields) == {"calls", "tokens", "usd", "seconds"}


def test_what_could_never_be_answered_is_refused_at_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mull", "serve", "--host", "0.0.0.0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--host 0.0.0.0 would let other machines in, and there are no keys" in done.stderr

    def refused(text: str) -> str:
        (tmp_path / "mull.toml").write_text(text)
        with pytest.raises(UsageError) as caught:
            Offer((), tmp_path / "mull.toml")
        return str(caught.value).partition("mull.toml, ")[2]

    assert "line 2: unknown setting 'presets.a.strateg': did you mean 'strategy'" in refused(
        '[presets.a]\nstrateg = "x"'
    )
    assert refused('[serve]\neffort = { high = "deep" }') == "line 2: there is no preset 'deep'"
    assert refused('[presets.a]\nstrategy = "best:n=4"').startswith("line 1: this strategy needs a verifier")
    assert "did you mean 'number'" in refused('[presets.a]\nstrategy = "single"\nanswer = "numbr"')
    assert refused('[serve.keys.a]\nsha256 = "abc"').startswith("line 2: serve.keys.a.sha256")
    assert refused('[presets."a@b"]\nstrategy = "single"').startswith("line 1: a preset's name has a letter and no @")
    twice = "".join(f'[serve.keys.{name}]\nsha256 = "{"a" * 64}"\n' for name in "ab")
    assert refused(twice).startswith("line 4: it is the hash of 'a' too")
