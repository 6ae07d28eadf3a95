"""Pictures, by what stands on their axes: ticks, bands, the front and the cells."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mull.lab.measured import Measured, Tile
from mull.laws import coverage
from mull.report import figures, plot, ticks
from mull.report.heat import heat
from mull.report.words import dollars
from mull.stats.intervals import wilson
from mull.types import Cost

mpl = pytest.importorskip("matplotlib")


def axes_of(figure: figures.Figure) -> Any:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    figure.draw(axes, [])
    return axes


def labels(axes: Any) -> list[str]:
    return [tick.get_text() for tick in axes.get_xticklabels()]


@pytest.fixture(scope="module")
def law() -> coverage.Law:
    rng = np.random.default_rng(5)
    return coverage.fit(64, rng.binomial(64, rng.beta(0.4, 4, 60)), resamples=40, seed=1)


def test_the_band_of_a_law_does_not_narrow_where_the_data_end(law: coverage.Law) -> None:
    measured, beyond = plot.law_parts(law, 640, 25)
    assert (measured[-1].k, beyond[0].k) == (64, 64)
    assert measured[-1].band == beyond[0].band, "the bands meet at the seam"
    just = law.predict(65).sampling
    at = law.predict(64).sampling
    assert just is not None
    assert at is not None
    assert just.low == pytest.approx(at.low, abs=0.01)
    assert just.high == pytest.approx(at.high, abs=0.01)
    widths = [p.band.high - p.band.low for p in beyond[:4]]
    assert all(b >= a - 0.01 for a, b in itertools.pairwise(widths))


def test_a_law_has_the_ticks_of_the_curves_and_names_n(law: coverage.Law) -> None:
    figure = figures.law("g", "nano", law, 640)
    assert labels(axes_of(figure)) == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"]
    assert "measured to n = 64 draws, extrapolated to 640" in figure.title


@pytest.mark.parametrize("last", [1, 2, 100, 1000, 10_000, 100_000, 10**7])
def test_ticks_of_draws_are_powers_of_two_that_have_room(last: int) -> None:
    found = ticks.powers(last)
    assert found[0] == 1
    assert found[-1] <= last
    assert len(found) <= ticks.MOST
    assert all(k & (k - 1) == 0 for k in found)


@pytest.mark.parametrize("low", [1e-7, 3e-4, 0.7, 88.0, 3e8])
@pytest.mark.parametrize("factor", [1.6, 3.0, 40.0, 1e4, 1e9])
def test_costs_have_few_round_ticks_within_the_axis(low: float, factor: float) -> None:
    found = ticks.costs(low, low * factor)
    assert 1 <= len(found) <= ticks.MOST_COSTS or factor < 3
    for x in found:
        assert low <= x <= low * factor
        digits = f"{x:.6e}".split("e")[0].rstrip("0").rstrip(".")
        assert digits in ("1", "2", "3", "5")


def made(name: str, right: int, tokens: int, usd: float) -> Measured:
    correct = (1.0,) * right + (0.0,) * (60 - right)
    cost = Cost(1, 0, tokens, 0, 0, None, usd, None)
    return Measured(name, correct, right / 60, wilson(right, 60), 1.0, cost, None, is_replayed=False)


def upright(line: Any) -> bool:
    xs: Sequence[float] = line.get_xdata()
    return len(xs) > 1 and len(set(xs)) == 1


def test_the_front_lies_apart_from_the_intervals() -> None:
    rows = [made("single", 30, 100, 0.0003), made("majority:n=4", 36, 400, 0.0012), made("best:n=8", 33, 800, 0.0024)]
    axes = axes_of(figures.frontier("g", "nano", rows, rows[:2], "usd"))
    treads = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(line.get_ydata()) for line in treads] == [[50.0, 50.0], [60.0, 60.0]]
    assert not any(map(upright, treads))
    assert sum(map(upright, axes.lines)) == 3, "an interval for each strategy"
    assert {line.get_color() for line in treads}.isdisjoint(line.get_color() for line in axes.lines if upright(line))
    assert labels(axes) == ["$0.00050", "$0.0010", "$0.0020"]


def test_a_heat_map_says_n_in_each_cell_and_has_a_key() -> None:
    tiles = {"single": [Tile(0.9, 12), Tile(0.25, 11)], "auto": [Tile(None, 0), Tile(1.0, 10)]}
    axes = axes_of(heat("d", "Accuracy", tiles, ["easiest", "hardest"], "difficulty"))
    told = [text.get_text() for text in axes.texts]
    assert told == ["90", "n = 12", "25", "n = 11", "–", "100", "n = 10"]
    (key,) = [one for one in axes.figure.axes if one is not axes]
    assert [tick.get_text() for tick in key.get_yticklabels()] == ["0", "50", "100"]


def test_dollars_show_two_digits_and_no_powers_of_ten() -> None:
    told = [dollars(x) for x in (None, 0.0, 0.00000123, 0.00042, 0.042, 0.5, 12.345, 1234.5)]
    assert told == ["?", "$0.00", "$0.0000012", "$0.00042", "$0.042", "$0.50", "$12.35", "$1,234.50"]


@pytest.mark.parametrize("n", [2, 5, 12, 20])
def test_no_name_under_a_heat_map_covers_another(n: int) -> None:
    """Names as models and files have them, and wide ones; names that differ in their ends stay different."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [f"an-organisation/Some-Model-0.{i}B-Instruct-{'W' * i}-v{i}" for i in range(n)]
    for places in (
        names,
        [f"file\nquestions/of/mine/level-{i}.jsonl" for i in range(n)],
        list("abcdefghijklmnopqrst")[:n],
    ):
        found = heat("one", "", {name: [Tile(0.5, 9)] * n for name in names[:5]}, places, "model", "task")
        figure = Figure(figsize=(figures.SIZE[0], found.height), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        found.draw(figure.subplots(), [])
        canvas.draw()
        ticks = figure.axes[0].get_xticklabels()
        assert len({tick.get_text() for tick in ticks}) == n
        boxes = [tick.get_window_extent() for tick in ticks]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), [t.get_text() for t in ticks]
