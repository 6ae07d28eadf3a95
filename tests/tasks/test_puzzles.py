"""Formulas, round trips, meetings, mazes and scenes: generated, held out, and graded as trying everything says."""

import asyncio
import itertools
import random
import time
from typing import Any

import pytest

from mull import Cost, Finish, Grade, Outcome, Problem, Prompt, Sample, UsageError, spec, testing
from mull.lab import readings
from mull.lab.grid import Cell
from mull.replies.answers import answer_of
from mull.tasks.calendar import Calendars, CalendarTask, SlotAnswer
from mull.tasks.maze import Maze, MovesAnswer
from mull.tasks.sat import AssignmentAnswer, Cnf, SatTask, solve
from mull.tasks.spatial import RelationAnswer
from mull.tasks.tsp import Cities, TourAnswer, TspTask, shortest_trip
from puzzles import assignments, boxed, meetings, met, satisfied, seen, shortest_paths, toured, trips

LEVELS = [
    "3sat:vars=5,ratio=1",
    "3sat:vars=6,ratio=8",
    "tsp:cities=4",
    "calendar:people=2,days=1,minutes=240",
    "maze:side=4",
]
SPECS = [*LEVELS, "spatial:steps=1", "spatial:steps=16"]


def built(text: str) -> Any:
    return spec.build("task", spec.TASKS, text)


def some(text: str, n: int) -> tuple[Any, list[Problem]]:
    task = built(text)
    return task, list(itertools.islice(task.problems(), n))


def graded(task: Any, problem: Problem, text: str) -> Grade:
    grade: Grade = asyncio.run(task.grade(problem.id, Sample(problem.prompt, text, Finish.STOP)))
    return grade


def is_right(task: Any, problem: Problem, answer: str) -> bool | None:
    return graded(task, problem, f"So it is {boxed(answer)}.").correct


@pytest.mark.parametrize("text", SPECS)
def test_splits_never_share_a_puzzle(text: str) -> None:
    """Whatever its names and order: the content of a puzzle does not depend on them."""
    held_out, trained_on = built(text), built(f"{text},split=train")
    testing.check_held_out(
        itertools.islice(held_out.problems(), 60),
        itertools.islice(trained_on.problems(), 60),
        lambda p: (held_out if "split" not in p.id else trained_on).puzzle(p.id).content,
    )
    assert held_out.name == text
    other = built(f"{text},seed=1")
    assert other.name == text
    assert next(other.problems()).id != next(held_out.problems()).id


@pytest.mark.parametrize("text", SPECS)
def test_asked_for_the_answer_alone_a_puzzle_is_the_same(text: str) -> None:
    (_, steps), (task, alone) = some(text, 3), some(f"{text},ask=answer", 3)
    for one, other in zip(steps, alone, strict=True):
        assert other.given == one.given
        assert "step by step" in one.prompt.question
        assert "step by step" not in other.prompt.question
        assert "Reply with nothing but " in other.prompt.question
        assert other.id.startswith(f"{task.name}/"), "draws of both may stand in one table"
    assert task.name.endswith(",ask=answer")


