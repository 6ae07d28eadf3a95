"""What comparing in both orders makes of recorded verdicts of judges: prints the table of docs/tournaments.md.

The verdicts are those of LLMBar (419 pairs of replies, each judged in both orders by 65 settings of judges), read from
the folder named by `MULL_DATA`, or `../shared/data`. Run: python recipes/both_orders.py [EVALUATOR]
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mull.files.lines import read_jsonl
from mull.strategies.tournament import Match, result
from mull.types import Preference

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
VERDICTS = DATA / "llmbar" / "evaluator_verdicts.jsonl.gz"
ORDERS = {"swap = False": True, "swap = True": False}
"""Whether the first reply of a pair is shown first."""


class Agreement(NamedTuple):
    """One judge: accuracy in each order alone, and in both with a disagreement as a tie.

    `first` is the share of verdicts for the reply that was shown first. `decided` is the share of pairs on which the
    orders agree, `accuracy` that of the verdicts there, `split` that of all with ties by lot.
    """

    pairs: int
    orders: tuple[float, float]
    first: float
    decided: float
    accuracy: float
    split: float


def agreement(rows: Iterable[Mapping[str, Any]]) -> Agreement:
    """The agreement of one judge over pairs of replies. A missing verdict is right for nobody."""
    match = Match(1, 2, tuple(ORDERS.values()))
    n = n_first = n_verdicts = n_decided = n_right = 0
    right = [0, 0]
    for row in rows:
        winners = [row["verdicts"][order]["winner"] for order in ORDERS]
        shown = [
            Preference(None if winner not in ("1", "2") else float((winner == "1") == is_first))
            for winner, is_first in zip(winners, ORDERS.values(), strict=True)
        ]
        both = result(match, shown)
        n += 1
        n_first += sum(preference.first == 1.0 for preference in shown)
        n_verdicts += sum(preference.first is not None for preference in shown)
        right = [r + (winner == str(row["label"])) for r, winner in zip(right, winners, strict=True)]
        if both.wins_a != both.wins_b:
            n_decided += 1
            n_right += (both.wins_a > both.wins_b) == (row["label"] == 1)
    return Agreement(
        n,
        (right[0] / n, right[1] / n),
        n_first / n_verdicts,
        n_decided / n,
        n_right / n_decided,
        (n_right + (n - n_decided) / 2) / n,
    )


def agreements() -> dict[tuple[str, str], Agreement]:
    """All judges, by evaluator and prompt."""
    rows = defaultdict(list)
    for _, row in read_jsonl(VERDICTS):
        rows[row["evaluator"], row["mode"]].append(row)
    return {name: agreement(judged) for name, judged in rows.items()}


def main(evaluator: str | None = None) -> None:
    print(
        "| judge | right in one order | right in the other | for the first shown | orders agree "
        "| right where they agree | right with ties at random |"
    )
    print("|---|---|---|---|---|---|---|")
    for (name, mode), found in agreements().items():
        if evaluator in (None, name) and (evaluator or mode == "Vanilla"):
            cells = (*found.orders, found.first, found.decided, found.accuracy, found.split)
            print(f"| {name} {mode} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:2])
