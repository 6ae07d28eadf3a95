"""The travelling salesperson: the shortest round trip through a few cities, found exactly by Held and Karp."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from mull.equal.patterns import regex
from mull.replies.stated import plain, stated
from mull.tasks.endless import STEPS, Ask, Endless, answer_to, check_between
from mull.tasks.synthetic import Split
from mull.types import Sample

CITIES = "ABCDEFGHIJKLMN"
MIN_CITIES = 4
SIDE = 100
"""Cities lie on the points of a square grid of this side."""

_LENGTH = regex(r"\s?[,;:(]?\s?\b(?:with |has )?(?:a |the )?(?:total |tour )?(?:total|distance|length|cost)\b.*")
_BETWEEN = regex(r"\\(?:to|(?:long)?rightarrow|implies)(?![a-z])|\b(?:to|then|and|city|cities)\b|[^a-z\\]")


@dataclass(frozen=True)
class TourAnswer:
    """The order in which cities are visited: `A, C, B, D`, `A -> C -> B -> D -> A` or `ACBD`.

    Two orders of one round trip are equal, wherever they begin and in whichever direction they go.
    """

    @property
    def value(self) -> str:
        return "tour"

    def read(self, sample: Sample) -> str | None:
        return stated(sample, self.canonical)

    def canonical(self, text: str) -> str | None:
        """The trip from the first city of the alphabet towards the earlier of its neighbours, without the return.

        An order that visits a city twice is an answer too, as it is written. `None` if the text is no order of cities.
        """
        letters = _BETWEEN.sub("", _LENGTH.sub("", plain(text))).upper()
        if not 3 <= len(letters) <= 4 * len(CITIES) or not set(letters) <= set(CITIES):
            return None
        order = letters[:-1] if letters[0] == letters[-1] else letters
        if len(order) == len(set(order)):
            at = order.index(min(order))
            order = order[at:] + order[:at]
            order = min(order, order[0] + order[:0:-1])
        return ", ".join(order)


Distances = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cities:
    """Cities by the distances between them: whole numbers, the same in both directions."""

    distances: Distances

    @property
    def names(self) -> str:
        return CITIES[: len(self.distances)]

    @property
    def text(self) -> str:
        pairs = combinations(range(len(self.names)), 2)
        told = "\n".join(f"{self.names[i]} to {self.names[j]}: {self.distances[i][j]}" for i, j in pairs)
        return (
            f"These are the distances between the cities {self.names[0]} to {self.names[-1]}, the same in both "
            f"directions:\n\n{told}\n\n"
            "Find the shortest round trip that starts in A, visits every other city exactly once and returns to A. "
            f"{STEPS} the cities in the order of the trip in a box, without the return: "
            r"\boxed{A, ...}."
        )

    @property
    def kind(self) -> TourAnswer:
        return TourAnswer()

    @property
    def given(self) -> Mapping[str, Any]:
        return {"distances": self.distances}

    @property
    def content(self) -> str:
        """The distances regardless of the cities' names."""
        return f"tsp {sorted(sorted(row) for row in self.distances)}"

    @cached_property
    def shortest(self) -> int:
        """The length of the shortest round trip."""
        return shortest_trip(self.distances)

    def length(self, answer: str) -> int | None:
        """The length of the round trip that an answer describes; `None` if it is none."""
        if sorted(answer.split(", ")) != list(self.names):
            return None
        order = [self.names.index(name) for name in answer.split(", ")]
        return sum(self.distances[i][j] for i, j in pairwise([*order, order[0]]))

    def misses(self, answer: str) -> str:
        length = self.length(answer)
        if length is None:
            order = answer.split(", ")
            wrong = next(name for name in CITIES if order.count(name) != (name in self.names))
            return f"not feasible: the trip visits {wrong} {order.count(wrong)} times"
        if length == self.shortest:
            return ""
        ratio = length / self.shortest
        return (
            f"feasible, but {ratio:.4g} times as long as the shortest round trip: {length} instead of {self.shortest}"
        )


def shortest_trip(distances: Sequence[Sequence[int]]) -> int:
    """The length of the shortest round trip through at least three cities (Held and Karp 1962, 10.1137/0110015).

    `least[visited, i]` is the length of the shortest way from the last city over all `visited` to city `i` of them;
    sets of cities are bits. Time `n^2 2^n`, memory `n 2^n`.
    """
    d = np.asarray(distances, dtype=np.int64)
    n = len(d) - 1
    visited = np.arange(1 << n)
    sizes = sum((visited >> i & 1 for i in range(n)), start=np.zeros_like(visited))
    least = np.full((1 << n, n), np.iinfo(np.int64).max // 2)
    for i in range(n):
        least[1 << i, i] = d[n, i]
    for size in range(2, n + 1):
        of_size = visited[sizes == size]
        for i in range(n):
            here = of_size[of_size >> i & 1 == 1]
            least[here, i] = (least[here ^ (1 << i)] + d[:n, i]).min(axis=1)
    return int((least[-1] + d[n, :n]).min())


@dataclass(frozen=True)
class TspTask(Endless[Cities]):
    """The shortest round trip through cities whose distances are given; `cities` is the difficulty.

    Distances are whole numbers: those between random points, rounded. A reply is right if its trip is a shortest one;
    the grade of a longer one tells whether it is feasible and how many times as long it is, as `ratio` does.
    """

    called = "tsp"
    domain = "planning"

    cities: int = 6
    seed: int = 0
    split: Split = "test"
    ask: Ask = "steps"

    def __post_init__(self) -> None:
        check_between(MIN_CITIES, len(CITIES), cities=self.cities)

    @property
    def level(self) -> str:
        return f"cities={self.cities}"

    def draw(self, rng: random.Random) -> Cities:
        points = [divmod(point, SIDE) for point in rng.sample(range(SIDE * SIDE), self.cities)]
        return Cities(tuple(tuple(round(math.dist(one, other)) for other in points) for one in points))

    async def ratio(self, problem_id: str, sample: Sample) -> float | None:
        """The length of a reply's trip, divided by the shortest; `None` if the reply has no feasible trip."""
        cities = self.puzzle(problem_id)
        answer = await answer_to(cities, problem_id, sample)
        length = None if answer is None else cities.length(answer)
        return None if length is None else length / cities.shortest
