"""The outcomes of one model on a task, kept small: draws lie in a spool, and all else is summed as it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mull import cost
from mull.files.recording import Recording
from mull.files.spool import Lazy, RowSpool
from mull.lab.averaged import Averaged, averaged_each
from mull.lab.cells import Cell, draws, lends, recorded, result
from mull.shown import html_table
from mull.stats.intervals import Interval
from mull.stats.paired import Paired, compare
from mull.types import Cost, Model, Stopped, Task


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy's figures over a problem set; `oracle` is the share of problems with a correct candidate.

    Strategies that used gold answers have no accuracy, since theirs is an upper bound: it is in `oracle` alone.
    Outcomes that could not be graded count in `ungraded` and in no share; an outcome without an answer is wrong.
    `retries` counts repeated attempts at draws, `failed` the draws for which every attempt failed.
    """

    task: str
    model: str
    strategy: str
    problems: int
    samples: float
    accuracy: float | None
    ci95: Interval | None
    oracle: float | None
    cost: Cost
    unanswered: int
    ungraded: int
    stopped: Mapping[str, int]
    retries: int | None = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order of the strategies, and the paired difference of each from the first.

    `caption` is the task's description of what its prompts ask for.
    """

    rows: list[Row]
    pairs: list[Paired]
    caption: str = ""

    def _repr_html_(self) -> str:
        """The table as a notebook shows it; a figure that is not known is `?`."""
        head = (
            "task",
            "model",
            "strategy",
            "problems",
            "draws",
            "accuracy",
            "95 % interval",
            "oracle",
            "tokens",
            "usd",
        )
        return html_table(head, map(_shown, self.rows), self.caption)


def _shown(row: Row) -> tuple[object, ...]:
    accuracy, oracle = ("?" if share is None else f"{100 * share:.1f} %" for share in (row.accuracy, row.oracle))
    ends = "" if row.ci95 is None else f"[{100 * row.ci95[0]:.1f}, {100 * row.ci95[1]:.1f}]"
    tokens, usd = ("?" if cost is None else f"{cost:,.6g}" for cost in (row.cost.tokens, row.cost.usd))
    return row.task, row.model, row.strategy, row.problems, f"{row.samples:g}", accuracy, ends, oracle, tokens, usd


class Column:
    """The sums over one strategy's outcomes."""

    def __init__(self) -> None:
        self.n = self.n_candidates = self.n_scores = self.n_unanswered = 0
        self.spent = cost.Ledger()
        self.n_spent = self.n_fresh = 0
        """Draws that were spent, and those of them that were made now."""
        self.stopped: Counter[Stopped] = Counter()
        self.is_bound = False
        """Whether gold answers were used: figures are then upper bounds, and are compared with nothing."""
        self.is_steady = True
        """Whether its draws can be averaged over subsets: averages would be biased if the number of draws depended on
        them, or if a search selected continuations."""
        self.errors: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()

    @property
    def width(self) -> tuple[int, int]:
        """How many draws and how many scores there are."""
        return self.n_candidates, self.n_scores

    def add(self, cell: Cell) -> None:
        outcome = cell.outcome
        self.n += 1
        self.n_candidates += len(outcome.candidates)
        self.n_scores += len(outcome.scores)
        self.n_unanswered += outcome.answer is None
        self.spent.add(cell.spent)
        self.n_spent += cell.spent.calls or 0
        self.n_fresh += cell.fresh.calls or 0
        self.stopped[outcome.stopped] += 1
        self.is_bound = self.is_bound or bool(outcome.notes.get("oracle"))
        self.is_steady = self.is_steady and lends(cell)
        self.errors.update(sample.error for sample in outcome.candidates if sample.error is not None)
        if outcome.notes.get("warning"):
            self.warnings[str(outcome.notes["warning"])] += 1


