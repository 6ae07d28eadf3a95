"""Reading answers beside math-verify: the time of one reply, how it grows with its length, and a vote over 10,000.

Run: python bench/bench_answers.py. Replies are those of MATH-500 solutions from the folder named by `MULL_DATA`, or
`../shared/data`, filled up to 2,000 characters; without that folder, solutions made here. Times are of this process's
processor, so that other work on the machine does not count; math-verify's are too.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mull import AnswerKind, Finish, Problem, Prompt, Sample
from mull.equal.reader import forget
from mull.files.lines import read_jsonl
from mull.replies.answers import classes_now, extract

DATA = Path(os.environ.get("MULL_DATA", Path(__file__).parents[2] / "shared" / "data"))
LENGTH, N_REPLIES, N_VOTES, N_ROUNDS = 2000, 200, 10_000, 3
ENDS = {AnswerKind.MATH: "", AnswerKind.NUMBER: "\n\nThe answer is 42.", AnswerKind.CHOICE: "\n\nAnswer: B"}


def replies() -> list[str]:
    """Replies of 2,000 characters that end in a box."""
    path = DATA / "math" / "math500_test.jsonl"
    if path.exists():
        solutions = [str(row["solution"]) for _, row in read_jsonl(path)]
    else:
        solutions = [rf"Since ${i} + {i} = {2 * i}$, the sum is \boxed{{{2 * i}}}." for i in range(N_REPLIES)]
    rng = random.Random(0)
    filled = []
    for last in solutions[:N_REPLIES]:
        before = " ".join(rng.choices(solutions, k=12)).replace("\\boxed", "")
        filled.append((before + "\n\n" + last)[-LENGTH:])
    return filled


def times(texts: Sequence[str], read: Callable[[str], object]) -> list[float]:
    """The time of reading each text for the first time, in microseconds."""
    forget()
    found = []
    for text in texts:
        start = time.process_time()
        read(text)
        found.append(1e6 * (time.process_time() - start))
    return found


def median(texts: Sequence[str], read: Callable[[str], object]) -> float:
    """The least median of `times` of several rounds."""
    return min(statistics.median(times(texts, read)) for _ in range(N_ROUNDS))


def beside(name: str, texts: Sequence[str], read: Callable[[str], object]) -> None:
    """Prints how many times as long math-verify takes, at the median and for all texts together: the best of rounds.

    Numbers and letters cost it no more than its search; LaTeX goes to its parser, which the mean tells of.
    """
    from math_verify import parse
    from math_verify.parser import parse_expr_cached, parse_latex_cached

    theirs, ours = [], []
    for _ in range(N_ROUNDS):
        parse_expr_cached.cache_clear()
        parse_latex_cached.cache_clear()
        theirs.append(times(texts, parse))
        ours.append(times(texts, read))
    for what, of in (("median", statistics.median), ("mean", statistics.mean)):
        a, b = min(map(of, theirs)), min(map(of, ours))
        print(f"{name:8} {what:6} of math-verify's parse {a:8.1f} us: {a / b:5.0f} times as long as {b:6.1f} us")


def main() -> None:
    texts = replies()
    ended_by_kind = {
        kind: [text.replace("\\boxed", "") + end if end else text for text in texts] for kind, end in ENDS.items()
    }
    for kind, ended in ended_by_kind.items():
        print(f"{kind.value:8} {median(ended, partial(extract, kind=kind)):8.1f} us a reply of {LENGTH} characters")
    for length in (10_000, 200_000):
        long = (texts[0] * (length // LENGTH + 1))[:length]
        print(f"{length:8} characters {median([long] * 9, partial(extract, kind=AnswerKind.NUMBER)) / 1000:8.2f} ms")
    problem = Problem("p", Prompt.user("q"), AnswerKind.MATH)
    ends = [f"\n\n\\boxed{{{i % 50}}}" for i in range(N_VOTES)]
    drawn = [Sample(problem.prompt, texts[i % len(texts)] + end, Finish.STOP) for i, end in enumerate(ends)]
    start = time.process_time()
    n_classes = len(set(classes_now(problem, drawn)))
    spent = time.process_time() - start
    print(f"a vote over {N_VOTES:,} replies of {LENGTH:,} characters, {n_classes} answers: {spent:.2f} s")
    try:
        for kind, ended in ended_by_kind.items():
            beside(kind.value, ended, partial(extract, kind=kind))
    except ImportError:
        print("math-verify is not installed")


if __name__ == "__main__":
    main()
