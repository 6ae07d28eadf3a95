"""OmegaPRM against completing every prefix, at equal label tokens: `python recipes/omega_against_brute.py [FOLDER]`.

Both methods label solutions of the same training problems with as many completions a prefix. Each file is cut after so
many generated tokens; a cut is judged by the agreement of its labels with the exact truth, and by what a process reward
model learns from it: a classifier at the end of steps, so many steps of training for every cut, measured on held-out
problems. (The next-token read-out, nano-prm's, tells right from wrong before it has learned anything, and would show no
difference.) Labels, checkpoints and results stay in the folder: run it again to go on. Needs the extra `train`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoTokenizer

import prm_quality
from mull.runtime import WEIGHTS
from mull.tasks.synthetic import ChainTask
from mull.train import label, reward
from mull.train.data import LabelFile, read_labels
from mull.types import Cost
from mull.verifiers.trained import Trained

LEVELS = (6, 10)
N_PROBLEMS = 160
"""Of each level."""
N_COMPLETIONS = 4
SOLUTIONS = {"math-shepherd": 1, "omega": 2}
"""Solutions of a problem, or searches."""
BUDGETS = {"math-shepherd": (500_000, 1_000_000), "omega": (250_000, 500_000)}
"""Label tokens after which a file is cut."""
N_STEPS = 100
BATCH_TOKENS = 4096
RATE = 1e-3
BASE = str(WEIGHTS / "nano")
N_MEASURED, N_DRAWS = 40, 8
"""Held-out problems of each level, and nano's solutions of each."""


class Cut(NamedTuple):
    """The labels that so many tokens gave."""

    file: LabelFile
    tokens: int


def labelled(folder: Path, method: str, ops: int) -> Path:
    """The labels of one level by one method, made where they are not there."""
    path = folder / f"{method}-{ops}.jsonl"
    if not path.exists():
        command = [
            "train",
            "label",
            f"chain:ops={ops},split=train",
            "--method",
            method,
            "--problems",
            str(N_PROBLEMS),
            "--solutions",
            str(SOLUTIONS[method]),
            "-k",
            str(N_COMPLETIONS),
            "--bank",
            "none",
            "--out",
            str(path),
        ]
        subprocess.run([sys.executable, "-m", "mull", *command], check=True)
    return path


def problem_lines(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """The lines of several files of labels in turn, one of each level, with their heads."""
    files = [path.read_text().splitlines() for path in paths]
    for row in zip_longest(*(lines[1:] for lines in files)):
        yield from ((lines[0], line) for lines, line in zip(files, row, strict=True) if line is not None)


def cut(folder: Path, method: str, budget: int) -> Cut:
    """The labels of the first problems of all levels, as many as so many tokens pay for."""
    path, n_tokens = folder / f"{method}-cut-{budget}.jsonl", 0
    with path.open("w") as file:
        for head, line in problem_lines([labelled(folder, method, ops) for ops in LEVELS]):
            n_line = Cost(**json.loads(line)["cost"]).tokens or 0
            if n_tokens + n_line > budget:
                break
            if n_tokens == 0:
                file.write(head + "\n")
            n_tokens += n_line
            file.write(line + "\n")
    return Cut(read_labels(path), n_tokens)


def truth(file: LabelFile) -> label.Agreement:
    """How often labels agree with the exact truth of the steps."""
    tasks = {ops: ChainTask(ops, split="train") for ops in LEVELS}
    told = [
        tasks[int(one.problem.split("=")[1].split(",")[0])].check_steps(one.problem, one.steps) for one in file.labelled
    ]
    return label.agreement(file.labelled, told)


def trained(file: LabelFile, out: Path, n_steps: int = N_STEPS, **options: Any) -> Path:
    """A process reward model of these labels, as many steps whatever their number; trained where it is not there."""
    if not (out / "reward.json").exists():
        torch.set_num_threads(1)
        tokenizer = AutoTokenizer.from_pretrained(BASE)
        kept = [one for one in reward.balanced(file.labelled, 1.0, 0) if not reward.is_held_out(one.problem)]
        n_tokens = sum(len(reward.encode(tokenizer, one, "hard").ids) for one in kept)
        epochs = n_steps * BATCH_TOKENS / n_tokens
        chosen = reward.Options(epochs=epochs, batch_tokens=BATCH_TOKENS, patience=20, **options)
        reward.train_prm(BASE, file, out, chosen)
    return out


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/omega")
    folder.mkdir(parents=True, exist_ok=True)
    print(
        "| method | label tokens | solutions | labels | labels per million tokens "
        "| labels that are true | first error found | ROC area |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for method, budgets in BUDGETS.items():
        for budget in budgets:
            file, n_tokens = cut(folder, method, budget)
            agreed = truth(file)
            n_labels = sum(value is not None for one in file.labelled for value in one.hard)
            prm = trained(file, folder / f"{method}-{budget}", readout="class", rate=RATE)
            found = prm_quality.measure(LEVELS, 4242, N_MEASURED, N_DRAWS, Trained(str(prm)))
            every = prm_quality.together(found.values())
            print(
                f"| {method} | {n_tokens:,} | {len(file.labelled):,} | {n_labels:,} | {1e6 * n_labels / n_tokens:,.0f} "
                f"| {agreed.share or 0:.1%} | {agreed.first_error_share or 0:.1%} "
                f"| {prm_quality.area(every.scores, every.truths):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
