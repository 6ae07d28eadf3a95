"""One table over all strategies at equal tokens: `python recipes/equal_tokens.py [NAME=SWEEP.jsonl ...]`.

The lines are strategies on sets of problems: levels of the built-in model (rows that
`recipes/search_at_equal_compute.py` measures), recorded programs for HumanEval (of `mull demo real`, replayed here) and
any sweeps that are named, such as

    mull sweep file:gsm8k.jsonl -m banked:MODEL --bank gsm8k.db -s single -s majority:n=8 -s ... --out gsm8k.jsonl

Each strategy is beside a vote at the same tokens: of the votes that take a little less and a little more one is taken
by lot, so that the mean of the tokens is equal. Differences are paired over problems, and p-values are adjusted for all
lines (Holm). Replays are kept in `docs/equal-rows.jsonl`; `--replay HumanEval.jsonl` makes them anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import real_models
import search_at_equal_compute as built_in
from mull import spec
from mull.bank import MemoryBank
from mull.files.records import read_recordings
from mull.lab import grid
from mull.lab.averaged import averaged
from mull.lab.metrics import by_problem
from mull.lab.sources import read_draws
from mull.report.words import percent, points
from mull.stats.intervals import SHARE, bootstrap
from mull.stats.paired import Paired, holm, paired
from mull.types import Calls, Cost, Problem, Sample, Score
from mull.verifiers.scores import ScoreJudge

DOCS = Path(__file__).parents[1] / "docs"
ROWS = DOCS / "equal-rows.jsonl"
PAGE = DOCS / "levels" / "equal-tokens.md"
LEVELS = (7, 11, 13)
SEED = 0
"""The seed of the built-in rows that all strategies have."""
MOST = "majority:n=16"
"""What takes more tokens than this vote is not compared."""
BASE = "majority:n="
ORDERS = 2
REPLAYED = (
    "single",
    *(f"majority:n={n}" for n in (2, 3, 4, 6, 8, 12, 16)),
    "best:n=4",
    "best:n=8",
    "best:n=16",
    "weighted:n=16",
    "best-of-majority:n=16",
    "majority-of-bests:n=16",
    "until-pass:n=4,wave=1",
    "until-pass:n=16,wave=1",
    "best-stop:n=16,wave=1",
    "adaptive:n=16",
    "adaptive:n=16,rule=learned",
    "shortest:n=16",
    "text-mbr:n=16",
    "pivot:n=16",
    "swiss:n=16",
    "tournament:n=16",
    "league:n=16",
    "cluster:n=16,tests=0",
    "mbr:n=16,tests=0",
)
"""What is replayed on recorded programs; a judge compares by the public tests."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A strategy on the problems of a set: the chance that it solves each, and the mean of its tokens."""

    right: Floats
    tokens: float


Rows = Mapping[str, Row]


class Line(NamedTuple):
    """A strategy beside the vote at its tokens on one set."""

    where: str
    setting: str
    tokens: float
    right: Floats
    vote: Floats
    pair: Paired


@dataclass(frozen=True)
class Known:
    """The scores that the draws have in their file."""

    scores: Mapping[tuple[str, str], float | None]
    name: str = "recorded scores"
    identity: str | None = None

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return [Score(self.scores[problem.id, sample.text], why="no public tests") for sample in samples]


async def replay(task_file: Path) -> Iterator[dict[str, object]]:
    """Rows of every strategy on the recorded programs, the mean over orders of the draws."""
    recordings = read_recordings(real_models.FILE)
    scores = {(one.id, sample.text): sample.score for one in recordings for sample in one.samples}
    # Without examples in the docstring nothing can be chosen by tests: those problems are left out, as on the page.
    task, ids = real_models.drawn_of(task_file), [one.id for one in recordings if None not in one.scores]
    verifier, executor = Known(scores), spec.build("executor", spec.EXECUTORS, "python")
    plans = {name: spec.strategy(name) for name in REPLAYED}
    right, tokens = {name: np.zeros(len(ids)) for name in plans}, dict.fromkeys(plans, 0.0)
    for order in range(ORDERS):
        model = spec.build("model", spec.MODELS, f"recorded:{real_models.FILE},seed={order}")
        plan = grid.Plan(task, model, plans, verifier=verifier, judge=ScoreJudge(verifier), executor=executor)
        cells = await grid.run_plan(plan, MemoryBank(), n_problems=None)
        for name in plans:
            own = {cell.problem.id: cell for cell in cells[name]}
            right[name] += [float(own[id].grade.correct is True) / ORDERS for id in ids]
            tokens[name] += sum(own[id].spent.output_tokens or 0 for id in ids) / len(ids) / ORDERS
    head: dict[str, object] = {"set": "HumanEval", "problems": ids}
    told = ({"setting": n, "right": right[n].round(4).tolist(), "tokens": round(tokens[n], 1)} for n in plans)
    return iter([head, *told])


def replayed() -> Rows:
    """The rows that were kept."""
    _, *lines = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    return {line["setting"]: Row(np.array(line["right"]), line["tokens"]) for line in lines}


def of_level(level: int) -> Rows:
    """The rows of a level of the built-in model."""
    rows = built_in.load(built_in.ROWS)[level]
    return {
        setting: Row(np.array(row.correct[SEED], float), (row.costs[SEED].tokens or 0) / len(row.correct[SEED]))
        for setting, row in rows.items()
        if SEED in row.correct
    }


