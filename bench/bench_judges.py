"""What asking a judge in both orders buys, on recorded verdicts of 65 judges over 419 pairs (LLMBar).

For each judge: accuracy in each order alone, and in both, where a verdict that turns with the order counts as half; how
often it turned; how much oftener it prefers the answer that is shown first. The verdicts go through the same function
that `mull.verifiers.judge.Pairwise` decides by.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from mull.types import Cost
from mull.verifiers.judge import Opinion, both_orders

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILE = DATA / "llmbar" / "evaluator_verdicts.jsonl.gz"


class Figures(NamedTuple):
    """Shares of the pairs; `decided` is the accuracy where both orders say the same."""

    first: float
    second: float
    both: float
    decided: float
    turned: float
    bias: float


def figures(rows: list[dict[str, Any]]) -> Figures:
    """The figures of one judge; a verdict that could not be read counts as half in its own order."""
    n_first = n_second = both = decided = n_decided = n_turned = 0.0
    shown_first: list[float] = []
    for row in rows:
        winners = [row["verdicts"][f"swap = {swap}"]["winner"] for swap in (False, True)]
        # The probability that output 1 is better, and that output 2, shown first in the other order, is.
        there, back = (None if w is None else float(w == str(i)) for i, w in enumerate(winners, 1))
        is_one = row["label"] == 1
        n_first += 0.5 if there is None else there == is_one
        n_second += 0.5 if back is None else (1 - back) == is_one
        shown_first += [p for p in (there, back) if p is not None]
        preference = both_orders(Opinion(there, Cost()), Opinion(back, Cost())).first
        both += 0.5 if preference is None else preference if is_one else 1 - preference
        n_turned += preference == 0.5
        if preference in (0.0, 1.0):
            n_decided += 1
            decided += (preference == 1.0) == is_one
    n = len(rows)
    bias = sum(shown_first) / len(shown_first) - 0.5
    return Figures(n_first / n, n_second / n, both / n, decided / max(n_decided, 1), n_turned / n, bias)


def main() -> None:
    if not FILE.is_file():
        print(f"skipped: there is no {FILE}")
        return
    judges: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in gzip.decompress(FILE.read_bytes()).splitlines():
        row = json.loads(line)
        judges[row["evaluator"], row["mode"]].append(row)
    found = {name: figures(rows) for name, rows in judges.items()}
    print(f"{'judge':<42}{'order 1':>9}{'order 2':>9}{'both':>8}{'where same':>12}{'turned':>8}{'first +':>9}")
    for (evaluator, mode), f in sorted(found.items(), key=lambda item: -item[1].both):
        shares = "".join(f"{100 * x:{w}.1f}" for x, w in zip(f, (9, 9, 8, 12, 8, 9), strict=True))
        print(f"{evaluator + ' ' + mode:<42}{shares}")
    n = len(found)
    gaps = [abs(f.first - f.second) for f in found.values()]
    print(f"\n{n} judges: the two orders differ by {100 * sum(gaps) / n:.1f} points on average, {100 * max(gaps):.1f}")
    mean_single = sum((f.first + f.second) / 2 for f in found.values()) / n
    mean = Figures(*(sum(column) / n for column in zip(*found.values(), strict=True)))
    print(
        f"at most. One order {100 * mean_single:.1f} % right, both {100 * mean.both:.1f} %; {100 * mean.turned:.1f} %"
        f" of verdicts turn with the order, and where they do not {100 * mean.decided:.1f} % are right."
    )


if __name__ == "__main__":
    main()
