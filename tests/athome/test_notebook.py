"""In a notebook: `await` at the top level, results as tables, and nothing that a model wrote has any power there."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from mull import Finish, Outcome, Prompt, Sample
from mull.lab import grid, metrics
from mull.lab.frames import read_frame
from mull.types import Cost

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e</td><img src=x onerror=y>&$\\href{javascript:z}{a}$"
TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = set[str](), list[tuple[str, str | None]](), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def check_inert(page: str) -> Page:
    read = Page(page)
    assert read.tags <= TAGS
    assert read.attributes == [("class", "tex2jax_ignore mathjax_ignore")]
    assert read.text.replace("\n", "").isprintable()
    return read


def test_an_outcome_shows_its_answer_and_votes_and_nothing_runs() -> None:
    sample = Sample(Prompt.user("q"), HOSTILE, Finish.STOP)
    tally = tuple((f"{HOSTILE}{i}", 1.0) for i in range(12))
    page = check_inert(Outcome(sample, HOSTILE, (sample,), tally=tally, confidence=0.25)._repr_html_())
    assert "alert(1)" in page.text
    assert r"\x1b[2J\u202e" in page.text
    assert "0.25" in page.text
    assert "other answers" in page.text
    assert "none" in check_inert(Outcome(None, None)._repr_html_()).text


def test_curves_tables_and_advice_are_inert_tables() -> None:
    from mull.advice.advise import advise
    from mull.advice.pilot import Pilot, PilotPrice

    draws = [{"question": q, "answer": "2", "response": "Answer: 2", "model": HOSTILE} for q in "ab" for _ in range(4)]
    source = read_frame(draws)
    (group,) = source.groups.values()
    assert "alert(1)" in check_inert(source._repr_html_()).text
    page = check_inert(metrics.curves(group.recordings)._repr_html_())
    assert "100.0 % [" in page.text
    assert "2 problems, 8 draws" in page.text
    row = grid.Row(HOSTILE, HOSTILE, HOSTILE, 2, 1.0, 0.5, None, 0.5, Cost(usd=None), 0, 0, {})
    page = check_inert(grid.Table([row], [], HOSTILE)._repr_html_())
    assert "50.0 %" in page.text
    assert "?" in page.text
    pilot = Pilot(HOSTILE, tuple(group.recordings), (PilotPrice(),) * 2)
    page = check_inert(advise([pilot], replicates=50)._repr_html_())
    assert "single" in page.text


def test_a_notebook_awaits_a_run_and_shows_its_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real kernel, of this Python, executes a real notebook, in folders of its own."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "from mull import Params, Run\n"
        "from mull.strategies.parallel import Majority\n"
        "from mull.testing import FakeModel, solve\n"
        "from mull.testing.fakes import PROBLEM\n"
        "run = Run(FakeModel(), params=Params(max_tokens=48))\n"
        "await run.solve(Majority(3), PROBLEM)",
        "async for event in run.events(Majority(2), PROBLEM):\n    print(type(event).__name__)",
        "solve(Majority(3), Run(FakeModel(), params=Params(max_tokens=48))).stopped.value",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    shown, told, sync = (cell.outputs for cell in book.cells)
    assert "<table>" in shown[0].data["text/html"]
    check_inert(shown[0].data["text/html"])
    assert told[0].text.split() == ["DrawArrived", "DrawArrived", "RunEnded"]
    assert sync[0].data["text/plain"] == "'complete'"