def of_sweep(path: Path) -> Rows:
    """The rows of a sweep's file: what was run on each problem, and votes of any number of its draws."""
    (recordings,) = read_draws(path).values()
    names = list(dict.fromkeys(name for one in recordings for name in one.results))
    rows = {}
    for name in names:
        chances = averaged(name, recordings).correct
        spent = [one.results[name].cost.tokens for one in recordings if name in one.results]
        if len(spent) == len(chances) and None not in chances and None not in spent:
            rows[name] = Row(np.array(chances, float), float(np.mean(np.array(spent, float))))
    lengths = [sample.output_tokens for one in recordings for sample in one.samples]
    n = min(one.n for one in recordings)
    if n > 1 and lengths and None not in lengths and all(one.answers for one in recordings):
        of_one = float(np.mean([np.mean([s.output_tokens for s in one.samples]) for one in recordings]))
        votes = by_problem(recordings, range(1, n + 1))["majority"]
        rows |= {"single": Row(votes[:, 0], of_one)}
        rows |= {f"{BASE}{k}": Row(votes[:, k - 1], k * of_one) for k in range(2, n + 1)}
    return rows


def vote_at(rows: Rows, tokens: float) -> Floats:
    """One draw or a vote, taken by lot between the two nearest ones so that it takes so many tokens on average."""
    votes = sorted((row for name, row in rows.items() if name == "single" or is_vote(name)), key=lambda r: r.tokens)
    above = next((i for i, row in enumerate(votes) if row.tokens >= tokens), len(votes) - 1)
    low, high = votes[max(above - 1, 0)], votes[above]
    part = 1.0 if low is high else min(max((tokens - low.tokens) / (high.tokens - low.tokens), 0.0), 1.0)
    mixed: Floats = (1 - part) * low.right + part * high.right
    return mixed


def is_vote(name: str) -> bool:
    """Whether a setting is a plain vote at the usual temperature."""
    return name.startswith(BASE) and name.removeprefix(BASE).isdigit()


def family(setting: str) -> str:
    """The strategy of a setting, apart from how many draws it makes; a stopping rule and a temperature tell apart."""
    name, _, options = setting.partition(":")
    kept = [one for one in options.split(",") if one.startswith("rule=")]
    at = setting[setting.index(built_in.AT) :] if built_in.AT in setting else ""
    return ":".join([name.removesuffix(at), *kept]) + at


def lines_of(where: str, parts: Sequence[Rows]) -> Iterator[Line]:
    """A line for each strategy: its dearest setting within the tokens of the largest vote, over all parts together."""
    common = [name for name in parts[0] if all(name in rows for rows in parts)]
    chosen: dict[str, str] = {}
    for name in common:
        best = chosen.get(family(name))
        fits = all(rows[name].tokens <= rows[MOST if MOST in rows else most(rows)].tokens for rows in parts)
        if fits and not is_vote(name) and name != "single" and (best is None or dear(parts, name) > dear(parts, best)):
            chosen[family(name)] = name
    for name in chosen.values():
        right = np.concatenate([rows[name].right for rows in parts])
        vote = np.concatenate([vote_at(rows, rows[name].tokens) for rows in parts])
        pair = paired(name, "vote", right.tolist(), vote.tolist())
        if pair is not None:
            yield Line(where, name, dear(parts, name), right, vote, pair)


def most(rows: Rows) -> str:
    """The largest vote of a set."""
    return max(filter(is_vote, rows), key=lambda name: rows[name].tokens)


def dear(parts: Sequence[Rows], name: str) -> float:
    return float(np.mean([rows[name].tokens for rows in parts]))


def table(lines: Sequence[Line]) -> Iterator[str]:
    heads = ("set", "strategy", "tokens", "right, % [95 %]", "a vote, %", "difference, points [95 %]", "p", "adjusted")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    adjusted = holm([line.pair.p_value for line in lines])
    for line, p in sorted(zip(lines, adjusted, strict=True), key=lambda x: (x[0].where, -x[0].pair.difference)):
        right = percent(float(line.right.mean()), bootstrap(line.right, bounds=SHARE))
        gain = points(line.pair.difference, line.pair.ci95)
        sure = "**" if p < 0.05 else ""
        yield (
            f"| {line.where} | `{line.setting}` | {line.tokens:,.0f} | {right} | {100 * line.vote.mean():.1f} "
            f"| {sure}{gain}{sure} | {line.pair.p_value:.2g} | {p:.2g} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="*", metavar="NAME=SWEEP.jsonl")
    parser.add_argument("--replay", type=Path, metavar="HumanEval.jsonl")
    options = parser.parse_args()
    if options.replay is not None:
        kept = asyncio.run(replay(options.replay))
        ROWS.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    lines = [
        *lines_of(f"nano, {', '.join(map(str, LEVELS))} operations", [of_level(level) for level in LEVELS]),
        *lines_of("HumanEval", [replayed()]),
    ]
    for named in options.sweeps:
        name, _, path = named.partition("=")
        lines += lines_of(name, [of_sweep(Path(path))])
    real_models.put(PAGE, "\n".join(table(lines)) + "\n")


if __name__ == "__main__":
    main()
