"""The embedded runtime against transformers' `generate`, on the same weights, lengths and two threads, in one run.

Two loads: 64 draws of one prompt, and 32 prompts with 8 draws each, every draw exactly 100 tokens long: both sides
are kept from stopping at the end token (transformers by `min_new_tokens`, the runtime by a copy of the model
whose configuration names no end token). Transformers runs in float32 with `generate` at its best batch size. The
FLOP limit is 2 x parameters x tokens over the rate of a float32 matrix product measured here.

With `--processor` seconds are those of the processor, all threads together, and transformers has one thread, so that
none of its time is spent in waiting loops: on a machine with other work the ratios are what counts.
"""

import argparse
import asyncio
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, logging

from mull import Draw, Params, Prompt
from mull.models.embedded import EmbeddedModel
from mull.runtime import WEIGHTS, engine, session
from mull.tasks.synthetic import ChainTask
from mull.testing import FakePurse

N_TOKENS = 100
BATCHES = (16, 32, 64, 128, 256)
TARGETS = {"nano": 5.0, "mini": 2.0}
PROMPTS = [problem.prompt for problem in itertools.islice(ChainTask(4).problems(), 32)]
LOADS = {"64 draws of one prompt": (PROMPTS[:1], 64), "32 prompts x 8 draws": (PROMPTS, 8)}


clock = time.perf_counter
VARIANTS = ((2, 1, 64), (2, 1, 32), (2, 1, 128), (1, 2, 64), (1, 2, 128))
"""Workers, threads in each, rows of each; the first is the runtime's own."""


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def matmul_flops() -> float:
    """FLOP/s of a float32 product of two 1024 x 1024 matrices."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 2 * 1024**3 / best_seconds(lambda: a @ b, 20)


def endless(name: str, folder: Path) -> EmbeddedModel:
    """A copy of a built-in model that never ends a draw by itself."""
    copy = folder / name
    shutil.copytree(WEIGHTS / name, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"eos_token_id": -1}))
    return EmbeddedModel(str(copy))


async def draw_all(model: EmbeddedModel, prompts: list[Prompt], n_draws: int, first_seed: int) -> int:
    """Draws through the public path, all prompts at once; how many tokens that made."""

    async def one(prompt: Prompt) -> int:
        draws = [Draw(i, first_seed + i) for i in range(n_draws)]
        params = Params(max_tokens=N_TOKENS)
        return sum([s.cost.output_tokens or 0 async for s in model.sample(prompt, params, draws, FakePurse())])

    return sum(await asyncio.gather(*map(one, prompts)))


def mull_rate(model: EmbeddedModel, prompts: list[Prompt], n_draws: int) -> float:
    n_tokens = len(prompts) * n_draws * N_TOKENS
    seeds = itertools.count(0, 1000)

    def work() -> None:
        assert asyncio.run(draw_all(model, prompts, n_draws, next(seeds))) == n_tokens

    work()
    return n_tokens / best_seconds(work, 5)


def transformers_rate(reference: LlamaForCausalLM, rows: list[list[int]]) -> tuple[float, int]:
    """Tokens a second at the best batch size, and that batch size."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])

    def work(batch: int) -> None:
        for start in range(0, len(rows), batch):
            part = slice(start, start + batch)
            made = reference.generate(
                ids[part],
                attention_mask=mask[part],
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=N_TOKENS,
                min_new_tokens=N_TOKENS,
                pad_token_id=0,
            )
            assert made.shape[1] == width + N_TOKENS

    rates = {}
    for batch in BATCHES:
        if batch <= len(rows):
            rates[batch] = len(rows) * N_TOKENS / best_seconds(lambda batch=batch: work(batch), 2)  # type: ignore[misc]
    best = max(rates, key=lambda batch: rates[batch])
    return rates[best], best


def variants(name: str) -> None:
    """The same loads on other shares of work between workers, threads and rows."""
    own = engine.N_WORKERS, session.N_THREADS, engine.ROWS
    for workers, threads, rows in VARIANTS:
        engine.N_WORKERS, session.N_THREADS, engine.ROWS = workers, threads, rows
        with tempfile.TemporaryDirectory() as folder:
            model = endless(name, Path(folder))
            rates = ", ".join(f"{mull_rate(model, *load):,.0f} tokens/s for {what}" for what, load in LOADS.items())
        print(f"{name}, {workers} workers of {threads} threads and {rows} rows: {rates}")
    engine.N_WORKERS, session.N_THREADS, engine.ROWS = own


def main() -> None:
    global clock
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(TARGETS), help="built-in models")
    parser.add_argument("--processor", action="store_true", help="seconds of the processor")
    given = parser.parse_args()
    n_threads = 1 if given.processor else 2
    clock = time.process_time if given.processor else time.perf_counter
    torch.set_num_threads(n_threads)
    logging.set_verbosity_error()
    limit = matmul_flops()
    print(f"matrix product: {limit / 1e9:.0f} GFLOP/s, threads: {n_threads}")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names:
            target = TARGETS[name]
            model = endless(name, Path(folder))
            reference = LlamaForCausalLM.from_pretrained(WEIGHTS / name, dtype=torch.float32).eval()
            n_parameters = sum(p.numel() for p in reference.parameters())
            for load, (prompts, n_draws) in LOADS.items():
                rows = [model._ids(prompt) for prompt in prompts for _ in range(n_draws)]
                theirs, batch = transformers_rate(reference, rows)
                ours = mull_rate(model, prompts, n_draws)
                print(
                    f"{name} ({n_parameters:,} parameters), {load}: {ours:,.0f} tokens/s, "
                    f"{ours / theirs:.2f} times transformers ({theirs:,.0f} at batch {batch}; target {target:.0f}), "
                    f"{2 * n_parameters * ours / limit:.1%} of the FLOP limit "
                    f"({2 * n_parameters * theirs / limit:.1%})",
                    flush=True,
                )
    if not given.processor:
        variants("nano")


if __name__ == "__main__":
    main()
