"""The findings of Balachandran et al. 2025 (arXiv 2504.00294), asked of the draws of a study, with intervals."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.files.recording import Recording
from mull.lab.averaged import averaged
from mull.lab.findings import Groups
from mull.lab.metrics import by_problem, majority_at_k
from mull.lab.studied import Bound
from mull.run.needs import draws_of
from mull.stats.estimators import pass_at_k
from mull.stats.intervals import DIFFERENCE, LEVEL, SHARE, Interval, bootstrap, wilson
from mull.types import Scaling


class FindingRow(NamedTuple):
    """One figure of a finding with its 95 % interval, from `problems` problems."""

    label: str
    value: float
    ci95: Interval
    problems: int


@dataclass(frozen=True, slots=True)
class StudyFinding:
    """A finding as a figure: its rows in per cent or points, and whether these data show it, in a sentence."""

    id: str
    title: str
    unit: str
    rows: tuple[FindingRow, ...]
    is_shown: bool
    sentence: str


NOT_SHOWN = "Not shown here"
CORRELATION = "% correlation"
Part = tuple[str, Sequence[float] | NDArray[np.float64]]
"""What a row is about, and its value on each problem."""
THINKS = re.compile(r"(?i)^(?!.*(?<![a-z])non?[-_ ]?think).*think")
"""Names of models that are trained to think; those with a word `no-think` or the like are not."""
LEAST_TIMES = 1.05
"""A model that takes fewer times the tokens of another is not the dearer one."""


class _Model(NamedTuple):
    """A model's problems of all tasks that have at least two draws, and each problem's figures at k draws."""

    name: str
    recordings: list[Recording]
    tasks: list[str]
    k: int
    rates: np.ndarray
    coverage: np.ndarray
    selector: str | None
    selected: np.ndarray

    @property
    def keys(self) -> list[tuple[str, str]]:
        return [(task, one.id) for task, one in zip(self.tasks, self.recordings, strict=True)]

    @property
    def by_key(self) -> dict[tuple[str, str], Recording]:
        return dict(zip(self.keys, self.recordings, strict=True))


def _tokens(recordings: Iterable[Recording]) -> float | None:
    """The mean tokens of a draw of these problems; tasks differ in them, so only those of the same can be compared."""
    lengths = [t for one in recordings for t in one.tokens if t is not None]
    return sum(lengths) / len(lengths) if lengths else None


def _both(a: _Model, b: _Model) -> tuple[list[Recording], list[Recording]]:
    """The draws of each on the problems that both have."""
    of_b = b.by_key
    pairs = [(one, of_b[key]) for key, one in a.by_key.items() if key in of_b]
    return [one for one, _ in pairs], [other for _, other in pairs]


def findings(groups: Groups, seed: int = 0, bounds: Sequence[Bound] = ()) -> list[StudyFinding]:
    """All ten, in the order of the paper's summary; `bounds` are runs with perfect feedback."""
    models = _models(groups, seed)
    return [
        _gap(models, seed),
        _diminishing(models, seed),
        _token_spread(models, seed),
        _longer(models, seed),
        _cost(models, seed),
        _sequential(models, seed),
        _difficulty(groups, models, seed),
        _feedback(models, bounds, seed),
        _thinking(models, seed),
        _out_of_reach(groups),
    ]


def _models(groups: Groups, seed: int) -> list[_Model]:
    found = []
    for name in dict.fromkeys(model for models in groups.values() for model in models):
        parts = [
            (task, [one for one in models[name] if one.n > 1]) for task, models in groups.items() if name in models
        ]
        parts = [(task, drawn) for task, drawn in parts if drawn]
        if not parts:
            continue
        k = min(one.n for _, drawn in parts for one in drawn)
        values = [by_problem(drawn, [k], seed) for _, drawn in parts]
        selector = next((s for s in ("best", "majority") if all(s in each for each in values)), None)
        recordings = [one for _, drawn in parts for one in drawn]
        found.append(
            _Model(
                name,
                recordings,
                [task for task, drawn in parts for _ in drawn],
                k,
                np.array([one.n_correct / one.n for one in recordings]),
                np.concatenate([each["coverage"][:, 0] for each in values]),
                selector,
                np.concatenate([each[selector][:, 0] for each in values]) if selector else np.zeros(0),
            )
        )
    return found


