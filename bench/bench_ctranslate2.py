"""The embedded runtime against ctranslate2 on the same weights, lengths and loads (`pip install ctranslate2`)."""

import importlib
import importlib.util
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench_embedded import LOADS, N_TOKENS, best_seconds, endless, mull_rate
from mull.runtime import WEIGHTS

BATCHES = (32, 64, 128, 256)
THREADS = ((2, 1), (1, 2))
"""Workers, and threads in each."""


def their_rate(module: Any, folder: str, rows: list[list[str]]) -> tuple[float, str]:
    """Tokens a second at their best share of threads and batch size, and what that is."""
    rates = {}
    for workers, threads in THREADS:
        generator = module.Generator(folder, inter_threads=workers, intra_threads=threads)

        def work(batch: int, generator: Any = generator) -> None:
            made = generator.generate_batch(
                rows,
                sampling_topk=0,
                sampling_temperature=1.0,
                include_prompt_in_result=False,
                max_length=N_TOKENS,
                min_length=N_TOKENS,
                max_batch_size=batch,
            )
            assert sum(len(row.sequences_ids[0]) for row in made) == len(rows) * N_TOKENS

        for batch in BATCHES:
            seconds = best_seconds(partial(work, batch), 2)
            rates[len(rows) * N_TOKENS / seconds] = f"{workers} workers of {threads} threads at batch {batch}"
    return max(rates), rates[max(rates)]


def main() -> None:
    if importlib.util.find_spec("ctranslate2") is None:
        print("ctranslate2 is not installed: not measured")
        return
    module = importlib.import_module("ctranslate2")
    converters = importlib.import_module("ctranslate2.converters")
    with tempfile.TemporaryDirectory() as folder:
        converters.TransformersConverter(str(WEIGHTS / "nano")).convert(f"{folder}/theirs")
        model = endless("nano", Path(folder))
        shown = model._model.tokens.shown
        for load, (prompts, n_draws) in LOADS.items():
            rows = [[shown(i) for i in model._ids(prompt)] for prompt in prompts for _ in range(n_draws)]
            theirs, how = their_rate(module, f"{folder}/theirs", rows)
            ours = mull_rate(model, prompts, n_draws)
            print(
                f"nano, {load}: {ours:,.0f} tokens/s, {ours / theirs:.2f} times ctranslate2 ({theirs:,.0f} with {how})"
            )


if __name__ == "__main__":
    main()
