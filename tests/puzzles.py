"""The generated puzzles read back from their prompts, and answered by trying everything."""

import re
from itertools import combinations, permutations, product

from mull import Problem

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
TOWARDS = {"left": (-1, 0), "right": (1, 0), "above": (0, 1), "below": (0, -1)}


def boxed(answer: str) -> str:
    return rf"\boxed{{{answer}}}"


def conditions(problem: Problem) -> list[list[tuple[str, bool]]]:
    """The clauses of a formula: names of variables, and the values that satisfy them."""
    lines = [
        line for line in problem.prompt.question.splitlines() if " or " in line and line[0] in "xn" and len(line) < 40
    ]
    return [[(one.split()[-1], not one.startswith("not ")) for one in line.split(" or ")] for line in lines]


def assignments(problem: Problem) -> list[dict[str, bool]]:
    """All values of the variables that satisfy a formula."""
    clauses = conditions(problem)
    names = [f"x{i}" for i in range(1, problem.given["variables"] + 1)]
    every = (dict(zip(names, values, strict=True)) for values in product((True, False), repeat=len(names)))
    return [one for one in every if all(any(one[x] is value for x, value in clause) for clause in clauses)]


def satisfied(problem: Problem) -> str:
    """A satisfying assignment, or that there is none."""
    found = assignments(problem)
    return ", ".join(f"{x}={str(value).lower()}" for x, value in found[0].items()) if found else "unsatisfiable"


def trips(problem: Problem) -> dict[tuple[str, ...], int]:
    """The length of every round trip from A."""
    told = re.findall(r"^([A-Z]) to ([A-Z]): (\d+)$", problem.prompt.question, re.MULTILINE)
    far = {frozenset((one, other)): int(distance) for one, other, distance in told}
    cities = sorted(frozenset().union(*far))
    assert len(far) == len(list(combinations(cities, 2)))
    return {
        ("A", *rest): sum(far[frozenset(leg)] for leg in zip(("A", *rest), (*rest, "A"), strict=True))
        for rest in permutations(cities[1:])
    }


def toured(problem: Problem, pick: type[min] | object = min) -> str:
    """A shortest round trip, or with `max` a longest one."""
    lengths = trips(problem)
    return ", ".join((max if pick is max else min)(lengths, key=lambda trip: lengths[trip]))


def meetings(problem: Problem) -> list[str]:
    """Every time, to the minute, at which all are free for the whole meeting."""
    text = problem.prompt.question
    minutes = int(re.findall(r"for (\d+) minutes", text)[0])
    busy: dict[str, set[int]] = {}
    for line in text.splitlines():
        if re.match(r"\w+: Monday ", line):
            for part in line.partition(": ")[2].split("; "):
                times = busy.setdefault(part.split()[0], set())
                for a, b, c, d in re.findall(r"(\d\d):(\d\d) to (\d\d):(\d\d)", part):
                    times |= set(range(60 * int(a) + int(b), 60 * int(c) + int(d)))
    return [
        f"{day} {begin // 60:02}:{begin % 60:02}"
        for day, times in busy.items()
        for begin in range(9 * 60, 17 * 60 - minutes + 1)
        if times.isdisjoint(range(begin, begin + minutes))
    ]


def met(problem: Problem) -> str:
    """A time for the meeting, or that there is none."""
    return next(iter(meetings(problem)), "none")


def shortest_paths(problem: Problem) -> list[str]:
    """All shortest paths of a maze, by going everywhere at once, move by move."""
    lines = [line.split() for line in problem.prompt.question.splitlines() if re.fullmatch(r"[.#SG]( [.#SG])+", line)]
    cells = {(y, x): sign for y, line in enumerate(lines) for x, sign in enumerate(line) if sign != "#"}
    ways = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
    paths = {next(cell for cell, sign in cells.items() if sign == "S"): [""]}
    seen = set(paths)
    while paths:
        found = [path for cell, some in paths.items() if cells[cell] == "G" for path in some]
        if found:
            return found
        after: dict[tuple[int, int], list[str]] = {}
        for (y, x), some in paths.items():
            for move, (dy, dx) in ways.items():
                if (y + dy, x + dx) in cells.keys() - seen:
                    after.setdefault((y + dy, x + dx), []).extend(path + move for path in some)
        paths = after
        seen |= paths.keys()
    raise AssertionError("the goal cannot be reached")


def seen(problem: Problem) -> str:
    """Where one thing lies as seen from another, by placing thing after thing."""
    facts = re.findall(r"^The (\w+) is (.*) the (\w+)\.$", problem.prompt.question, re.MULTILINE)
    asked = re.search(r"Where does the (\w+) lie as seen from the (\w+)\?", problem.prompt.question)
    assert asked is not None
    places = {asked[2]: (0, 0)}
    while asked[1] not in places:
        for thing, told, other in facts:
            dx, dy = (sum(TOWARDS[w][axis] for w in told.split() if w in TOWARDS) for axis in (0, 1))
            if other in places:
                places.setdefault(thing, (places[other][0] + dx, places[other][1] + dy))
            elif thing in places:
                places[other] = places[thing][0] - dx, places[thing][1] - dy
    x, y = places[asked[1]]
    return " ".join(
        filter(None, ("above" if y > 0 else "below" if y else "", "right" if x > 0 else "left" if x else ""))
    )
