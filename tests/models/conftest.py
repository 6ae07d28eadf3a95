"""Models behind the fault server, which forget what was found out of them between tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fault_server import FaultServer
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.wire.endpoints import Limits

FAST = Limits(backoff=0.002, longest_backoff=0.01, timeout=60.0, idle=30.0, connect=30.0, patience=5.0)


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))


@pytest.fixture
def served() -> Callable[..., OpenAIModel]:
    """The model of a server, or of several; `limits` are given one by one.

    It is banked under a name and not under its server's port, which differs in every run: so do the seeds of its draws.
    """

    def build(*servers: FaultServer, served: str = "words", **options: object) -> OpenAIModel:
        names = {name: options.pop(name) for name in list(options) if name in Limits.__dataclass_fields__}
        urls = tuple(server.url for server in servers)
        options.setdefault("bank_as", served)
        return OpenAIModel(Deployment("words", urls, served, limits=replace(FAST, **names), **options))

    return build