class Swept:
    """The outcomes of strategies on the problems of a task, problem after problem in any order."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.columns: dict[str, Column] = {}
        self.rows = RowSpool()
        self.order: dict[int, int] = {}
        """Where the row of each problem is, by the problem's place in the task."""

    def __len__(self) -> int:
        return len(self.order)

    def add(self, place: int, cells: Mapping[str, Cell]) -> Recording:
        """Adds the outcomes on a problem; returns it as `recordings` gives it, before the others are known."""
        row = {name: self._kept(name, cell) for name, cell in cells.items()}
        self.order[place] = len(self.rows)
        self.rows.append(row)
        steady = {name: cells[name].outcome for name in row if self.columns[name].is_steady}
        widths = {name: (len(outcome.candidates), len(outcome.scores)) for name, outcome in steady.items()}
        return self.whole(row, max(widths, key=lambda name: widths[name], default=None))

    def also(self, place: int, name: str, cell: Cell) -> None:
        """Adds the outcome of one more strategy to a problem."""
        row = {**self.rows[self.order[place]], name: self._kept(name, cell)}
        self.order[place] = len(self.rows)
        self.rows.append(row)

    def _kept(self, name: str, cell: Cell) -> Recording:
        column = self.columns.setdefault(name, Column())
        column.add(cell)
        drawn = draws(cell) if column.is_steady else recorded(cell.problem, (), ())
        return replace(drawn, results={name: result(cell)})

    def whole(self, row: Mapping[str, Recording], widest: str | None) -> Recording:
        """A problem with every strategy's result and the draws of one strategy."""
        drawn = replace(next(iter(row.values())), samples=(), answers=()) if widest is None else row[widest]
        results = {name: one.results[name] for name, one in row.items()}
        return replace(drawn, results=results, group=self.model.name, strategy=widest)

    @property
    def widest(self) -> str | None:
        """The strategy that provides the draws: the one with the most, and of these the one with the most scores."""
        steady = {name: column.width for name, column in self.columns.items() if column.is_steady}
        return max(steady, key=lambda name: steady[name], default=None)

    def recordings(self) -> Sequence[Recording]:
        """The problems in the order of the task, each with every strategy's result, and the draws of one strategy.

        Only strategies that draw whole replies, the same number for every problem, provide draws. Without such a
        strategy there are no samples.
        """
        return _Recordings(self)

    def table(self, task: Task, seed: int = 0) -> Table:
        """The figures, by all draws that each problem has (`lab.averaged`)."""
        found = averaged_each(list(self.columns), self.recordings(), seed)
        rows = [self._row(task, name, column, found[name], seed) for name, column in self.columns.items()]
        methods = {name: found[name].correct for name, column in self.columns.items() if not column.is_bound}
        return Table(rows, compare(methods, seed) if methods else [], getattr(task, "caption", ""))

    def _row(self, task: Task, strategy: str, column: Column, found: Averaged, seed: int) -> Row:
        graded = [covered for covered, right in zip(found.covered, found.correct, strict=True) if right is not None]
        return Row(
            task.name,
            self.model.name,
            strategy,
            column.n,
            column.n_candidates / column.n,
            None if column.is_bound else found.accuracy,
            None if column.is_bound else found.interval(seed),
            sum(covered or 0.0 for covered in graded) / len(graded) if graded else None,
            column.spent.mean,
            column.n_unanswered,
            column.n - len(graded),
            {reason.value: column.stopped[reason] for reason in Stopped if column.stopped[reason]},
            column.spent.total.retries,
            column.errors.total(),
        )


def swept_of(model: Model, cells: Mapping[str, Sequence[Cell]]) -> Swept:
    """The cells of a grid, by strategy, as what is left of them."""
    found = Swept(model)
    for place, row in enumerate(zip(*cells.values(), strict=True)):
        found.add(place, dict(zip(cells, row, strict=True)))
    return found


class _Recordings(Lazy[Recording]):
    """`Swept.recordings`, each put together when it is asked for."""

    def __init__(self, swept: Swept) -> None:
        self._swept, self._widest = swept, swept.widest
        self._places = [swept.order[place] for place in sorted(swept.order)]

    def __len__(self) -> int:
        return len(self._places)

    def _make(self, place: int) -> Recording:
        return self._swept.whole(self._swept.rows[self._places[place]], self._widest)
