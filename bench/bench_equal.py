"""Mathematical equality beside math-verify: verdicts on our own pairs, decisions and time on the answers of MATH-500.

Run: python bench/bench_equal.py. The answers of MATH-500 are read from the folder named by `MULL_DATA`, or
`../shared/data`, and left out where there is none. math-verify runs in this process, with its own time limits.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mull.equal import compare_now
from mull.equal.reader import forget
from mull.equal.votes import _quick
from mull.files.lines import read_jsonl

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MULL_DATA", ROOT.parent / "shared" / "data"))
Pair = tuple[str, str, bool]


def own_pairs() -> list[Pair]:
    """The pairs of the tests, with what is true of each."""
    lines = (ROOT / "tests" / "data" / "equal_pairs.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [(a, b, verdict == "equal") for _, verdict, a, b in rows]


def math_pairs() -> list[Pair]:
    """Every answer of MATH-500 with itself, with its digits changed, and with its sign turned."""
    path = DATA / "math" / "math500_test.jsonl"
    if not path.exists():
        return []
    pairs: list[Pair] = []
    for _, row in read_jsonl(path):
        gold = row["answer"]
        changed = re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), gold, count=1)
        pairs += [(gold, gold, True), (gold, f"{gold} + 1" if changed == gold else changed, False)]
        if re.fullmatch(r"[\d\\][^,=<>%pm]*", gold) and gold != "0":
            pairs.append((gold, f"-{gold}", False))
    return pairs


def math_verify(a: str, b: str) -> bool:
    """What math-verify says of two answers."""
    from math_verify import parse, verify

    return bool(verify(parse(f"${a}$"), parse(f"${b}$")))


def ours(a: str, b: str) -> bool | None:
    return compare_now(a, b).is_equal


def report(name: str, pairs: Sequence[Pair], decide: Callable[[str, str], bool | None]) -> float:
    """Prints errors and times; returns the median in microseconds."""
    accepted = refused = undecided = 0
    seconds = []
    for a, b, is_equal in pairs:
        forget()  # nothing is remembered: every answer is read anew
        start = time.perf_counter()
        verdict = decide(a, b)
        seconds.append(time.perf_counter() - start)
        accepted += verdict is True and not is_equal
        refused += verdict is not True and is_equal
        undecided += verdict is None
    n_equal = sum(is_equal for *_, is_equal in pairs)
    median = 1e6 * statistics.median(seconds)
    print(
        f"{name:12}  wrongly accepted {accepted:3} of {len(pairs) - n_equal}, "
        f"wrongly refused {refused:3} of {n_equal}, "
        f"undecided {undecided:3}; median {median:9.1f} us, mean {1e6 * statistics.mean(seconds):9.1f} us, "
        f"slowest {max(seconds):.2f} s"
    )
    return median


def main() -> None:
    compare_now(r"\sum_{k=1}^{3} k", "6")  # a worker is up before anything is timed
    math_verify("1", "1")
    for title, pairs in (("our own pairs", own_pairs()), ("MATH-500 answers", math_pairs())):
        if not pairs:
            print(f"{title}: no data in {DATA}")
            continue
        print(f"{title}: {len(pairs)} pairs")
        here = sum(_quick(a, b) is not None for a, b, _ in pairs)
        print(f"decided without math-verify: {100 * here / len(pairs):.1f} %")
        ratio = report("math-verify", pairs, math_verify) / report("mull", pairs, ours)
        print(f"median time of math-verify over mull's: {ratio:.0f}")


if __name__ == "__main__":
    main()
