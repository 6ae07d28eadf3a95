"""The heat map: accuracy of each strategy in each place, with the problems that stand behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mull.lab.measured import Tile
from mull.report.figures import MUTED, SIZE, Figure
from mull.report.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDS = ((0.95, 0.96, 0.98), (0.05, 0.30, 0.55))
"""The colours of 0 and of 100 %."""
N_SHADES = 11
"""Shades of the key."""
MOST_TALL = 12
"""Most rows that have room for the number of problems in each cell; more rows are lower."""
LETTERS = 7.0
"""The size of the names of columns, in points."""
CHARACTER = 0.65 * LETTERS / 72
"""How wide a character of them may be, in inches, whatever the font of the page."""
BESIDE = 0.7
"""Inches beside the map and the names of its rows: the key and the margins."""
UNREADABLE = "cannot read"
"""Why a cell is empty whose model cannot read the task's prompts; a cross stands there, else a dash."""


def heat(
    name: str, title: str, tiles: Mapping[str, Sequence[Tile]], places: Sequence[str], what: str, of: str = "strategy"
) -> Figure:
    """Accuracy of each row in each place, in per cent, with n, the number of graded problems, and a colour key.

    In a map of many rows n is left out of the cells; the table below has it.
    """
    size = 8.5 if len(places) <= 10 else 6.0
    is_tall = len(tiles) <= MOST_TALL
    room = SIZE[0] - BESIDE - CHARACTER * max((len(_short(name)) for name in tiles), default=0)
    widest = max((len(line) for place in places for line in place.split("\n")), default=0)
    is_upright = CHARACTER * (widest + 1) <= room / max(len(places), 1)  # else no name may cover another
    turned = [_short(place.replace("\n", ":")) for place in places]

    def draw(axes: Axes, _: list[str]) -> None:
        for y, row in enumerate(tiles.values()):
            for x, tile in enumerate(row):
                if tile.value is None:
                    sign = "×" if tile.empty == UNREADABLE else "–"
                    axes.text(x + 0.5, y + 0.5, sign, ha="center", va="center", color=MUTED)
                    continue
                colour = _shade(tile.value)
                axes.fill(
                    [x + 0.02, x + 0.98, x + 0.98, x + 0.02], [y + 0.03, y + 0.03, y + 0.97, y + 0.97], color=colour
                )
                ink = "#ffffff" if _luminance(colour) < 0.179 else "#000000"
                share = (0.4 if is_tall else 0.53, f"{100 * tile.value:.0f}", size)
                counted = ((0.78, f"n = {tile.problems:,}", 0.68 * size),) if is_tall else ()
                for down, text, large in (share, *counted):
                    axes.text(x + 0.5, y + down, text, ha="center", va="center", color=ink, fontsize=large)
        axes.set_xlim(0, len(places))
        axes.set_ylim(len(tiles), 0)
        axes.set_xticks(
            [x + 0.5 for x in range(len(places))],
            places if is_upright else turned,
            fontsize=min(LETTERS, 60 * room / max(len(places), 1)),
            rotation=0 if is_upright else 90,
        )
        axes.set_yticks([y + 0.5 for y in range(len(tiles))], [_short(name) for name in tiles], fontsize=7.5)
        axes.set_xlabel(what)
        for spine in axes.spines.values():
            spine.set_visible(False)
        _key(axes)

    rows = [(strategy, *(_tile(tile) for tile in row)) for strategy, row in tiles.items()]
    alt = f"Accuracy in per cent by {of} ({len(tiles)} rows) and {what} (columns); the table below has the numbers."
    columns = (of, *(place.replace("\n", " ") for place in places))
    height = 0.9 + (0.34 if is_tall else 0.22) * max(len(tiles), 3)
    height += 0.0 if is_upright else CHARACTER * max(map(len, turned))
    return Figure(f"heat-{name}", title, alt, columns, tuple(rows), draw, height)


def _key(axes: Axes) -> None:
    """A bar beside the map that says which shade is which accuracy."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    shades = ListedColormap([_shade(i / (N_SHADES - 1)) for i in range(N_SHADES)])
    key = axes.figure.colorbar(ScalarMappable(Normalize(0, 100), shades), ax=axes, fraction=0.05, pad=0.02)
    key.outline.set_visible(False)
    key.set_ticks([0, 50, 100])
    key.ax.tick_params(labelsize=7)
    key.set_label("accuracy, %", fontsize=7)


def _shade(value: float) -> tuple[float, ...]:
    return tuple(a + (b - a) * value for a, b in zip(*ENDS, strict=True))


def _short(name: str, most: int = 28) -> str:
    """A label that leaves room for the figure; the table below it has the whole name.

    Names that are long often differ in their ends only, so both ends are kept.
    """
    head = most // 3
    return name if len(name) <= most else f"{name[:head]}…{name[head + 1 - most :]}"


def _tile(tile: Tile) -> str:
    return f"{percent(tile.value)} % of {tile.problems}" if tile.value is not None else tile.empty


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance as WCAG 2 defines it; below .179 white text has the better contrast."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
