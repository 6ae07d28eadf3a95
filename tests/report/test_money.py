"""Money as people read it: in tables, in advice, and beside a server's address."""

import io
import math

import pytest
from rich.console import Console

from mull.advice.options import Interval90, Option
from mull.cli.options import price_at
from mull.cost import Price
from mull.errors import UsageError
from mull.files.recording import RecordedSample, Recording
from mull.lab.grid import Row, Table
from mull.lab.metrics import curves
from mull.report import table
from mull.report.advice import _costs
from mull.types import Cost

URL = "http://127.0.0.1:9/v1"


def shown(made: object) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(made)
    return out.getvalue()


def test_a_price_beside_a_servers_address_is_taken_whole_or_refused() -> None:
    assert price_at(URL, None, None) is None
    assert price_at(URL, 0.15, 0.6) == Price(0.15, 0.6)
    assert price_at(URL, 0.0, 0.0) == Price(0.0, 0.0), "a free server is one whose price is known"


@pytest.mark.parametrize(
    ("url", "read", "written", "says"),
    [
        (None, 0.1, 0.2, "go with --base-url"),
        (URL, 0.1, None, "without --usd-per-mtok-out"),
        (URL, None, 0.1, "without --usd-per-mtok-in"),
        (URL, -1.0, 0.1, "from 0 per million tokens"),
        (URL, 0.1, math.nan, "from 0 per million tokens"),
        (URL, math.inf, 0.1, "from 0 per million tokens"),
    ],
)
def test_half_a_price_is_refused(url: str | None, read: float | None, written: float | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        price_at(url, read, written)


def test_curves_show_dollars_of_k_draws_where_they_are_known() -> None:
    recordings = [
        Recording(
            str(i), "?", samples=tuple(RecordedSample("", correct=right) for right in (True, False, i % 2 == 0, True))
        )
        for i in range(12)
    ]
    measured = {"m": curves(recordings, [1, 4])}
    (priced,) = table.curves(measured, {"m": (0.001, 0.0002)})
    text = shown(priced)
    assert "$ a question" in text
    assert "$0.0010" in text
    assert "$1.00" in text
    assert "$0.0016" in text
    assert "$1.60" in text
    (plain,) = table.curves(measured)
    assert "$" not in shown(plain)


def test_an_option_costs_dollars_a_question_and_per_thousand() -> None:
    none = Interval90(0.0, 0.0)
    one = Option("single", "m", 0.5, none, Cost(1, 1, 1, 0, 0, None, 0.00042, None), "estimated", 0.0, none)
    assert _costs(one, "usd") == ("$0.00042", "$0.42")


@pytest.mark.parametrize(("usd", "is_shown"), [(None, False), (0.0, False), (0.0004, True)])
def test_a_sweep_shows_dollars_where_something_has_a_price(usd: float | None, is_shown: bool) -> None:
    def row(usd: float | None) -> Row:
        return Row("t", "m", "single", 4, 1.0, 0.5, None, 0.5, Cost(1, 1, 1, 0, 0, 1.0, usd, 0.1), 0, 0, {})

    text = shown(table.sweep(Table([row(usd), row(usd)], [])))
    assert ("$" in text) == is_shown
    mixed = shown(table.sweep(Table([row(0.0), row(0.0004)], [])))
    assert "$0.00 " in mixed, "what is free beside what has a price is told as free"
    assert "$0.40" in mixed
