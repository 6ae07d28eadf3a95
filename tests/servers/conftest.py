"""Real servers that others wrote, serving nano's weights: `make test-servers` installs them, each on its own.

They are too large for the plain run, where their tests are skipped. `MULL_SERVERS` is the folder of environments.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.models.served.template import read_template
from mull.runtime import WEIGHTS
from mull.wire.endpoints import Limits
from server_contract import Live

SERVERS = Path(os.environ.get("MULL_SERVERS", Path(__file__).parents[2] / ".servers"))
NANO = WEIGHTS / "nano"
TEMPLATE = read_template(NANO / "tokenizer_config.json")
PATIENT = Limits(concurrency=4, timeout=300.0)
MOST_SECONDS = 900.0


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


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("servers")
    os.environ["MULL_BANK"] = str(made / "bank.db")
    shutil.copytree(NANO, made / "nano")
    return made


@pytest.fixture(scope="session")
def llama_url(folder: Path) -> Iterator[str]:
    """llama-cpp-python's server on nano as GGUF."""
    with running(
        "llama", "python", "-m", "llama_cpp.server", "--model", SERVERS / "nano.gguf", "--model_alias", "nano",
        "--n_ctx", 512, "--n_threads", 1, "--host", "127.0.0.1", "--port", "PORT", folder=folder,
    ) as url:  # fmt: skip
        yield url


@pytest.fixture(scope="session")
def llama(llama_url: str) -> OpenAIModel:
    return OpenAIModel(Deployment("llama", (llama_url,), "nano", limits=PATIENT, template=TEMPLATE))


@pytest.fixture(scope="session")
def transformers(folder: Path) -> Iterator[OpenAIModel]:
    """`transformers serve` on the checkpoint."""
    with running(
        "transformers", "transformers", "serve", folder / "nano", "--host", "127.0.0.1", "--port", "PORT",
        "--device", "cpu", folder=folder,
    ) as url:  # fmt: skip
        yield OpenAIModel(Deployment("transformers", (url,), str(folder / "nano"), limits=PATIENT, template=TEMPLATE))


@pytest.fixture(scope="session")
def vllm(folder: Path) -> Iterator[Live]:
    """vLLM on the CPU, on SmolLM2 as `recipes/gguf_folder.py` writes it."""
    with running(
        "vllm", "vllm", "serve", SERVERS / "smol", "--served-model-name", "smol", "--host", "127.0.0.1",
        "--port", "PORT", "--enforce-eager", "--max-model-len", 512, "--dtype", "float32", "--max-num-seqs", 16,
        folder=folder, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1",
    ) as url:  # fmt: skip
        model = OpenAIModel(Deployment("vllm", (url,), "smol", limits=PATIENT))
        yield Live(model, "vllm:generation_tokens_total", "vllm:num_requests_running")


@pytest.fixture(scope="session")
def mlx(folder: Path) -> Iterator[OpenAIModel]:
    """mlx-lm's server, on the CPU; it tells nano's `<think>` apart as reasoning."""
    with running(
        "mlx", "mlx_lm.server", "--model", folder / "nano", "--host", "127.0.0.1", "--port", "PORT", folder=folder
    ) as url:
        yield OpenAIModel(Deployment("mlx", (url,), str(folder / "nano"), limits=PATIENT, template=TEMPLATE))


@pytest.fixture(scope="session")
def litellm(folder: Path, llama_url: str) -> Iterator[str]:
    """LiteLLM's proxy, with a key, before llama-cpp-python."""
    (folder / "litellm.yaml").write_text(
        "model_list:\n- model_name: front\n  litellm_params:\n    model: openai/nano\n"
        f"    api_base: {llama_url}\n    api_key: none\n"
        "litellm_settings:\n  telemetry: false\n  drop_params: false\n"
    )
    with running(
        "litellm", "litellm", "--config", folder / "litellm.yaml", "--host", "127.0.0.1", "--port", "PORT",
        folder=folder, LITELLM_MASTER_KEY="sk-front", LITELLM_LOCAL_MODEL_COST_MAP="True",
    ) as url:  # fmt: skip
        yield url
