"""Real servers that others wrote, serving nano's weights or SmolLM2's: `make test-servers` installs them.

They are too large for the plain run, where their tests are skipped. `MULL_SERVERS` is the folder of environments.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from gguf_files import gguf_file
from mull.models.gguf import Gguf
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.models.served.template import read_template
from mull.runtime import WEIGHTS
from mull.wire.endpoints import Limits
from real_servers import QUIET_VLLM, SERVERS, running
from server_contract import Live

NANO = WEIGHTS / "nano"
TEMPLATE = read_template(NANO / "tokenizer_config.json")
PATIENT = Limits(concurrency=4, timeout=300.0)
LLAMA_CPP = "llamacpp:tokens_predicted_total", "llamacpp:requests_processing"


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
def smol_url(folder: Path) -> str:
    """llama.cpp's own server on SmolLM2, in this process."""
    if not SERVERS.exists():
        pytest.skip(f"no {SERVERS}: make test-servers installs what stands before or beside it")
    return Gguf(str(gguf_file()), slots=4, context=512, threads=1)._start()


@pytest.fixture(scope="session")
def llama_cpp(smol_url: str) -> Live:
    model = OpenAIModel(Deployment("llama.cpp", (smol_url,), "smol", is_named=False, bank_as="llama.cpp"))
    return Live(model, "llama.cpp", *LLAMA_CPP)


@pytest.fixture(scope="session")
def vllm(folder: Path) -> Iterator[Live]:
    """vLLM on the CPU, on SmolLM2 as `recipes/gguf_folder.py` writes it."""
    with running(
        "vllm", "vllm", "serve", SERVERS / "smol", "--served-model-name", "smol", "--host", "127.0.0.1",
        "--port", "PORT", "--enforce-eager", "--max-model-len", 512, "--dtype", "float32", "--max-num-seqs", 16,
        folder=folder, **QUIET_VLLM,
    ) as url:  # fmt: skip
        model = OpenAIModel(Deployment("vllm", (url,), "smol", limits=PATIENT, bank_as="vllm"))
        yield Live(model, "vLLM", "vllm:generation_tokens_total", "vllm:num_requests_running")


@pytest.fixture(scope="session")
def transformers_smol(folder: Path) -> Iterator[Live]:
    """`transformers serve` on SmolLM2; it has no counters, but its tokenizer counts the tokens of a text."""
    with running(
        "transformers", "transformers", "serve", SERVERS / "smol", "--host", "127.0.0.1", "--port", "PORT",
        "--device", "cpu", folder=folder,
    ) as url:  # fmt: skip
        tokenizer = Tokenizer.from_file(str(SERVERS / "smol" / "tokenizer.json"))
        served = str(SERVERS / "smol")
        template = read_template(SERVERS / "smol" / "tokenizer_config.json")
        deployment = Deployment("transformers", (url,), served, limits=PATIENT, template=template, bank_as="smol-hf")
        yield Live(
            OpenAIModel(deployment),
            "`transformers serve`",
            n_tokens=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
        )


@pytest.fixture(scope="session")
def litellm_smol(folder: Path, smol_url: str) -> Iterator[Live]:
    """LiteLLM's proxy before llama.cpp, whose counters count what goes through it."""
    with behind_litellm(folder, smol_url, "smol", "front.yaml") as url:
        os.environ["FRONT_KEY"] = "sk-front"
        model = OpenAIModel(
            Deployment("litellm", (url,), "front", api_key_env="FRONT_KEY", limits=PATIENT, bank_as="smol-front")
        )
        yield Live(model, "LiteLLM", *LLAMA_CPP, counters=smol_url.removesuffix("/v1"))


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
    with behind_litellm(folder, llama_url, "nano", "litellm.yaml") as url:
        yield url


@contextmanager
def behind_litellm(folder: Path, url: str, model: str, name: str) -> Iterator[str]:
    (folder / name).write_text(
        f"model_list:\n- model_name: front\n  litellm_params:\n    model: openai/{model}\n"
        f"    api_base: {url}\n    api_key: none\n"
        "litellm_settings:\n  telemetry: false\n  drop_params: false\n"
    )
    with running(
        "litellm", "litellm", "--config", folder / name, "--host", "127.0.0.1", "--port", "PORT",
        folder=folder, LITELLM_MASTER_KEY="sk-front", LITELLM_LOCAL_MODEL_COST_MAP="True",
    ) as front:  # fmt: skip
        yield front
