"""Word problems at four levels for the large study: `python recipes/study/words.py gsm8k/test.jsonl words`.

Sorts the problems of a file of GSM8K by the number of calculations in their solutions (`<<16-3=13>>`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEVELS = {"1-2": range(1, 3), "3": range(3, 4), "4-5": range(4, 6), "6-9": range(6, 10)}


def main(source: Path, folder: Path) -> None:
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    folder.mkdir(parents=True, exist_ok=True)
    for name, steps in LEVELS.items():
        found = [json.dumps(row) for row in rows if row["answer"].count("<<") in steps]
        path = folder / f"steps-{name}.jsonl"
        path.write_text("\n".join(found) + "\n", encoding="utf-8")
        print(f"{path}: {len(found)} problems")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
