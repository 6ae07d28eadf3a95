"""Selection among programs by their behaviour on tests or inputs, as pure functions.

`passes` and `outputs` have one row per program. Equal `names` mark the same program drawn more than once; `None` marks
a draw without a program, which is excluded. No result depends on the order of the programs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

Count = Literal["distinct", "samples"]
Loss = Literal["hard", "soft"]
Output = str | None


class Consensus(NamedTuple):
    """Programs that pass exactly the same tests: indices of the programs, indices of the tests, score of the set."""

    programs: tuple[int, ...]
    tests: tuple[int, ...]
    score: float


def _size(places: Sequence[int], names: Sequence[str | None], count: Count) -> int:
    return len({names[i] for i in places}) if count == "distinct" else len(places)


def consensus(
    passes: Sequence[Sequence[bool]], names: Sequence[str | None], count: Count = "distinct"
) -> list[Consensus]:
    """Dual execution agreement (CodeT, Chen et al. 2022, arXiv 2207.10397), the best set first.

    Programs that pass exactly the same tests form a set; its score is the number of its programs times the number
    of tests they pass. `distinct` counts a repeated program once, so that a trivial program that models often write
    cannot agree with itself; `samples` counts every draw, as the paper does. Programs that pass no test form a set
    of score 0.
    """
    sets: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, row in enumerate(passes):
        if names[i] is not None:
            sets[tuple(j for j, is_passed in enumerate(row) if is_passed)].append(i)
    found = [Consensus(tuple(v), k, float(_size(v, names, count) * len(k))) for k, v in sets.items()]
    return sorted(found, key=lambda one: (-one.score, -len(one.tests), one.tests))


class BehaviourCluster(NamedTuple):
    """Programs with the same output on every input: their indices, and how many they are."""

    programs: tuple[int, ...]
    size: int


def clusters(
    outputs: Sequence[Sequence[Output]], names: Sequence[str | None], count: Count = "samples"
) -> list[BehaviourCluster]:
    """Programs with the same output on every input, the largest cluster first (AlphaCode, Li et al. 2022).

    A program without an output on any input (`None`: it failed or did not end) is in no cluster.
    """
    alike: defaultdict[tuple[Output, ...], list[int]] = defaultdict(list)
    for i, row in enumerate(outputs):
        if names[i] is not None and any(output is not None for output in row):
            alike[tuple(row)].append(i)
    found = [(key, BehaviourCluster(tuple(places), _size(places, names, count))) for key, places in alike.items()]
    return [one for key, one in sorted(found, key=lambda item: (-item[1].size, [o or "" for o in item[0]]))]


def losses(outputs: Sequence[Sequence[Output]], names: Sequence[str | None], loss: Loss = "hard") -> list[float | None]:
    """The summed loss of each program against all others; the lowest wins (MBR-Exec, Shi et al. 2022).

    `hard`: 1 for every other program that differs on any input; `soft`: the share of inputs on which they differ. A
    missing output equals nothing. The loss of a program without any output is `None`; it differs from every other.
    """
    rows = [tuple(row) for row in outputs]
    kept = [names[i] is not None and any(output is not None for output in row) for i, row in enumerate(rows)]
    times = Counter(row for row, is_kept in zip(rows, kept, strict=True) if is_kept)
    n_out = len(rows) - sum(times.values())
    risk = {
        row: n_out
        + sum(n * _loss(row, other, loss) for other, n in sorted(times.items(), key=repr))
        - _loss(row, row, loss)
        for row in times
    }
    return [risk[row] if is_kept else None for row, is_kept in zip(rows, kept, strict=True)]


def _loss(a: tuple[Output, ...], b: tuple[Output, ...], loss: Loss) -> float:
    n_different = sum(x is None or x != y for x, y in zip(a, b, strict=True))
    return float(n_different > 0) if loss == "hard" else n_different / len(a)


def separating(outputs: Sequence[Sequence[Output]], first: int, second: int) -> list[int]:
    """Indices of the inputs on which two programs give different outputs; both must give one."""
    pairs = zip(outputs[first], outputs[second], strict=True)
    return [k for k, (a, b) in enumerate(pairs) if a is not None and b is not None and a != b]
