"""The model file's own choice of threads and slots against a grid of both: tokens a second of draws of one prompt.

Each choice is measured in a process of its own, several times in turn, so that what else the machine does meets all of
them. Beside it: the same engine driven by a plain client at mull's own choice. Needs `xllamacpp` and a model file:
python bench/bench_gguf.py FILE.gguf [--draws 64] [--tokens 100] [--repeats 2] [--busy]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

from mull import Params, Prompt, Run
from mull.models.gguf import Gguf

PROMPT = "Tell a long story of a journey by sea."
ENDLESS = '{"ignore_eos": true}'
"""Every draw has all its tokens, so that each choice does the same work."""
GRID: list[dict[str, int]] = [{"threads": threads, "slots": slots} for threads in (1, 2) for slots in (8, 16, 32, 64)]


def ours(model: Gguf, n_draws: int, n_tokens: int) -> float:
    """Tokens a second through mull, after the model is loaded and was asked once."""

    async def timed() -> float:
        await model.prepare()
        run = Run(model, params=Params(max_tokens=n_tokens, extra=ENDLESS))
        await run.draw(Prompt.user("Hello."), 1)
        started = time.monotonic()
        draws = await run.draw(Prompt.user(PROMPT), n_draws)
        seconds = time.monotonic() - started
        assert all(draw.cost.output_tokens == n_tokens for draw in draws)
        return n_draws * n_tokens / seconds

    return asyncio.run(timed())


def plain(model: Gguf, n_draws: int, n_tokens: int) -> float:
    """The same from the same server by a client that only posts: a request for each slot's share of the draws."""
    url = model._start() + "/chat/completions"

    def post(n: int, seed: int) -> None:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": PROMPT}], "n": n, "seed": seed}
        body |= {"max_tokens": n_tokens, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "ignore_eos": True}
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert len(json.load(reply)["choices"]) == n

    post(1, 0)
    width = max(1, model.n_slots // 2)
    sizes = [min(width, n_draws - i) for i in range(0, n_draws, width)]
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(post, sizes, range(1, len(sizes) + 1)))
    return n_draws * n_tokens / (time.monotonic() - started)


def spin() -> None:
    while True:
        pass


@contextmanager
def beside(is_busy: bool) -> Iterator[None]:
    """One busy process beside the work, or none."""
    if not is_busy:
        yield
        return
    other = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    other.start()
    try:
        yield
    finally:
        other.kill()
        other.join()


def measured(file: str, how: str, choice: dict[str, int], options: argparse.Namespace) -> float:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, file, "--one", json.dumps({"how": how, **choice})]
    command += ["--draws", str(options.draws), "--tokens", str(options.tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--one")
    options = parser.parse_args()
    if options.file is None:
        print("no model file is given: not measured")
        return
    if options.one is not None:
        choice = json.loads(options.one)
        rate = {"mull": ours, "plain": plain}[choice.pop("how")]
        model = Gguf(options.file, context=512, **choice)
        print(rate(model, options.draws, options.tokens))
        return
    own: list[tuple[str, dict[str, int]]] = [("mull", {}), ("plain", {})]
    rates: dict[str, list[float]] = {}
    with beside(options.busy):
        for _ in range(options.repeats):
            for how, choice in [*own, *(("mull", choice) for choice in GRID)]:
                name = f"{how} {choice or 'own choice'}"
                rates.setdefault(name, []).append(measured(options.file, how, choice, options))
                print(f"{name}: {rates[name][-1]:.1f} tokens/s", flush=True)
    typical = {name: median(each) for name, each in rates.items()}
    chosen, client = (typical.pop(f"{how} own choice") for how in ("mull", "plain"))
    best = max(typical, key=lambda name: typical[name])
    print(f"own choice {chosen:.1f} tokens/s: {chosen / typical[best]:.2f} of the best of the grid ({best})")
    print(f"through mull {chosen / client:.2f} of a plain client of the same server ({client:.1f} tokens/s)")


if __name__ == "__main__":
    main()