def test_names_and_order_make_no_other_puzzle() -> None:
    """A puzzle under other names, told in another order, would be known from training: it is in the same split."""
    rng = random.Random(2)
    for index in range(10):
        formula = SatTask(6).puzzle(f"/{index}")
        names = rng.sample((1, 2, 3, 4, 5, 6), 6)
        signs = rng.choices((1, -1), k=6)
        renamed = [
            tuple(rng.sample([signs[abs(x) - 1] * names[abs(x) - 1] * x // abs(x) for x in one], 3))
            for one in formula.clauses
        ]
        assert Cnf(6, tuple(rng.sample(renamed, len(renamed)))).content == formula.content
        cities = TspTask(6).puzzle(f"/{index}")
        order = rng.sample(range(6), 6)
        assert Cities(tuple(tuple(cities.distances[i][j] for j in order) for i in order)).content == cities.content
        calendars = CalendarTask(4).puzzle(f"/{index}")
        others = zip("WXYZ", [busy for _, busy in calendars.people[::-1]], strict=True)
        assert Calendars(tuple(others), calendars.minutes).content == calendars.content
    assert len({SatTask(6).puzzle(f"/{index}").content for index in range(10)}) == 10
    assert len({TspTask(6).puzzle(f"/{index}").content for index in range(10)}) == 10


@pytest.mark.parametrize("ratio", [2, 4.27, 8])
def test_any_satisfying_assignment_is_right_and_no_other(ratio: float) -> None:
    task, problems = some(f"3sat:vars=5,ratio={ratio}", 12)
    for problem in problems:
        good = assignments(problem)
        assert is_right(task, problem, "unsatisfiable") is (not good)
        assert task.puzzle(problem.id).is_satisfiable is bool(good)
        for values in itertools.product((True, False), repeat=5):
            one = {f"x{i}": value for i, value in enumerate(values, 1)}
            told = ", ".join(f"{x}={str(value).lower()}" for x, value in one.items())
            assert is_right(task, problem, told) is (one in good)
        assert is_right(task, problem, "x1=true, x2=true, x3=true, x4=true") is False, "x5 has no value"
        assert is_right(task, problem, satisfied(problem) + ", x6=true") is False, "there is no x6"


def test_formulas_go_through_the_phase_transition() -> None:
    """Of 30 formulas each: with 12 variables nearly all at ratio 2, nearly none at 8, and some at 4.27."""
    shares = []
    for ratio in (2, 4.27, 8):
        task, problems = some(f"3sat:vars=12,ratio={ratio}", 30)
        shares.append(sum(task.puzzle(p.id).is_satisfiable for p in problems))
    assert shares[0] >= 28
    assert 6 <= shares[1] <= 27
    assert shares[2] <= 2


def test_the_solver_is_right_about_formulas_of_any_lengths() -> None:
    rng = random.Random(3)
    n_unsatisfiable = 0
    for _ in range(200):
        clauses = [
            [rng.choice((1, -1)) * x for x in rng.sample(range(1, 7), rng.randint(1, 4))]
            for _ in range(rng.randint(1, 16))
        ]
        every = itertools.product((True, False), repeat=6)
        is_good = any(all(any(values[abs(x) - 1] is (x > 0) for x in c) for c in clauses) for values in every)
        found = solve(clauses)
        assert (found is not None) is is_good
        if found is not None:
            assert all(any(found.get(abs(x)) is (x > 0) for x in clause) for clause in clauses)
        n_unsatisfiable += found is None
    assert n_unsatisfiable > 20


def test_a_tour_is_right_if_none_is_shorter_and_told_how_far_it_is() -> None:
    task, problems = some("tsp:cities=5", 6)
    for problem in problems:
        lengths = trips(problem)
        least = min(lengths.values())
        for trip, length in lengths.items():
            sample = Sample(problem.prompt, boxed(" -> ".join((*trip, "A"))), Finish.STOP)
            grade = asyncio.run(task.grade(problem.id, sample))
            assert grade.correct is (length == least)
            assert asyncio.run(task.ratio(problem.id, sample)) == length / least
            assert grade.correct or f"feasible, but {length / least:.4g} times" in grade.why
    problem = problems[0]
    assert graded(task, problem, boxed("A, B, C, D")).why == "not feasible: the trip visits E 0 times"
    assert graded(task, problem, boxed("A, B, C, D, B, E")).why == "not feasible: the trip visits B 2 times"
    assert graded(task, problem, boxed("A, B, C, D, E, F")).why == "not feasible: the trip visits F 1 times"
    assert asyncio.run(task.ratio(problem.id, Sample(problem.prompt, boxed("A, B, C"), Finish.STOP))) is None


def test_the_shortest_trip_of_many_cities_is_that_of_another_recursion() -> None:
    """Trying all orders ends at 8 cities; from there a recursion over sets of names, on distances of any kind."""
    rng = random.Random(5)
    for n in (3, 6, 7):
        d = [[0] * n for _ in range(n)]
        for i, j in itertools.combinations(range(n), 2):
            d[i][j] = d[j][i] = rng.randint(1, 99)
        orders = itertools.permutations(range(1, n))
        least = min(sum(d[a][b] for a, b in zip((0, *order), (*order, 0), strict=True)) for order in orders)
        assert shortest_trip(d) == least
    cities = TspTask(12).puzzle("tsp:cities=12/0/0")
    known: dict[tuple[frozenset[int], int], int] = {}

    def way(left: frozenset[int], at: int) -> int:
        if not left:
            return cities.distances[at][0]
        if (left, at) not in known:
            known[left, at] = min(cities.distances[at][to] + way(left - {to}, to) for to in left)
        return known[left, at]

    assert cities.shortest == way(frozenset(range(1, 12)), 0)


@pytest.mark.parametrize("options", ["people=2", "people=3,days=2,minutes=120", "people=5,minutes=30"])
def test_any_time_is_right_at_which_all_are_free(options: str) -> None:
    """To the minute: a meeting need not begin at a half hour."""
    task, problems = some(f"calendar:{options}", 8)
    for problem in problems:
        good = set(meetings(problem))
        assert is_right(task, problem, "none") is (not good)
        for day in ("Monday", "Tuesday"):
            for clock in range(8 * 60 + 30, 17 * 60 + 30, 15):
                told = f"{day} {clock // 60:02}:{clock % 60:02}"
                assert is_right(task, problem, told) is (told in good)


def test_some_calendars_have_a_time_and_some_have_none() -> None:
    for options in ("people=2,days=5", "people=10,days=5", "people=2,minutes=30", "people=2,minutes=240"):
        _, problems = some(f"calendar:{options}", 30)
        assert 4 <= sum(met(problem) == "none" for problem in problems) <= 26, options


@pytest.mark.parametrize("side", [4, 7])
def test_any_shortest_path_is_right_and_no_other(side: int) -> None:
    task, problems = some(f"maze:side={side}", 8)
    for problem in problems:
        paths = shortest_paths(problem)
        assert len(paths[0]) >= side
        for path in paths[:20]:
            assert is_right(task, problem, ", ".join(path))
            assert is_right(task, problem, path[:-1]) is False
            for i, move in itertools.product(range(len(path)), "UDLR"):
                other = path[:i] + move + path[i + 1 :]
                assert is_right(task, problem, other) is (other in paths)


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        (("S..", "##.", "G.."), "RRDDLL"),
        (("G.S", ".#.", ".#."), "LL"),
        ((".G.", "##.", "S#.", "..."), "DRRUUUL"),
        (("..S", ".##", "..G"), "LLDDRR"),
        (("S#G", ".#.", "..."), "DDRRUU"),
    ],
)
def test_paths_go_along_the_edges_and_not_over_them(rows: tuple[str, ...], path: str) -> None:
    maze = Maze(rows)
    assert maze.shortest == len(path)
    assert maze.misses(path) == ""
    for move in "UDLR":
        assert "out of the maze" in maze.misses(path[:2] + move * 4), move


def test_a_maze_turned_or_walked_backwards_is_the_same_puzzle() -> None:
    maze = Maze(("S.#", "..G", "#.."))
    turned = [Maze(("#.S", "...", ".G#")), Maze(("#..", "..G", "S.#")), Maze(("G.#", "..S", "#.."))]
    assert {one.content for one in (*turned, maze)} == {maze.content}
    assert Maze(("S.#", "...", "#.G")).content != maze.content


@pytest.mark.parametrize("steps", [1, 2, 5, 16])
def test_one_direction_is_right(steps: int) -> None:
    task, problems = some(f"spatial:steps={steps}", 8)
    directions = [
        *("left", "right", "above", "below"),
        *map(" ".join, itertools.product(("above", "below"), ("left", "right"))),
    ]
    for problem in problems:
        assert [one for one in directions if is_right(task, problem, one)] == [seen(problem)]
        assert len(problem.given["facts"]) == steps + steps // 2


def test_the_steps_of_a_reply_to_a_scene_are_true_or_false() -> None:
    task, (problem,) = some("spatial:steps=3", 1)
    thing, where, other = problem.given["facts"][0]
    turned = {"left": "right", "right": "left", "above": "below", "below": "above"}
    back = " ".join(turned[word] for word in where.split())
    steps = [
        f"The {thing} is {where} of the {other}.",
        f"The {other} is {back} from the {thing}.",
        f"The {thing} is {back} of the {other}.",
        f"Since the {thing} is {where} of the {other}, the {other} is {where} of the {thing}.",
        f"The {thing} is two cells {where} of the {other}.",
        f"The {thing} is {where} of the wall.",
        f"The {thing} is not {where} of the {other}.",
        "Let me think.",
        boxed(seen(problem)),
        boxed("nowhere"),
    ]
    assert task.check_steps(problem.id, steps) == [True, True, False, False, False, None, None, None, True, False]


def read(kind: Any, text: str, finish: Finish = Finish.STOP) -> str | None:
    return answer_of(Problem("p", Prompt.user("?"), kind), Sample(Prompt.user("?"), text, finish))


SAME = [
    (
        AssignmentAnswer(), "x1=true, x2=false, x3=true",
        [
            "x1=true, x2=false, x3=true", "x3 = True; x1 = T, x2 = F", "x1: 1, x2: 0, x3: 1", "x1, not x2, x3",
            r"x_1 = \text{true}, x_2 = \text{false}, x_{3} = \text{true}", r"x_1 \land \neg x_2 \land x_3",
            "x₁ ∧ ¬x₂ ∧ x₃", "{x1: True, x2: False, x3: True}", "true, false, true", "(1, 0, 1)", "x1, ~x2, x3",
            "x1 → true, x2 → false, x3 → true", "x1=true,~x2=false,~x3=true", '{"x1": true, "x2": false, "x3": true}',
            "x1 is true, x2 is false and x3 is true", "Satisfiable: x1=true, x2=false, x3=true.",
            r"(x_1,x_2,x_3)=(\text{true},\text{false},\text{true})", r"x_1 = \top, x_2 = \bot, x_3 = \top",
            r"\begin{aligned} x_1 &= \text{true} \\ x_2 &= \text{false} \\ x_3 &= \text{true} \end{aligned}",
            "x1 = true\nx2 = false\nx3 = true", r"x_1 \mapsto 1, x_2 \mapsto 0, x_3 \mapsto 1",
        ],
    ),
    (
        AssignmentAnswer(), "unsatisfiable",
        ["unsatisfiable", r"\text{Unsatisfiable}", "UNSAT", "The formula is unsatisfiable."],
    ),
    (
        TourAnswer(), "A, B, D, C",
        [
            "A, B, D, C", "A, C, D, B", "B,D,C,A", r"A \to B \to D \to C \to A", "A → B → D → C → A", "ABDC",
            "(A, B, D, C)", "A-B-D-C-A", "City A, City B, City D, City C", "a, b, d, c", "[A, C, D, B]",
            "A -> B -> D -> C -> A (total distance: 120)", "A, B, D, C (total 120)",
            r"A \Rightarrow B \Rightarrow D, C",
        ],
    ),
    (
        SlotAnswer(5, 60), "Tuesday 13:30",
        [
            "Tuesday 13:30", "Tuesday, 13:30", "Tue 13:30", "tuesday at 1:30 PM", "Tuesday 13:30-14:30",
            "Tuesday 1:30 - 2:30 pm", r"\text{Tuesday } 13:30", "13:30 on Tuesday", "Tuesday, from 13:30 to 14:30",
            "Tuesday 13:30–14:30", "Tuesday: 13.30", r"\text{Tuesday } 13{:}30",
            "Tuesday 13:30 (to 14:30)", "Tuesday 13:30 - Tuesday 14:30", "Day: Tuesday, Time: 13:30", "Tue, 13h30",
        ],
    ),
    (SlotAnswer(1, 60), "Monday 09:00", ["Monday 09:00", "9:00", "9 am", "9:00-10:00", "Mon. 9:00"]),
    (SlotAnswer(1, 60), "none", ["none", r"\text{None}", "There is no such time.", "no available slot"]),
    (
        MovesAnswer(), "URD",
        [
            "U, R, D", "URD", "u r d", "Up, Right, Down", "U → R → D", "U -> R -> D", "↑→↓", "↑, →, ↓",
            "north, east, south", r"\uparrow \rightarrow \downarrow", r"U \to R \to D", "[U, R, D]", "['U', 'R', 'D']",
            "U, R, D (3 moves)", "move up, move right, then move down", "⬆️➡️⬇️",
        ],
    ),
    (
        RelationAnswer(), "above left",
        [
            "above left", "left above", "above and to the left", "upper left", "top-left", "North-West", "northwest",
            "Above, left", "NW", "diagonally above left",
        ],
    ),
    (
        RelationAnswer(), "the box is right from the lamp",
        [
            "The lamp is to the left of the box.", "the box is right of the lamp",
            "The box is directly to the right of the lamp",
        ],
    ),
    (RelationAnswer(), "left from the box", ["left of the box", "To the left of the box", "left from the box"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "texts"), SAME)
def test_equal_answers_vote_together(kind: Any, answer: str, texts: list[str]) -> None:
    for text in texts:
        assert read(kind, f"Let me see.\n\n{boxed(text)}") == answer, text
        assert kind.canonical(text) == answer
    assert kind.canonical(answer) == answer, "a recorded answer is read as the same one"
    assert read(kind, f"Let me see.\n\n**Answer:** {texts[0]}") == answer
    assert read(kind, f"Let me see.\n\n{texts[0]}") == answer
    assert read(kind, f"Let me see:\n\n{texts[-1]}\n") == answer
    assert read(kind, f"Let me see.\n\n{texts[0]}", Finish.LENGTH) is None
    assert read(kind, f"<think>{boxed(texts[0])}</think>I cannot say.") is None
    assert read(kind, f"<think>{boxed(texts[0])}") is None
    assert read(kind, f"{boxed(texts[0])}\n\nWait, that is wrong.") is None


NO_ANSWERS = [
    (
        AssignmentAnswer(),
        ["satisfiable", "x1=true, x1=false", "x1 and so on", "x1=maybe", "not x1=true", "maybe", "x1=2", "x1234=true",
         "(x1, x2) = (1, 0, 1)", "x1=1, ..."],
    ),
    (TourAnswer(), ["A", "A, B, C, ...", "A, Z, B", "the trip", "12, 13", "A, B"]),
    (
        SlotAnswer(5, 60),
        ["13:30", "Monday", "Monday 25:00", "Monday 13:75", "Sunday 10:00", "Monday 13 pm", "Monday or Tuesday 9:00"],
    ),
    (MovesAnswer(), ["", "3 up", "up a bit", "U, R, ...", "U, R, X", "->", "12"]),
    (RelationAnswer(), ["left right", "not left", "nowhere", "the lamp", "beside the lamp", "left of the moon"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "texts"), NO_ANSWERS)
def test_what_is_no_answer_does_not_vote(kind: Any, texts: list[str]) -> None:
    for text in texts:
        assert kind.canonical(text) is None, text
        assert read(kind, f"Let me see.\n\n{boxed(text)}") is None, text


def test_no_answer_is_read_from_a_part_of_a_long_line() -> None:
    assert read(MovesAnswer(), "Answer: " + "U, R, " * 300) == "UR" * 300
    assert read(MovesAnswer(), "Answer: " + "U, R, " * 1000) is None


PIECES = {
    "3sat:vars=5,ratio=1": ["x1=", "x", "not ", "true ", "~", "x1=true, ", "{"],
    "tsp:cities=4": ["A, ", "ABCD", "\\to ", "9", "distance ", "city "],
    "calendar": ["9", "Monday ", "10:00 to ", "no ", "\x00", "9:"],
    "maze:side=4": ["U", "↑", "->", "up ", "\\uparrow", "U→"],
    "spatial:steps=2": ["above ", "the box is ", "left-", "one cell ", "the lamp is left of the box ", "9"],
}


@pytest.mark.parametrize("text", PIECES)
def test_hostile_replies_are_graded_in_linear_time(text: str) -> None:
    """200,000 characters, in a box, in none and as a recorded answer."""
    task, (problem,) = some(text, 1)
    for piece in PIECES[text]:
        long = piece * (200_000 // len(piece))
        for reply in (long, boxed(long), f"Answer: {long}", boxed(piece * (1_900 // len(piece)))):
            begun = time.process_time()
            assert graded(task, problem, reply).correct is False
            assert time.process_time() - begun < 5, "a quadratic reading takes minutes"
        sample = Sample(problem.prompt, "", Finish.STOP, answer=long)
        assert asyncio.run(task.grade(problem.id, sample)).correct is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3sat:vars=4", "vars must be between 5 and 40, not 4"),
        ("3sat:ratio=nan", "ratio must be between 1 and 10, not nan"),
        ("3sat:vars=5,ratio=9", "ratio must be at most 8 where vars=5, not 9"),
        ("tsp:cities=15", "cities must be between 4 and 14"),
        ("calendar:people=1", "people must be between 2 and 10"),
        ("calendar:days=6", "days must be between 1 and 5"),
        ("calendar:minutes=45", "minutes must be a multiple of 30 up to 240, not 45"),
        ("maze:side=3", "side must be between 4 and 20"),
        ("spatial:steps=0", "steps must be between 1 and 16"),
    ],
)
def test_a_level_out_of_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        built(text)


def test_options_for_files_are_not_advised_where_replies_cannot_be_read() -> None:
    task, (problem,) = some("tsp:cities=4", 1)
    sample = Sample(problem.prompt, "I cannot.", Finish.STOP)
    outcome = Outcome(sample, None, (sample,))
    cell = Cell(problem, outcome, Grade(False), (Grade(False),), Cost(), Cost())
    (doubt,) = readings.doubts(task, [cell])
    assert "1 of 1 replies have no answer that can be read" in doubt
    assert "--ask" not in doubt


def test_right_replies_are_right_at_the_hardest_levels() -> None:
    for text, solved in (("tsp:cities=8", toured), ("calendar:people=10,days=5", met), ("3sat:vars=10", satisfied)):
        task, problems = some(text, 2)
        assert all(is_right(task, problem, solved(problem)) for problem in problems), text
    task, (problem,) = some("3sat:vars=40,ratio=3", 1)
    found = solve(problem.given["clauses"])
    assert found is not None
    values = {x: found.get(x, True) for x in range(1, 41)}
    told = ", ".join(rf"x_{{{x}}} = \text{{{str(value).lower()}}}" for x, value in values.items())
    assert is_right(task, problem, told), "a long answer fits into a box"
