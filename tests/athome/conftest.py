"""A model behind the fault server, and a bank and caches of the tests' own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fault_server import FaultServer
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.wire.endpoints import Limits

FAST = Limits(backoff=0.002, longest_backoff=0.01, timeout=60.0, idle=60.0, connect=30.0, patience=5.0)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def served() -> Callable[[FaultServer], OpenAIModel]:
    def build(server: FaultServer, **options: object) -> OpenAIModel:
        return OpenAIModel(
            Deployment("words", (server.url,), "words", limits=replace(FAST), bank_as="words", **options)
        )

    return build
