"""mull's own engine on a real open model against llama.cpp and transformers: 64 draws of 100 tokens of one prompt.

`python bench/bench_real_engine.py FILE.gguf FOLDER`, the same model as a GGUF file and as a folder of transformers
(`recipes/gguf_folder.py` writes it); needs the extras `hf`, `gguf` and `train`. llama.cpp runs at each number of slots
and threads of a grid and transformers at each batch and type; the best of each counts. Rates are of tokens made:
llama.cpp's draws may end before their 100 tokens, the others' do not.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, logging

from mull import Draw, Params, Prompt
from mull.models.gguf import Gguf
from mull.models.hf import Hf
from mull.testing import FakePurse
from mull.types import Model

N_DRAWS, N_TOKENS = 64, 100
PROMPT = Prompt.user("Tell me a story about a fox and a lighthouse.")
SLOTS, THREADS = (8, 16, 32, 64), (1, 2)
BATCHES = (32, 64)


def rate(work: Callable[[], int], repeats: int = 2) -> float:
    """Tokens a second, the best of some runs after one that warms up."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        found.append(work() / (time.perf_counter() - start))
    return max(found)


def through(model: Model, params: Params) -> Callable[[], int]:
    """Draws through the public path; how many tokens that made."""
    first = iter(range(0, 10**9, 1000))

    async def drawn() -> int:
        seed = next(first)
        draws = [Draw(i, seed + i) for i in range(N_DRAWS)]
        return sum([s.cost.output_tokens or 0 async for s in model.sample(PROMPT, params, draws, FakePurse())])

    return lambda: asyncio.run(drawn())


def endless(folder: Path, copy: Path) -> Path:
    """The folder under another name and without end tokens."""
    copy.mkdir()
    for path in folder.iterdir():
        if path.name not in ("config.json", "generation_config.json"):
            (copy / path.name).symlink_to(path.resolve())
    told = json.loads((folder / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(told | {"eos_token_id": None}))
    return copy


def generated(folder: Path, dtype: torch.dtype, batch: int) -> Callable[[], int]:
    """transformers' `generate`, the prompt repeated in batches."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT.question}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids.expand(batch, -1)

    def work() -> int:
        for _ in range(N_DRAWS // batch):
            model.generate(
                ids, do_sample=True, top_k=0, max_new_tokens=N_TOKENS, min_new_tokens=N_TOKENS, pad_token_id=0
            )
        return N_DRAWS * N_TOKENS

    return work


def main(file: str, folder: Path) -> None:
    logging.set_verbosity_error()
    ours, theirs, llama = {}, {}, {}
    params = Params(max_tokens=N_TOKENS)
    with tempfile.TemporaryDirectory() as place:
        copy = endless(folder, Path(place, folder.name))
        for dtype in ("float32", "bfloat16"):
            model = Hf(str(copy), dtype=dtype, context=512)
            ours[dtype] = rate(through(model, params))
            print(f"hf, {dtype}: {ours[dtype]:,.0f} tokens/s", flush=True)
    for slots in SLOTS:
        for threads in THREADS:
            one = Gguf(file, slots=slots, threads=threads, context=512)
            llama[slots, threads] = rate(through(one, params), 1)
            print(f"llama.cpp, {slots} slots, {threads} threads: {llama[slots, threads]:,.0f} tokens/s", flush=True)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for kind in (torch.float32, torch.bfloat16):
        for batch in BATCHES:
            theirs[kind, batch] = rate(generated(folder, kind, batch), 1)
            print(f"transformers, {kind}, batch {batch}: {theirs[kind, batch]:,.0f} tokens/s", flush=True)
    for dtype, found in ours.items():
        print(
            f"hf, {dtype}: {found / max(llama.values()):.2f} times llama.cpp at its best, "
            f"{found / max(theirs.values()):.2f} times transformers at its best (1.5 times llama.cpp is wanted)"
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
