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
LENGTH, N_REPLIES, N_VOTES = 2000, 200, 10_000
ENDS = {AnswerKind.MATH: "", AnswerKind.NUMBER: "\n\nThe answer is 42.", AnswerKind.CHOICE: "\n\nAnswer: B"}
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


def median(texts: Sequence[str], read: Callable[[str], object]) -> float:
    """The median time of reading one text for the first time, in microseconds."""
    forget()
    times = []
    for text in texts:
        start = time.process_time()
        read(text)
        times.append(time.process_time() - start)
    return 1e6 * statistics.median(times)


def main() -> None:
    texts = replies()
    for kind, end in ENDS.items():
        ended = texts if kind is AnswerKind.MATH else [text.replace("\\boxed", "") + end for text in texts]
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
        from math_verify import parse
    except ImportError:
        print("math-verify is not installed")
        return
    theirs, ours = median(texts, parse), median(texts, partial(extract, kind=AnswerKind.MATH))
    print(f"math-verify's parse {theirs:.1f} us: {theirs / ours:.0f} times as long as math here")


if __name__ == "__main__":
    main()
