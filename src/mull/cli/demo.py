"""`mull demo`: a real model's recorded draws, replayed at no cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mull.cli.options import JsonOption, SeedOption
from mull.cli.output import print_json, print_lines, say, stdout
from mull.errors import UnknownNameError
from mull.files.output import check_writable, written

DRAWN = Path(__file__).parents[1] / "drawn"
"""Where the recorded draws that come with mull are."""
DEMOS = {"real": "humaneval-qwen2.5-coder-0.5b.jsonl.gz", "gsm8k": "gsm8k-qwen2.5-coder-0.5b.jsonl.gz"}
KS = (4, 16)
VOTES = (2, 4, 8)


def demo(
    what: Annotated[
        str, typer.Argument(help="Of Qwen2.5-Coder-0.5B: real, programs for HumanEval; gsm8k, sums.")
    ] = "real",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write the draws as JSONL, for curves, fit, advise, report and recorded:FILE."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay a real model's recorded draws: what one draw, tests or votes, and more draws reach, at no cost.

    Needs no model, network or sandbox. Example: mull demo real
    """
    from dataclasses import asdict

    from mull.cli.progress import steady
    from mull.files.opening import opened
    from mull.files.records import read_recordings
    from mull.lab import replayed
    from mull.lab.sources import read_draws

    if what not in DEMOS:
        raise UnknownNameError("demo", what, DEMOS)
    check_writable(out, "the draws")
    path = DRAWN / DEMOS[what]
    with steady("replaying"):
        recordings = read_recordings(path)
        tested = [one for one in recordings if replayed.is_tested(one)]
        if tested:
            found = replayed.replays(tested, KS)
        else:
            (answered,) = read_draws(path).values()
            found = replayed.votes(answered, VOTES)
        ends = [one.interval(seed) for one in found]
        pairs = replayed.differences(found, seed)
        tests = replayed.public_tests(tested) if tested else None
        kinds = replayed.by_difficulty(tested, seed) if tested else []
    if out is not None:
        with written(out) as part, part.open("wb") as file, opened(path) as packed:
            file.write(packed.read())
    drawn, n_draws = recordings[0].sweep["drawn"], sum(one.n for one in recordings)
    if as_json:
        told = {
            "drawn": drawn,
            "problems": len(recordings),
            "draws": n_draws,
            "tested": len(tested),
            "rows": [
                {
                    "strategy": one.name,
                    "oracle": one.is_oracle,
                    "solved": one.accuracy,
                    "ci95": between,
                    "draws": float(one.draws.mean()),
                    "tokens": float(one.tokens.mean()),
                }
                for one, between in zip(found, ends, strict=True)
            ],
            "pairs": [asdict(pair) for pair in pairs],
            "tests": None if tests is None else asdict(tests),
            "difficulty": [asdict(kind) for kind in kinds],
        }
        print_json(told)
        return
    from mull.report import replayed as shown

    for line in shown.about(drawn, len(recordings), n_draws):
        say(line)
    stdout().print(shown.table(found, ends, is_tested=bool(tested)))
    print_lines(f"- {line}" for line in shown.lines(tests, pairs, kinds, len(recordings) - len(tested)))
