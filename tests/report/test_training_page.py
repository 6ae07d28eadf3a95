"""The page of training runs: its figures against the rows, hostile texts, and what is missing."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from mull.errors import FileFormatError
from mull.report.training import page
from mull.train.curve import RunFolder, read_run

HOSTILE = "</script><script>alert(1)</script>"
MADE_BY = {"command": f"mull report {HOSTILE}", "mull": "0", "python": "3", "numpy": "2"}


def row(step: int, **other: Any) -> dict[str, Any]:
    return {
        "step": step, "position": 4 * step, "groups": 4, "taught": 3, "draws": 16, "unknown": 0, "reward": 0.01 * step,
        "right": 0.01 * step, "length": 50.0 + step, "waits": 0.25, "cut_off": 0.0, "entropy": 0.5, "kl": None,
        "loss": 0.1, "grad_norm": 0.2, "clipped": 0.0, "output_tokens": 800, "draw_flops": 1e6, "train_flops": 2e6,
        "draw_seconds": 1.0, "train_seconds": 3.0, **other,
    }  # fmt: skip


def run(folder: Path, n: int, **other: Any) -> Path:
    made = RunFolder(folder, {"tasks": [HOSTILE], "rate": 0.1, "size": {"groups": 4, "draws": 4}, "reward": None})
    for step in range(1, n + 1):
        made.add(row(step, **other))
    return folder


def cells(html: str, title: str) -> list[list[str]]:
    """The table under the figure of this title."""
    part = html.partition(f"<figcaption>{title}</figcaption>")[2].partition("</figure>")[0].partition("<tbody>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", one) for one in rows]


def test_points_are_means_of_steps(tmp_path: Path) -> None:
    html = page([read_run(run(tmp_path / "one", 100))], MADE_BY)
    # 100 steps in at most 40 points: means of 3, at 2, 5, ... and the last step alone.
    length = cells(html, "Length")
    assert length[:2] == [["one", "2", "52"], ["one", "5", "55"]]
    assert length[-1] == ["one", "100", "150"]
    assert len(length) == 34
    assert cells(html, "Groups that teach")[0] == ["one", "2", "75"]
    assert cells(html, "Time spent drawing")[0] == ["one", "2", "25"]
    assert "<figcaption>Divergence from the base" not in html, "no KL was measured"
    # First and last ten steps: 5.5 % and 95.5 %.
    assert "5.5 → 95.5 %" in html
    assert "80,000" in html, "tokens of all steps"


def test_nothing_of_a_run_is_markup_and_nothing_is_loaded(tmp_path: Path) -> None:
    html = page([read_run(run(tmp_path / "one", 3))], MADE_BY, HOSTILE)
    assert HOSTILE not in html
    assert "&lt;/script&gt;" in html
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert 'id="problems"' not in html


def test_runs_are_compared_and_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", 4), run(tmp_path / "two", 6, loss=float("nan"), grad_norm=None)
    html = page([read_run(one), read_run(two)], MADE_BY)
    assert {name for name, *_ in cells(html, "Length")} == {"one", "two"}
    assert {name for name, *_ in cells(html, "Loss")} == {"one"}
    assert "loss is nan: begin again with a lower --rate" in html, "two stopped, and its page says why"


def test_a_run_without_a_whole_step_has_a_page(tmp_path: Path) -> None:
    folder = run(tmp_path / "one", 0)
    (folder / "curve.jsonl").write_text('{"step": 1, "rew')
    assert "No step has ended yet" in page([read_run(folder)], MADE_BY)


def test_foreign_rows_are_named(tmp_path: Path) -> None:
    folder = run(tmp_path / "one", 2)
    (folder / "curve.jsonl").write_text('{"step": 3}\n')
    with pytest.raises(FileFormatError, match="line 1: the row of step 1 was expected"):
        read_run(folder)
