"""Starts servers that others wrote, each in an environment of its own: `make test-servers` installs them."""

import asyncio
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

SERVERS = Path(os.environ.get("MULL_SERVERS", Path(__file__).parents[1] / ".servers"))
MOST_SECONDS = 900.0
QUIET_VLLM = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _is_up(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Asks until the server lists its models, or has ended."""
    async with aiohttp.ClientSession() as session:
        while process.poll() is None:
            try:
                async with session.get(url + "/models", headers={"Authorization": "Bearer sk-front"}) as response:
                    if response.status == 200:
                        return True
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    return False


@contextmanager
def running(name: str, *command: object, folder: Path, **environment: str) -> Iterator[str]:
    """A server of one of the environments; skips where it is not installed. `PORT` stands for its port."""
    program = SERVERS / name / "bin" / str(command[0])
    if not program.exists():
        pytest.skip(f"no {program}: make test-servers installs it")
    port = free_port()
    # Offline, and with a home of its own: no test changes or depends on what its user has there.
    surroundings = {
        **os.environ, "HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1", "PATH": f"{program.parent}:{os.environ['PATH']}", **environment,
    }  # fmt: skip
    surroundings.pop("PYTHONPATH", None)
    (folder / "hf" / "hub").mkdir(parents=True, exist_ok=True)
    arguments = [str(part).replace("PORT", str(port)) for part in command[1:]]
    url = f"http://127.0.0.1:{port}/v1"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], env=surroundings, stdout=log, stderr=log, cwd=folder)
        try:

            async def up() -> bool:
                async with asyncio.timeout(MOST_SECONDS):
                    return await _is_up(url, process)

            assert asyncio.run(up()), (folder / f"{name}.log").read_text(errors="replace")[-3000:]
            yield url
        finally:
            process.terminate()
            process.wait(30)


def asked(url: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one request, as anybody would send it: no client of mull's. Without a body it is a GET."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=MOST_SECONDS) as response:
            return response.status, json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        with error:
            status, raw = error.code, error.read()
    try:
        told = json.loads(raw)
    except ValueError:
        told = raw.decode(errors="replace")
    return status, told if isinstance(told, dict) else {"error": told}
