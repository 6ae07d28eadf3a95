"""Clients that others wrote, asking a gateway over the built-in model: `make test-clients` installs each on its own.

They are too large for the plain run, where their tests are skipped.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients_at import CLIENTS

TOML = """
[presets.vote]
strategy = "majority:n=3"
[serve]
models = ["nano"]
calls = 12
tokens = 2000
max_tokens = 64
"""


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `mull serve`."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "mull.toml").write_text(TOML)
    surroundings = {**os.environ, "MULL_BANK": str(folder / "bank.db")}
    words = [sys.executable, "-m", "mull", "serve", "--port", "0", "--config", "mull.toml"]
    with subprocess.Popen(words, cwd=folder, env=surroundings, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        yield gateway.stdout.readline().split()[0]
        gateway.terminate()


@pytest.fixture
def told(url: str, tmp_path: Path) -> Callable[..., Any]:
    """What a program prints as JSON in its last line; it runs in the environment of a client and gets the URL."""

    def run(client: str, program: str) -> Any:
        python = CLIENTS / client / "bin" / "python"
        if not python.exists():
            pytest.skip(f"no {python}: make test-clients installs it")
        # With a home of its own and no network: no test changes or depends on what its user has there.
        surroundings = {
            **os.environ,
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
            "OPENAI_API_KEY": "none",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PATH": f"{python.parent}:{os.environ['PATH']}",
        }
        surroundings.pop("PYTHONPATH", None)
        words = [python, Path(__file__).with_name(program), url]
        done = subprocess.run(words, cwd=tmp_path, env=surroundings, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1])

    return run
