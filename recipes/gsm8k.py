"""Draws of two real models on GSM8K: kept as small files, and measured for docs/real-models.md.

    python recipes/gsm8k.py keep NAME SWEEP.jsonl ...
    python recipes/gsm8k.py show

`keep` takes what `mull sweep --out` wrote for one of the models (`qwen` or `smollm2`) into `src/mull/drawn`: the draws
of the first sweep, and what the strategies of all of them came to on the problems that every sweep has. `show` writes
the tables into the page: each strategy beside one draw and beside a vote at equal tokens, and who gains by difficulty.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import equal_tokens
import real_models
from learned import gain, share, table
from mull.cli.demo import DRAWN
from mull.files.recording import Recording
from mull.lab import replayed
from mull.lab.metrics import by_problem
from mull.lab.sources import read_draws
from mull.report.replayed import KINDS
from mull.report.words import percent

BEGIN, END = "<!-- GSM8K -->", "<!-- end of GSM8K -->"
N_PROBLEMS = 100
MODELS = {"qwen": "Qwen2.5-Coder-0.5B-Instruct", "smollm2": "SmolLM2-135M-Instruct"}
FILES = {name: DRAWN / f"gsm8k-{model.lower().removesuffix('-instruct')}.jsonl.gz" for name, model in MODELS.items()}
WEIGHTS = {"qwen": "Q4_K_M", "smollm2": "Q4_1"}
ALL = "majority:n=8"
"""The strategy that takes all draws of a problem."""
FIELDS = ("text", "final_answer", "correct", "output_tokens", "logprob")
Row = dict[str, Any]


def rows_of(path: Path) -> tuple[Row, dict[str, Row]]:
    """What a sweep says of itself, and its problems by name."""
    head, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return head["sweep"], {row["problem_id"]: row for row in rows}


def keep(name: str, paths: Sequence[Path]) -> None:
    heads, tables = zip(*map(rows_of, paths), strict=True)
    ids = [id for id in tables[0] if all(id in table for table in tables)]
    model = MODELS[name]
    lines = []
    for id in sorted(ids, key=lambda id: int(id.rpartition(" ")[2])):
        row = tables[0][id]
        outcomes = {text: _bare(one) for table in tables for text, one in table[id]["outcomes"].items()}
        samples = [{field: sample[field] for field in FIELDS} for sample in row["samples"]]
        lines.append(
            {"problem_id": id, "prompt": row["prompt"], "model": model, "samples": samples} | {"outcomes": outcomes}
        )
    about = {key: heads[0][key] for key in ("mull", "python", "numpy", "kinds", "params")}
    drawn = {
        "title": "GSM8K", "problems": N_PROBLEMS, "model": model, "date": "2026-11-30", "hours": None,
        "verdicts": "verdict by the gold answer is recorded",
        "weights": f"weights of the file quantised to {WEIGHTS[name]}, computed in bfloat16",
        "on": "by mull's own engine on one core of a processor",
        "temperature": about["params"]["temperature"], "max_tokens": about["params"]["max_tokens"],
        "tokens": sum(sample["output_tokens"] for line in lines for sample in line["samples"]),
        "flops": sum(line["outcomes"][ALL]["cost"]["flops"] for line in lines),
    }  # fmt: skip
    head = {"command": "mull sweep", **about, "task": "gsm8k", "models": [model], "strategies": list(outcomes),
            "verifier": None, "data_date": "2021-10-27", "drawn": drawn}  # fmt: skip
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ({"sweep": head}, *lines))
    FILES[name].write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(lines)} problems, {drawn['tokens']:,} tokens, {FILES[name].stat().st_size:,} bytes in {FILES[name]}")


def _bare(outcome: Row) -> Row:
    """What a strategy came to, without what is no figure of it."""
    return {key: value for key, value in outcome.items() if key != "notes"}


def show() -> None:
    told = "\n".join(line for name in FILES if FILES[name].exists() for line in section(name))
    real_models.put(real_models.DOCS / "real-models.md", told, BEGIN, END)


def section(name: str) -> Iterator[str]:
    """The tables of a model."""
    (recordings,) = read_draws(FILES[name]).values()
    rows = equal_tokens.of_sweep(FILES[name])
    n = min(one.n for one in recordings)
    single = rows["single"]
    yield f"**{MODELS[name]}**, {len(recordings)} problems, {n} draws of each:\n"
    cells = []
    for text, row in sorted(rows.items(), key=lambda one: one[1].tokens):
        is_vote = row is single or equal_tokens.is_vote(text)
        vote = "" if is_vote else gain(row.right, equal_tokens.vote_at(rows, row.tokens))
        more = "" if row is single else gain(row.right, single.right)
        cells.append([f"`{text}`", share(row.right), f"{row.tokens:,.0f}", more, vote])
    covered = by_problem(recordings, [n])["coverage"][:, 0]
    cells.append([f"coverage of {n} (oracle)", share(covered), f"{n * single.tokens:,.0f}", "", ""])
    yield from table(
        ["strategy", "right, % [95 %]", "tokens", "against one draw, points", "against a vote at equal tokens"], cells
    )
    yield ""
    half = f"vote of {n // 2}, %"
    head = ["by one half of the draws", "problems", "one draw, %", half, "gain, points", "coverage, %"]
    yield from table(head, list(by_difficulty(recordings)))
    yield ""


def by_difficulty(recordings: Sequence[Recording]) -> Iterator[list[str]]:
    """Problems told apart by the even-numbered draws, and measured on the odd-numbered ones."""
    for kind, part in replayed.other_halves(recordings).items():
        if part:
            values = by_problem(part, [1, min(one.n for one in part)])
            one, vote = values["majority"].T
            shares = [percent(float(each.mean())) for each in (one, vote, values["coverage"][:, 1])]
            yield [f"{kind}: {KINDS[kind]} right", str(len(part)), *shares[:2], gain(vote, one), shares[2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping = verbs.add_parser("keep")
    keeping.add_argument("name", choices=MODELS)
    keeping.add_argument("sweeps", type=Path, nargs="+")
    verbs.add_parser("show")
    options = parser.parse_args()
    if options.verb == "keep":
        keep(options.name, options.sweeps)
    else:
        show()


if __name__ == "__main__":
    main()
