"""The files in `deploy/`: what they say of the gateway is true of it, and the tools that read them take them."""

import re
import shutil
import subprocess
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from mull.serve.accounts import Accounts
from mull.serve.app import OPEN
from mull.serve.listen import GRACE
from mull.serve.offer import Offer

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "mull.service").read_text()


@cache
def options() -> set[str]:
    """The options of `mull serve`."""
    done = subprocess.run([sys.executable, "-m", "mull", "serve", "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z][a-z-]+", done.stdout))


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """What the manifest makes, by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def test_the_manifest_fits_the_gateway(
    objects: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["terminationGracePeriodSeconds"] > GRACE
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in OPEN
    user = str(spec["securityContext"]["runAsUser"])
    assert f"USER {user}:{user}" in DOCKERFILE
    (port,) = container["ports"]
    assert f"EXPOSE {port['containerPort']}\n" in DOCKERFILE
    (service,) = objects["Service"]["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == objects["Service"]["spec"]["selector"] == objects["Deployment"]["spec"]["selector"]["matchLabels"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"MULL_CONFIG={mounts['config']}/mull.toml MULL_BANK={mounts['data']}/" in DOCKERFILE
    urls = [arg for arg in container["args"] if "://" in arg]
    assert all(urlsplit(url).password is None for url in urls)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    (tmp_path / "mull.toml").write_text(objects["ConfigMap"]["data"]["mull.toml"])
    offer = Offer((), tmp_path / "mull.toml")
    assert list(offer.entries) == ["gpt", "gpt@vote"]
    said = {*container["args"], *re.findall(r"--[a-z-]+", DOCKERFILE.partition("ENTRYPOINT")[2])}
    assert {word for word in said if word.startswith("--")} <= options()


def test_the_unit_fits_the_gateway_and_systemd(tmp_path: Path) -> None:
    command = re.search(r"^ExecStart=(\S+) serve (.*)$", UNIT, re.MULTILINE)
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert command is not None
    assert stop is not None
    assert int(stop[1]) > GRACE
    assert set(re.findall(r"--[a-z-]+", command[2])) <= options()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / "mull.service"
    unit.write_text(UNIT.replace(command[1], sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=100)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "mull" in line]) == (0, [])


@pytest.fixture
def no_password(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose password is in the environment alone."""
    parts = urlsplit(postgres_url)
    monkeypatch.setenv("PGPASSWORD", parts.password or "")
    return postgres_url.replace(f":{parts.password}@", "@")


def test_a_password_may_come_from_the_environment(no_password: str) -> None:
    with closing(Accounts(no_password)) as accounts:
        assert accounts.elsewhere("ann", "2026-01-01") == (0.0, 0.0, 0.0, 0.0)
