"""Spatial relations: where one thing lies as seen from another, over a chain of stated neighbours."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mull.equal.patterns import regex
from mull.replies import regions
from mull.replies.stated import plain, stated
from mull.tasks.endless import STEPS, Ask, Endless, check_between
from mull.tasks.synthetic import Split
from mull.types import Sample

MAX_STEPS = 16
THINGS = tuple(
    (
        "apple ball bell bird boat book bottle bowl box brick broom brush bucket candle car chair clock coin cup drum "
        "fan flag fork glove hammer hat key kite knife ladder lamp leaf mirror mug pen pencil piano plate ring rope "
        "shell shoe spoon stone table tent tree vase watch wheel"
    ).split()
)
Offset = tuple[int, int]
"""How many cells one thing is to the right of another, and how many above it."""
DIRECTIONS: dict[Offset, str] = {
    (-1, 0): "left",
    (1, 0): "right",
    (0, 1): "above",
    (0, -1): "below",
    (-1, 1): "above left",
    (1, 1): "above right",
    (-1, -1): "below left",
    (1, -1): "below right",
}

_SIDES: dict[str, Offset] = {
    **dict.fromkeys(("left", "west"), (-1, 0)),
    **dict.fromkeys(("right", "east"), (1, 0)),
    **dict.fromkeys(("above", "north", "up", "upper", "top", "over"), (0, 1)),
    **dict.fromkeys(("below", "south", "down", "lower", "bottom", "under", "beneath", "underneath"), (0, -1)),
    **{"northwest": (-1, 1), "northeast": (1, 1), "southwest": (-1, -1), "southeast": (1, -1)},
    **{"nw": (-1, 1), "ne": (1, 1), "sw": (-1, -1), "se": (1, -1)},
}
_NUMBERS = {word: i for i, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}
_FILLERS = frozenset(
    "to the of and on at in a is it lies located directly diagonally straight side corner direction from cell "
    "cells step steps row rows column columns".split()
)
_THING = "|".join(THINGS)
_SEEN = regex(rf"([a-z0-9, -]{{1,80}}?)\s?\bthe ({_THING})")
_CLAIM = regex(rf"\bthe ({_THING}) (?:is|lies|stands|sits) ([a-z0-9, -]{{1,80}}?)\s?\bthe ({_THING})\b")


def offset_of(text: str) -> tuple[Offset, tuple[int | None, int | None]] | None:
    """The direction that words tell, and how many cells to the side and up or down where they are counted.

    `None` if there is another word, no direction, or two that contradict each other.
    """
    sides: list[int] = [0, 0]
    counts: list[int | None] = [None, None]
    count: int | None = None
    for word in re.findall(r"[^\s,;/-]+", text):
        if word in _NUMBERS or re.fullmatch("[0-9]{1,2}", word):
            count = _NUMBERS.get(word) or int(word)
        elif word in _SIDES:
            for axis, sign in enumerate(_SIDES[word]):
                if sign and sides[axis] not in (0, sign):
                    return None
                if sign:
                    sides[axis], counts[axis] = sign, count
            count = None
        elif word not in _FILLERS:
            return None
    return ((sides[0], sides[1]), (counts[0], counts[1])) if any(sides) else None


@dataclass(frozen=True)
class RelationAnswer:
    """A direction: `left`, `above right`, `north-east`, `upper left`.

    Also `left of the box`, and `The lamp is to the left of the box`, which equals `The box is right of the lamp`.
    """

    @property
    def value(self) -> str:
        return "direction"

    def read(self, sample: Sample) -> str | None:
        return stated(sample, self.canonical)

    def canonical(self, text: str) -> str | None:
        """`left`, `left from the box`, or `the box is right from the lamp`; `None` if the text tells no direction."""
        text = plain(text)
        claim, seen = _CLAIM.fullmatch(text), _SEEN.fullmatch(text)
        found = offset_of(claim[2] if claim is not None else text if seen is None else seen[1])
        if found is None:
            return None
        x, y = found[0]
        if claim is None:
            return DIRECTIONS[x, y] + ("" if seen is None else f" from the {seen[2]}")
        thing, other = claim[1], claim[3]
        if thing > other:
            thing, other, x, y = other, thing, -x, -y
        return f"the {thing} is {DIRECTIONS[x, y]} from the {other}"


@dataclass(frozen=True)
class Scene:
    """Things on a grid: stated neighbours, from which one place follows for each, and the chain that is asked for.

    A fact `(thing, offset, other)` says how far `thing` is to the right of `other` and above it.
    """

    chain: tuple[str, ...]
    places: Mapping[str, Offset]
    facts: tuple[tuple[str, Offset, str], ...]

    @property
    def text(self) -> str:
        told = "\n".join(f"The {thing} is {_neighbour(offset)} the {other}." for thing, offset, other in self.facts)
        return (
            f"Things lie on a grid of cells:\n\n{told}\n\nWhere does the {self.chain[0]} lie as seen from the "
            f"{self.chain[-1]}? {STEPS} one of these directions in a box \\boxed{{...}}: "
            f"{', '.join(DIRECTIONS.values())}."
        )

    @property
    def kind(self) -> RelationAnswer:
        return RelationAnswer()

    @property
    def given(self) -> Mapping[str, Any]:
        return {"facts": tuple((thing, DIRECTIONS[offset], other) for thing, offset, other in self.facts)}

    @property
    def content(self) -> str:
        """The chain from one thing to the other, regardless of the order of facts and of what else is stated."""
        return f"spatial {[(one, self.offset(one, other)) for one, other in pairwise(self.chain)]} {self.chain[-1]}"

    def offset(self, thing: str, other: str) -> Offset:
        """How many cells a thing is to the right of another, and how many above it."""
        (x, y), (left, low) = self.places[thing], self.places[other]
        return x - left, y - low

    @property
    def answer(self) -> str:
        return DIRECTIONS[_sign(self.offset(self.chain[0], self.chain[-1]))]

    def misses(self, answer: str) -> str:
        short = f"{self.answer} from the {self.chain[-1]}"
        right = (self.answer, short, self.kind.canonical(f"the {self.chain[0]} is {short}"))
        return "" if answer in right else f"the {self.chain[0]} does not lie there"

    def is_true(self, step: str) -> bool | None:
        """Whether all that a step says of where things and the answer lie is true; `None` if it says nothing of it."""
        verdicts = []
        for thing, told, other in _CLAIM.findall(plain(step)):
            claimed = offset_of(told)
            if claimed is not None:
                verdicts.append(thing in self.places and other in self.places and self._is(thing, claimed, other))
        box = next((region for region in regions.regions(step) if region.sort == "box"), None)
        if box is not None:
            answer = self.kind.canonical(", ".join(box.parts) or box.text)
            verdicts.append(answer is not None and not self.misses(answer))
        return all(verdicts) if verdicts else None

    def _is(self, thing: str, claimed: tuple[Offset, tuple[int | None, int | None]], other: str) -> bool:
        offset = self.offset(thing, other)
        told, counts = claimed
        return _sign(offset) == told and all(
            count is None or abs(cells) == count for cells, count in zip(offset, counts, strict=True)
        )


def _sign(offset: Offset) -> Offset:
    x, y = offset
    return (x > 0) - (x < 0), (y > 0) - (y < 0)


def _neighbour(offset: Offset) -> str:
    x, y = offset
    sides = {-1: "one cell to the left of", 0: "", 1: "one cell to the right of"}[x]
    heights = {-1: "one cell below", 0: "", 1: "one cell above"}[y]
    return " and ".join(filter(None, (heights, sides)))


@dataclass(frozen=True)
class SpatialTask(Endless[Scene]):
    """Where one thing lies as seen from another, by a chain of `steps` stated neighbours, which are the difficulty.

    The facts are shuffled, and half as many others are among them. A step of a reply is true if what it says of where
    things lie is.
    """

    called = "spatial"
    domain = "spatial"
    step_truth = True

    steps: int = 4
    seed: int = 0
    split: Split = "test"
    ask: Ask = "steps"

    def __post_init__(self) -> None:
        check_between(1, MAX_STEPS, steps=self.steps)

    @property
    def level(self) -> str:
        return f"steps={self.steps}"

    def draw(self, rng: random.Random) -> Scene:
        n_others = self.steps // 2
        names = rng.sample(THINGS, self.steps + 1 + n_others)
        chain, others = names[: self.steps + 1], names[self.steps + 1 :]
        places = {chain[0]: (0, 0)}
        neighbours = [*pairwise(chain), *((rng.choice(chain), other) for other in others)]
        for known, name in neighbours:
            x, y = places[known]
            free = [(x + dx, y + dy) for dx, dy in DIRECTIONS if (x + dx, y + dy) not in places.values()]
            if not free:
                return self.draw(rng)
            places[name] = rng.choice(free)
        scene = Scene(tuple(chain), places, ())
        stated = [pair if rng.random() < 0.5 else pair[::-1] for pair in neighbours]
        rng.shuffle(stated)
        return Scene(scene.chain, places, tuple((one, scene.offset(one, other), other) for one, other in stated))

    def check_steps(self, problem_id: str, steps: Sequence[str]) -> list[bool | None]:
        """Whether each step of a reply is true of the problem; `None` for a step that says nothing of it."""
        scene = self.puzzle(problem_id)
        return [scene.is_true(step) for step in steps]
