"""Mathematical equality beside math-verify: verdicts on our own pairs, decisions and time on the answers of MATH-500.

Run: python bench/bench_equal.py. The answers of MATH-500 are read from the folder named by `MULL_DATA`, or
`../shared/data`, and left out where there is none. math-verify runs in this process, with its own time limits. Times
are of this process's processor: where mull asks a worker, its work is not counted.

With `--triples FOLDER`, the folder of the tests in math-verify's source distribution, what they expect of gold and
reply is compared with what mull says: replies are read as any reply is, and the tests themselves are not run.
With `--quick`, mull alone is measured.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mull.equal import canonical, classes_now, compare_now
from mull.equal.reader import forget
from mull.equal.votes import _quick
from mull.files.lines import read_jsonl
from mull.replies.answers import extract
from mull.types import AnswerKind

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MULL_DATA", ROOT.parent / "shared" / "data"))
Pair = tuple[str, str, bool]


def own_pairs(name: str = "equal_pairs.tsv") -> list[Pair]:
    """The pairs of the tests, with what is true of each."""
    lines = (ROOT / "tests" / "data" / name).read_text().splitlines()[1:]
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


def triples(folder: Path) -> list[Pair]:
    """Gold, reply and verdict of the tests that are parametrised by such, each text as the answer that it gives."""
    found: list[Pair] = []
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize"):
                continue
            for row in getattr(node.args[1], "elts", []):
                if isinstance(row, ast.Tuple) and len(row.elts) == 3:
                    values = [x.value if isinstance(x, ast.Constant) else None for x in row.elts]
                    gold, reply, verdict = values
                    if isinstance(gold, str) and isinstance(reply, str) and verdict in (0, 1):
                        found.append((answer_in(gold), answer_in(reply), bool(verdict)))
    return found


def answer_in(text: str) -> str:
    return extract(text, AnswerKind.MATH) or text


def vote_seconds(n: int = 10_000) -> float:
    """The processor time of a vote over many samples of three thousand answers in four spellings each."""
    rng = random.Random(1)
    forms = (r"\frac{{{0}}}{{7}}", "{0}/7", r"{0} \cdot 7^{{-1}}", r"x = \frac{{{0}}}{{7}}")
    texts = [forms[i % 4].format(rng.randrange(3000)) for i in range(n)]
    forget()
    start = time.process_time()
    classes_now([canonical(text) for text in texts])
    return time.process_time() - start


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
        start = time.process_time()
        verdict = decide(a, b)
        seconds.append(time.process_time() - start)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triples", type=Path)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    compare_now(r"\sum_{k=1}^{3} k", "6")  # a worker is up before anything is timed
    if not chosen.quick:
        math_verify("1", "1")
    groups = [
        ("our own pairs", own_pairs()),
        ("answers as they are written", own_pairs("equal_kinds.tsv")),
        ("MATH-500 answers", math_pairs()),
    ]
    if chosen.triples:
        groups.append(("math-verify's own tests", triples(chosen.triples)))
    for title, pairs in groups:
        if not pairs:
            print(f"{title}: no data in {DATA}")
            continue
        print(f"{title}: {len(pairs)} pairs")
        here = sum(_quick(a, b) is not None for a, b, _ in pairs)
        print(f"decided without math-verify: {100 * here / len(pairs):.1f} %")
        median = report("mull", pairs, ours)
        if not chosen.quick:
            print(f"median time of math-verify over mull's: {report('math-verify', pairs, math_verify) / median:.0f}")
    print(f"a vote over 10,000 samples of 6,797 spellings: {vote_seconds():.2f} s")


if __name__ == "__main__":
    main()