def _rows(parts: Sequence[Part], seed: int, bounds: tuple[float, float] | None = DIFFERENCE) -> list[FindingRow]:
    """The means; the intervals hold for all rows together, since a finding is shown where any row shows it."""
    found = []
    for label, values in parts:
        array = np.asarray(values, dtype=np.float64)
        ends = bootstrap(array, seed, bounds, LEVEL / len(parts))
        found.append(FindingRow(label, float(array.mean()), ends, len(array)))
    return found


def _made(
    id: str,
    title: str,
    unit: str,
    rows: Sequence[FindingRow],
    tell: Callable[[FindingRow], str],
    shows: Callable[[FindingRow], bool],
) -> StudyFinding:
    """A finding that is shown where a row shows it; the sentence is about the row that shows it most clearly."""
    if not rows:
        return StudyFinding(id, title, unit, (), False, f"{NOT_SHOWN}: the study has no draws that could tell.")
    shown = [row for row in rows if shows(row)]
    widest = max(shown or rows, key=lambda row: abs(row.value))
    where = f" ({len(shown)} of {len(rows)} rows)" if len(rows) > 1 and shown else ""
    sentence = f"{tell(widest)}{where}." if shown else f"{NOT_SHOWN}: {tell(widest)}{_but(widest, unit)}."
    return StudyFinding(id, title, unit, tuple(rows), bool(shown), sentence)


def _but(row: FindingRow, unit: str) -> str:
    """What a row says of a difference that is not shown: the opposite, or nothing beyond chance."""
    if unit not in ("points", CORRELATION):
        return ""
    return ", which chance may do" if row.ci95.low <= 0 <= row.ci95.high else ", which is the opposite"


def _ends(row: FindingRow, unit: str) -> str:
    sign = "+" if unit == "points" else ""
    low, high = row.ci95
    return f"{100 * row.value:{sign}.1f} {unit} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _difference(row: FindingRow) -> str:
    return f"{row.label}: {_ends(row, 'points')}"


def _is_above(row: FindingRow) -> bool:
    return row.ci95.low > 0


def _is_one_sided(row: FindingRow) -> bool:
    return row.ci95.low > 0 or row.ci95.high < 0


def _gap(models: Sequence[_Model], seed: int) -> StudyFinding:
    rows: list[Part] = [
        (f"{m.name}: coverage minus {m.selector} of {m.k}", m.coverage - m.selected) for m in models if m.selector
    ]
    title = "A perfect verifier would choose better than a real one"
    tell: Callable[[FindingRow], str] = lambda row: (  # noqa: E731
        f"{row.label}, what a perfect choice among the same draws would gain, is {_ends(row, 'points')}"
    )
    return _made("gap", title, "points", _rows(rows, seed), tell, _is_above)


def _diminishing(models: Sequence[_Model], seed: int) -> StudyFinding:
    rows: list[Part] = []
    for m in models:
        if m.k < 4:
            continue
        half = m.k // 2
        ks = [1, 2, half, 2 * half]
        values = by_problem(m.recordings, sorted(set(ks)), seed)["coverage"]
        at = dict(zip(sorted(set(ks)), values.T, strict=True))
        drop = (at[2] - at[1]) - (at[2 * half] - at[half])
        rows.append((f"{m.name}: first doubling minus the last, to {2 * half} draws", drop))
    title = "Each doubling of the draws gains less"
    tell: Callable[[FindingRow], str] = lambda row: f"{row.label} is {_ends(row, 'points')}"  # noqa: E731
    return _made("diminishing", title, "points", _rows(rows, seed), tell, _is_above)


