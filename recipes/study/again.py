"""The large study once more, from its published draws, at no cost: `python recipes/study/again.py FOLDER`.

Unpacks `docs/study/` into a bank in FOLDER, runs `mull study` on it, which writes its page there (extra `lab`), and
tells whether all figures are the published ones, to 1e-9. The word problems are where it is started, as `large.toml`
says; the open models are not needed. `--publish BANK FIGURES` writes `docs/study/` from a bank and the output of
`mull study --json`.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = ROOT / "docs" / "study"
FILES = ("draws.jsonl.gz", "verdicts.jsonl.gz")
FIGURES = ("rows", "findings", "holes")
MODEL = re.compile(r'"hf:([^",]+)[^"]*"')


def mull(*words: str | Path) -> str:
    """What a command prints."""
    return subprocess.check_output([sys.executable, "-m", "mull", *map(str, words)], text=True)


def again(folder: Path) -> None:
    bank = folder / "bank.db"
    folder.mkdir(parents=True, exist_ok=True)
    mull("bank", "import", *(DATA / name for name in FILES), "--bank", bank)
    plan = folder / "from-draws.toml"
    plan.write_text(MODEL.sub(r'"banked:\1"', (ROOT / "recipes" / "study" / "large.toml").read_text()))
    found = json.loads(mull("study", plan, "--out", folder, "--bank", bank, "--json"))
    known = json.loads((DATA / "figures.json").read_text())
    n_drawn = found["fresh"]["calls"]
    n_off = sum(not alike(found[name], known[name]) for name in FIGURES)
    print(f"{n_drawn} draws made; {'the same figures' if not n_off else 'other figures'}")
    sys.exit(1 if n_off or n_drawn else 0)


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=0, abs_tol=1e-9)
    return bool(a == b)


def publish(bank: Path, told: Path) -> None:
    """Draws go without log-probabilities, and under the plain names of their models, which `banked:` asks for."""
    folder = DATA / "exported"
    folder.mkdir(parents=True)
    mull("bank", "export", folder / "draws.jsonl", "--verdicts", folder / "verdicts.jsonl", "--bank", bank)
    with gzip.open(DATA / FILES[0], "wt", encoding="utf-8", compresslevel=9) as file:
        for line in (folder / "draws.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if not row["model"].startswith(("nano", "mini")):
                row["model"] = row["asked"]["model"] = row["model"].partition("@")[0]
            del row["problem_id"]  # a digest that has the former name in it
            for sample in row["samples"]:
                sample["logprobs"] = None
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    with gzip.open(DATA / FILES[1], "wb", compresslevel=9) as file:
        file.write((folder / "verdicts.jsonl").read_bytes())
    shutil.rmtree(folder)
    found = json.loads(told.read_text())
    (DATA / "figures.json").write_text(json.dumps({name: found[name] for name in FIGURES}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--publish":
        publish(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        again(Path(sys.argv[1]))
