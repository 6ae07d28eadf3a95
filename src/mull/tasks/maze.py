"""Mazes as text: a shortest path through a grid with walls, as moves."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mull.equal.patterns import regex
from mull.replies.stated import plain, stated
from mull.tasks.endless import STEPS, Ask, Endless, check_between
from mull.tasks.synthetic import Split
from mull.types import Sample

MIN_SIDE, MAX_SIDE = 4, 20
WALLS = 0.3
"""The share of cells that are walls; up to .4 most free cells of a large grid are connected (site percolation)."""
MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}

_WORDS = {
    **{"u": "U", "up": "U", "n": "U", "north": "U", "d": "D", "down": "D", "s": "D", "south": "D"},
    **{"l": "L", "left": "L", "w": "L", "west": "L", "r": "R", "right": "R", "e": "R", "east": "R"},
}
_ARROWS = {"↑": "U", "⬆": "U", "↓": "D", "⬇": "D", "←": "L", "⬅": "L", "→": "R", "➡": "R"}
_LATEX_ARROW = regex(r"\\(?:long)?(up|down|left|right)arrow(?![a-z])|\\to(?![a-z])")
_NAMED = {"up": "↑", "down": "↓", "left": "←", "right": "→", None: "→"}
_BETWEEN = regex(r"\([0-9]{1,3} (?:moves|steps)\)$|->|=>|[\s,;:>.\-()\[\]{}\"'\ufe0f]|\b(?:and|then|move|go)\b")
_RUN = regex(r"[udlr]+|[nsew]+")


@dataclass(frozen=True)
class MovesAnswer:
    """Moves on a grid, as letters, words or arrows: `U, R, D`, `URD`, `up right down`, `↑→↓`, `north, east, south`."""

    @property
    def value(self) -> str:
        return "moves"

    def read(self, sample: Sample) -> str | None:
        return stated(sample, self.canonical)

    def canonical(self, text: str) -> str | None:
        """The moves as letters, such as `URD`; `None` if anything else is in the text."""
        text = _LATEX_ARROW.sub(lambda arrow: _NAMED[arrow[1]], plain(text))
        if not any(letter.isalpha() for letter in text):
            return "".join(_ARROWS.get(sign, sign) for sign in _BETWEEN.sub("", text)) if _is_arrows(text) else None
        moves = ""
        for word in _BETWEEN.sub(" ", text.replace("→", " ")).split():  # between words, arrows only separate
            if word in _WORDS:
                moves += _WORDS[word]
            elif _RUN.fullmatch(word):
                moves += "".join(_WORDS[letter] for letter in word)
            else:
                return None
        return moves or None


def _is_arrows(text: str) -> bool:
    signs = _BETWEEN.sub("", text)
    return bool(signs) and all(sign in _ARROWS for sign in signs)


@dataclass(frozen=True)
class Maze:
    """The rows of a grid: `S` the start, `G` the goal, `#` a wall, `.` free."""

    rows: tuple[str, ...]

    @property
    def text(self) -> str:
        told = "\n".join(" ".join(row) for row in self.rows)
        return (
            "In this maze, S is the start, G is the goal, . is a free cell and # is a wall:\n\n"
            f"{told}\n\n"
            "A move goes one cell up (U), down (D), left (L) or right (R), never into a wall or out of the maze. "
            f"Find a shortest path from S to G. {STEPS} its moves in order in a box, as in "
            r"\boxed{U, R, D, L}."
        )

    @property
    def kind(self) -> MovesAnswer:
        return MovesAnswer()

    @property
    def given(self) -> Mapping[str, Any]:
        return {"rows": self.rows}

    @property
    def content(self) -> str:
        """The maze regardless of how it is turned or reflected, and of which end of the path is the start."""
        turned, ways = self.rows, []
        for _ in range(4):
            turned = tuple("".join(column) for column in zip(*turned[::-1], strict=True))
            ways += [turned, turned[::-1]]
        swapped = str.maketrans("SG", "GS")
        return "maze " + min(way for rows in ways for way in ("/".join(rows), "/".join(rows).translate(swapped)))

    def find(self, sign: str) -> tuple[int, int]:
        """The row and column of the first cell with this sign."""
        return next((y, row.index(sign)) for y, row in enumerate(self.rows) if sign in row)

    def is_free(self, y: int, x: int) -> bool:
        return 0 <= y < len(self.rows) and 0 <= x < len(self.rows[y]) and self.rows[y][x] != "#"

    def distances(self) -> dict[tuple[int, int], int]:
        """The number of moves from the start to each cell that can be reached, by breadth-first search."""
        start = self.find("S")
        found, left = {start: 0}, deque([start])
        while left:
            y, x = left.popleft()
            for dy, dx in MOVES.values():
                cell = y + dy, x + dx
                if cell not in found and self.is_free(*cell):
                    found[cell] = found[y, x] + 1
                    left.append(cell)
        return found

    @cached_property
    def shortest(self) -> int:
        """The number of moves of a shortest path."""
        return self.distances()[self.find("G")]

    def misses(self, answer: str) -> str:
        y, x = self.find("S")
        for i, move in enumerate(answer, 1):
            dy, dx = MOVES[move]
            y, x = y + dy, x + dx
            if not self.is_free(y, x):
                return f"move {i}, {move}, is into a wall or out of the maze"
        if (y, x) != self.find("G"):
            return "the path does not end at the goal"
        return "" if len(answer) == self.shortest else f"the path has {len(answer)} moves, the shortest {self.shortest}"


@dataclass(frozen=True)
class MazeTask(Endless[Maze]):
    """A shortest path through a square text grid with walls at random; its `side` in cells is the difficulty.

    The goal is at least `side` moves from the start. Every shortest path is right.
    """

    called = "maze"
    domain = "planning"

    side: int = 6
    seed: int = 0
    split: Split = "test"
    ask: Ask = "steps"

    def __post_init__(self) -> None:
        check_between(MIN_SIDE, MAX_SIDE, side=self.side)

    @property
    def level(self) -> str:
        return f"side={self.side}"

    def draw(self, rng: random.Random) -> Maze:
        while True:
            cells = [["#" if rng.random() < WALLS else "." for _ in range(self.side)] for _ in range(self.side)]
            y, x = rng.randrange(self.side), rng.randrange(self.side)
            cells[y][x] = "S"
            reached = Maze(tuple(map("".join, cells))).distances()
            far = [cell for cell, n_moves in reached.items() if n_moves >= self.side]
            if far:
                y, x = rng.choice(far)
                cells[y][x] = "G"
                return Maze(tuple(map("".join, cells)))