def _lengths(m: _Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """The tokens and verdicts of each problem's draws whose lengths are known."""
    known = [one for one in m.recordings if one.n > 1 and one.tokens and None not in one.tokens]
    return [(np.array(one.tokens, dtype=np.float64), np.array(one.correct)) for one in known]


def _token_spread(models: Sequence[_Model], seed: int) -> StudyFinding:
    rows: list[Part] = []
    for m in models:
        spreads = [float(t.std(ddof=1) / t.mean()) for t, _ in _lengths(m) if t.mean() > 0]
        if spreads:
            rows.append((f"{m.name}: standard deviation of tokens for one prompt", spreads))
    title = "The same prompt costs different amounts"
    shows: Callable[[FindingRow], bool] = lambda row: row.ci95.low > 0.05  # noqa: E731
    tell: Callable[[FindingRow], str] = lambda row: f"{row.label} is {_ends(row, '% of the mean')}"  # noqa: E731
    return _made("spread", title, "% of the mean", _rows(rows, seed, None), tell, shows)


def _longer(models: Sequence[_Model], seed: int) -> StudyFinding:
    rows: list[Part] = []
    for m in models:
        related = [float(np.corrcoef(t, c)[0, 1]) for t, c in _lengths(m) if 0 < c.sum() < len(c) and t.std() > 0]
        if len(related) > 1:
            rows.append((f"{m.name}: correlation of length and right, for one prompt", related))
    title = "Longer replies are not better replies"
    return _made(
        "longer",
        title,
        CORRELATION,
        _rows(rows, seed),
        lambda row: f"{row.label} is {_ends(row, '%')}",
        lambda row: row.ci95.high < 0,
    )


def _paired(a: _Model, b: _Model, a_values: np.ndarray, b_values: np.ndarray) -> list[float]:
    """The differences on the problems that both have."""
    of_b = dict(zip(b.keys, b_values.tolist(), strict=True))
    return [x - of_b[key] for key, x in zip(a.keys, a_values.tolist(), strict=True) if key in of_b]


def _cost(models: Sequence[_Model], seed: int) -> StudyFinding:
    rows: list[Part] = []
    for a, b in itertools.combinations(models, 2):
        spent, other = map(_tokens, _both(a, b))
        if not spent or not other:
            continue
        dear, cheap, times = (a, b, spent / other) if spent > other else (b, a, other / spent)
        if times >= LEAST_TIMES:
            label = f"{dear.name} minus {cheap.name}, at {times:.3g} times the tokens"
            rows.append((label, _paired(dear, cheap, dear.rates, cheap.rates)))
    title = "More tokens do not make the better model"
    return _made("cost", title, "points", _rows(rows, seed), _difference, lambda row: row.ci95.high < 0)


def _sequential(models: Sequence[_Model], seed: int) -> StudyFinding:
    """Votes of as many draws as have the tokens of a sequential strategy, minus that strategy."""
    rows: list[Part] = []
    for m in models:
        names = dict.fromkeys(name for one in m.recordings for name in one.results)
        for name in (n for n in names if draws_of(spec.named(n)) == Scaling.SEQUENTIAL):
            having = [one for one in m.recordings if name in one.results and one.answers]
            spent = [one.results[name].cost.tokens for one in having]
            each = _tokens(having)
            if not having or None in spent or not each:
                continue
            k = max(1, min(m.k, int(sum(t for t in spent if t is not None) / len(spent) / each)))
            own = averaged(name, having, seed).correct
            votes = [float(majority_at_k(one.answers, one.correct, [k], seed)[0]) for one in having]
            differences = [v - c for v, c in zip(votes, own, strict=True) if c is not None]
            if differences:
                rows.append((f"{m.name}: vote of {k} minus {name}, equal tokens", differences))
    title = "Parallel or sequential: which is better"
    return _made("sequential", title, "points", _rows(rows, seed), _difference, _is_one_sided)


def _covered(task: str, models: Sequence[_Model], seed: int) -> FindingRow | None:
    """The share of what one draw misses that more draws cover; `None` for fewer than two problems, or nothing missed.

    Problems are resampled, each with the draws of all models. The interval is that of the ratio's linear part.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    for m in models:
        for (of, id), rate, covered in zip(m.keys, m.rates, m.coverage, strict=True):
            if of == task:
                sums[id] = sums.get(id, np.zeros(2)) + np.array([covered - rate, 1 - rate])
    won, missed = np.array(list(sums.values())).T if sums else np.zeros((2, 0))
    if len(missed) < 2 or missed.sum() <= 0:
        return None
    value = float(won.sum() / missed.sum())
    return FindingRow(task, value, bootstrap(value + (won - value * missed) / missed.mean(), seed, SHARE), len(missed))


def _difficulty(groups: Groups, models: Sequence[_Model], seed: int) -> StudyFinding:
    """The share of what one draw misses that the draws cover, by level: the ratio of two means over problems."""
    rows: list[FindingRow] = []
    falls = []
    families: dict[str, list[str]] = {}
    for task in groups:
        families.setdefault(spec.parted("task", spec.TASKS, task)[0], []).append(task)
    for tasks in families.values():
        own = []
        for task in tasks:
            if (row := _covered(task, models, seed)) is not None:
                own.append(row)
        rows += own
        if len(own) > 1 and own[-1].ci95.high < own[0].ci95.low:
            falls.append((own[0], own[-1]))
    title = "Gains vanish with difficulty"
    if falls:
        first, last = max(falls, key=lambda pair: pair[0].value - pair[1].value)
        sentence = (
            f"Of what one draw misses, more draws cover {_ends(first, '%')} on {first.label} and {_ends(last, '%')} on "
            f"{last.label}."
        )
    else:
        sentence = f"{NOT_SHOWN}: from the first level to the last, the intervals overlap."
    return StudyFinding("difficulty", title, "% of what one draw misses", tuple(rows), bool(falls), sentence)


def _feedback(models: Sequence[_Model], bounds: Sequence[Bound], seed: int) -> StudyFinding:
    """Answers that are told whether they are right, minus a perfect choice among as many independent draws."""
    title = "Perfect feedback gains more than as many draws"
    rows: list[Part] = []
    for m in models:
        drawn = m.by_key
        for strategy in dict.fromkeys(one.strategy for one in bounds if one.model == m.name):
            n = getattr(spec.named(strategy), "n", None)
            own = [one for one in bounds if (one.model, one.strategy) == (m.name, strategy)]
            pairs = [(one, drawn[one.task, one.problem]) for one in own if (one.task, one.problem) in drawn]
            pairs = [(one, recording) for one, recording in pairs if isinstance(n, int) and n <= recording.n]
            if pairs and isinstance(n, int):
                differences = [one.solved - pass_at_k(of.n, of.n_correct, n) for one, of in pairs]
                rows.append((f"{m.name}: {strategy} minus coverage of {n}", differences))
    if not rows:
        sentence = f"{NOT_SHOWN}: no strategy of this study had perfect feedback between replies."
        return StudyFinding("feedback", title, "points", (), False, sentence)
    return _made("feedback", title, "points", _rows(rows, seed), _difference, _is_above)


def _thinking(models: Sequence[_Model], seed: int) -> StudyFinding:
    """One reply of a model that was trained to think against a vote of another with as many tokens."""
    rows: list[Part] = []
    thinkers = [
        m for m in models if THINKS.search(m.name) or any(s.reasoning for one in m.recordings for s in one.samples)
    ]
    for thinker in thinkers:
        for other in (m for m in models if m not in thinkers):
            spent, each = map(_tokens, _both(thinker, other))
            if not spent or not each or not all(one.answers for one in other.recordings):
                continue
            k = max(1, min(other.k, round(spent / each)))
            votes = [float(majority_at_k(one.answers, one.correct, [k], seed)[0]) for one in other.recordings]
            if differences := _paired(thinker, other, thinker.rates, np.array(votes)):
                label = f"{thinker.name} minus a vote of {k} of {other.name}, equal tokens"
                rows.append((label, differences))
    title = "Models trained to think, and others with as many tokens"
    return _made("thinking", title, "points", _rows(rows, seed), _difference, _is_one_sided)


def _out_of_reach(groups: Groups) -> StudyFinding:
    rows: list[FindingRow] = []
    for task, models in groups.items():
        solved: dict[str, bool] = {}
        for recordings in models.values():
            for one in recordings:
                if one.n:
                    solved[one.id] = solved.get(one.id, False) or one.n_correct > 0
        if not solved:
            continue
        n_never = sum(not any_right for any_right in solved.values())
        rows.append(FindingRow(task, n_never / len(solved), wilson(n_never, len(solved)), len(solved)))
    n, n_never = sum(row.problems for row in rows), round(sum(row.value * row.problems for row in rows))
    most = max(rows, key=lambda row: row.value, default=None)
    if most is None:
        sentence = f"{NOT_SHOWN}: the study has no draws that could tell."
    elif not n_never:
        sentence = f"{NOT_SHOWN}: some draw of some model is right on each of the {n:,} problems."
    else:
        sentence = f"No draw of any model is right on {n_never:,} of {n:,} problems ({100 * n_never / n:.1f} %)"
        sentence += f", most often on {most.label}: {_ends(most, '%')}." if len(rows) > 1 else "."
    title = "Some problems are out of reach of all"
    return StudyFinding("reach", title, "% of the problems", tuple(rows), n_never > 0, sentence)
