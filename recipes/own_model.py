"""Reinforcement of a model of one's own: `python recipes/own_model.py FOLDER`.

A folder in the format of transformers, such as `recipes/gguf_folder.py` makes, is trained with adapters on sums of a
file, and measured on other sums before and after. Run it again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from pathlib import Path

import learned
from learned import ROOT

NUMBERS = range(2, 21)
N_HELD_OUT = 61
"""Of the 361 sums of two of the numbers: those that a model of 135 million parameters solves now and then."""


def sums(folder: Path) -> tuple[Path, Path]:
    """The files of sums to train on and of others to measure on."""
    pairs = list(itertools.product(NUMBERS, NUMBERS))
    random.Random(0).shuffle(pairs)
    files = folder / "sums.jsonl", folder / "sums-held-out.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    for path, part in zip(files, (pairs[N_HELD_OUT:], pairs[:N_HELD_OUT]), strict=True):
        rows = [{"id": f"{a}+{b}", "prompt": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in part]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description="Reinforcement of a model of one's own.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=60, help="the most of the training, and of each measurement")
    parser.add_argument("--problems", type=int, default=N_HELD_OUT)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="of the draws")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "own-model")
    parser.add_argument("--quick", action="store_true", help="a tiny size, in a folder of its own")
    options = parser.parse_args()
    out, size = options.out, ("--groups", 8, "--group", 8, "--max-tokens", 48)
    if options.quick:
        out, size = out.with_name(f"{out.name}-quick"), ("--groups", 2, "--group", 4, "--max-tokens", 24)
        options.steps, options.problems, options.draws = 2, 4, 2
    trained_on, held_out = sums(out)
    form = f",dtype={options.dtype},context=512"
    rows = {}
    for name, folder in {"before": options.folder, "after": out / "run"}.items():
        if name == "after" and not (folder / "model.safetensors").exists():
            learned.mull(
                "train", "grpo", f"file:{trained_on}", "--base", f"hf:{options.folder}{form}", "--out", folder, *size,
                "--format", 0.1, "--steps", options.steps, "--minutes", options.minutes, "--every", 5,
                "--threads", options.threads, threads=options.threads,
            )  # fmt: skip
        rows[name] = learned.counted(
            out / f"draws-{name}.jsonl", f"hf:{folder}{form}", [f"file:{held_out}"], options.problems, options.draws,
            minutes=options.minutes, max_tokens=48,
        )  # fmt: skip
    old, new = learned.both(rows["before"], rows["after"], f"file:{held_out}")
    print(f"held-out sums: {learned.share(old.accuracy)} % -> {learned.share(new.accuracy)} %, ", end="")
    print(f"{learned.gain(new.accuracy, old.accuracy)} points over {len(old.problems)} problems")


if __name__ == "__main__":
    main()
