"""`delethink` beside whole thoughts and thoughts cut to its context, on nano and nano-think at levels of `chain`.

Differences to whole thoughts are paired over problems, all levels of a model together.

    python bench/bench_delethink.py [PROBLEMS]
"""

from __future__ import annotations

import sys

from chains import difference, measured, table
from mull import spec

WHOLE = "force"
CHUNKED = "delethink:chunk=96,carry=48,head=32"
PLANS = {
    "nano": (
        (7, 11, 13),
        (
            WHOLE,
            CHUNKED,
            "delethink:chunk=64,carry=32,head=32",
            "delethink:chunk=96,carry=48,head=0",
            "force:at_most=128",
        ),
    ),
    "nano-think": ((6, 8, 10), (WHOLE, CHUNKED, "force:at_most=128")),
}


def main(n_problems: int) -> None:
    for name, (levels, plans) in PLANS.items():
        rows = measured(spec.build("model", spec.MODELS, name), levels, plans, n_problems)
        print(f"{name}, {', '.join(map(str, levels))} operations, {n_problems} problems a level")
        print("\n".join(table(rows)))
        print("\n".join(difference(rows, plan, WHOLE) for plan in plans[1:]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 80)
