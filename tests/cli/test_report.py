"""`mull report` as a new user runs it: from a sweep, recordings, counts and several files; and what bad input gets."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

from mull.cli.source import source_at
from mull.report import page as pages
from mull.train.curve import RunFolder
from mull.types import Params


def data_of(page: Path) -> Any:
    """The problems that a page carries."""
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


@pytest.fixture
def swept(mull, recording: Path, tmp_path: Path) -> Path:
    out = tmp_path / "draws.jsonl"
    done = mull(
        "sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "single", "-s", "majority:n=30",
        "-s", "adaptive:n=30", "--seed", 3, "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def test_a_sweeps_file_tells_outcomes_and_how_it_was_made(swept: Path) -> None:
    header, *rows = map(json.loads, swept.read_text().splitlines())
    about = header["sweep"]
    assert about["command"].startswith("mull sweep file:")
    assert about["seed"] == 3
    assert about["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"mull", "numpy", "task", "params", "budget", "strategies"} <= set(about)
    assert len(rows) == 20
    for row in rows:
        assert list(row["outcomes"]) == about["strategies"]
        assert row["strategy"] == "majority:n=30"
        assert row["outcomes"]["majority:n=30"]["cost"]["calls"] == 30
        assert row["outcomes"]["majority:n=30"]["cost"]["output_tokens"] is None
    early = [row["outcomes"]["adaptive:n=30"] for row in rows]
    assert all(outcome["draws"] == outcome["cost"]["calls"] <= 30 for outcome in early)
    assert any(outcome["stopped"] == "early" for outcome in early)


def test_the_file_still_serves_curves_and_draws(mull_json, swept: Path) -> None:
    assert mull_json("curves", swept)["samples"] == 600
    solved = mull_json("solve", "q3", "-m", f"recorded:{swept}", "-s", "majority:n=30", "--bank", "none")
    assert solved["answer"] == "3"


def test_the_page_agrees_with_the_sweep(mull, mull_json, recording: Path, swept: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = mull_json("report", swept, "--out", page)
    rows = mull_json(
        "sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "single", "-s", "majority:n=30",
        "-s", "adaptive:n=30", "--seed", 3,
    )["rows"]  # fmt: skip
    html = page.read_text(encoding="utf-8")
    for row in rows:
        low, high = row["ci95"]
        assert f"<td>{100 * row['accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]</td>" in html
    assert told["bytes"] == page.stat().st_size
    (group,) = told["groups"]
    assert group["verdict"] == "scale"
    advice = mull_json("advise", swept)
    assert group["strategy"] == advice["recommendation"]["strategy"] != "single"
    assert f"<h2>{group['headline']}</h2>" in html
    behind = rows[0]["accuracy"] - rows[1]["accuracy"]
    (measured,) = re.findall("<dt>Measured here, paired test</dt><dd><strong>(.*?) points</strong>", html)
    assert float(measured) == pytest.approx(-100 * behind, abs=0.05)
    data = data_of(page)
    assert data["groups"][0]["strategies"] == ["single", "majority:n=30", "adaptive:n=30"]
    solved = [problem["solved"][1] for problem in data["problems"]]
    assert sum(solved) / len(solved) == pytest.approx(rows[1]["accuracy"])
    assert "mull sweep file:" in html
    assert "seed 3" in html


DATA = Path(__file__).parent.parent / "data"


def answers_of(*paths: Path) -> list[pages.Answer]:
    """What a report's page opens with, without its figures."""
    return pages.answers(pages.make([source_at(path, None, "nano", 1000, Params(), 0) for path in paths], {}))


def test_a_report_gives_the_advice_of_mull_advise(mull, mull_json, tmp_path: Path) -> None:
    """Eight problems are too few for a paired test to tell anything, and too few for the forecasts too."""
    out, page = tmp_path / "draws.jsonl", tmp_path / "page.html"
    swept = mull("sweep", "chain:ops=4", "-s", "single", "-s", "majority:n=8", "--problems", 8, "--out", out)
    assert swept.returncode == 0, swept.stderr
    (group,) = mull_json("report", out, "--out", page)["groups"]
    advice = mull_json("advise", out)
    assert group["verdict"] == advice["verdict"] == "need more data"
    assert group["strategy"] == advice["recommendation"]["strategy"]
    html = page.read_text(encoding="utf-8")
    assert '<article class="answer need-more-data">' in html
    assert "use this" not in html, "nothing is recommended on too little"
    assert f"pilot of {advice['more_problems']} would tell" in html


@pytest.mark.parametrize(
    "name",
    [
        "inspect.eval", "inspect.json", "samples_sums_2026-11-24T20-30-42.837972.jsonl", "logs/inspect_credit.eval",
        "logs/inspect_pattern.eval", "logs/nemo-skills",
    ],
)  # fmt: skip
def test_recorded_sets_get_the_advice_of_mull_advise(mull_json, name: str) -> None:
    advice = mull_json("advise", DATA / name)
    told = answers_of(DATA / name)[0]
    taken = advice["recommendation"]
    assert (told.verdict, told.strategy, told.model) == (advice["verdict"], taken["strategy"], taken["model"])


def test_every_model_of_a_file_is_advised_beside_the_others(mull_json, recording: Path, tmp_path: Path) -> None:
    """The weak model is told of the strong one, for one pass of it is worth more than any vote; the strong is not."""
    both, rows = tmp_path / "both.jsonl", [json.loads(line) for line in recording.read_text().splitlines()]
    lines = []
    for model, right in (("weak", 1), ("strong", 27)):
        for i, row in enumerate(rows):
            samples = [{"text": str(i if k < right else 100 + k % 7), "output_tokens": 20} for k in range(30)]
            lines.append(json.dumps(row | {"model": model, "samples": samples}))
    both.write_text("\n".join(lines))
    told = {answer.group: answer for answer in answers_of(both)}
    for first, other in (("weak", "strong"), ("strong", "weak")):
        advice = mull_json("advise", both, "--group", first, "--group", other)
        taken, answer = advice["recommendation"], told[first]
        assert (answer.verdict, answer.strategy, answer.model) == (advice["verdict"], taken["strategy"], taken["model"])
    assert told["weak"].verdict == "bigger model"
    assert told["weak"].model == told["strong"].model == "strong"
    assert told["weak"].headline == f"Use {told['weak'].strategy} on strong"


def test_the_same_input_gives_the_same_page(mull, environment: dict[str, str], recording: Path, tmp_path: Path) -> None:
    page, made = tmp_path / "page.html", []
    for seed in ("1", "2"):  # sets in another order
        environment["PYTHONHASHSEED"] = seed
        assert mull("report", recording, "--k", "1,8", "--out", page).returncode == 0
        made.append(page.read_bytes())
    assert made[0] == made[1]


def test_a_recording_is_replayed_with_best_of_k(mull_json, recording: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (group,) = mull_json("report", recording, "--out", page)["groups"]
    assert group["verdict"] == "scale"
    assert group["strategy"] != "single"
    html = page.read_text(encoding="utf-8")
    assert ">best:n=30" in html
    assert ">majority:n=30" in html
    assert "averages over subsets of the recorded draws" in html
    assert "Not recorded, and so unknown: dollars, FLOPs, tokens" in html


def test_figures_are_written_in_three_formats(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    told = mull_json("report", recording, "--out", tmp_path / "page.html", "--figures", tmp_path / "figures")
    paths = [Path(path) for path in told["figures"]]
    names = {path.stem.partition("-")[0] for path in paths}
    assert names == {"curves", "gap", "law", "cost", "heat"}
    for path in paths:
        magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".csv": b""}[path.suffix]
        assert path.read_bytes().startswith(magic)
    (table,) = [path for path in paths if path.name.startswith("curves") and path.suffix == ".csv"]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    measured = mull_json("curves", recording)
    assert [int(row["k"]) for row in rows] == [point["k"] for point in measured["coverage"]]
    last = measured["best"][-1]["value"]
    assert rows[-1]["best of k % [95 %]"].startswith(f"{100 * last:.1f} [")


def test_several_files_are_groups_beside_each_other(mull_json, recording: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(recording.read_text().splitlines()[:10]))
    page = tmp_path / "page.html"
    told = mull_json("report", recording, other, "--out", page)
    assert [group["name"] for group in told["groups"]] == ["recorded.jsonl", "other.jsonl"]
    assert {problem["g"] for problem in data_of(page)["problems"]} == {0, 1}
    assert "Accuracy by strategy and group" in page.read_text(encoding="utf-8")


def test_counts_alone_make_a_page_without_a_vote(mull_json, tmp_path: Path) -> None:
    table, page = tmp_path / "counts.csv", tmp_path / "page.html"
    table.write_text("model,n_samples,n_correct\n" + "".join(f"m,40,{n}\n" for n in (0, 1, 2, 5, 20, 40)))
    (group,) = mull_json("report", table, "--out", page)["groups"]
    assert group["headline"] == "Only single can be measured here"
    html = page.read_text(encoding="utf-8")
    assert "coverage (oracle)" in html
    assert "What selection loses" not in html


def test_outcomes_without_draws_make_a_page(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "draws.jsonl", tmp_path / "page.html"
    mull("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "adaptive:n=30", "--out", out)
    (group,) = mull_json("report", out, "--out", page)["groups"]
    assert (group["verdict"], group["strategy"]) == ("unknown", None)
    refused = mull("advise", out)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].removeprefix("mull: ") in page.read_text(encoding="utf-8")
    assert "adaptive:n=30" in page.read_text(encoding="utf-8")
    done = mull("curves", out)
    assert done.returncode == 2
    assert f"{out}, line 2: no draws: it has " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("/no/such.jsonl", "--out", "x.html"), "/no/such.jsonl: there is no such file"),
        (("/no/such.jsonl", "--out", "x.pdf"), "ends in .html, not 'x.pdf'"),
        (("/no/such.jsonl", "--out", "/no/such/x.html"), "there is no folder '/no/such'"),
        (("/no/such.eval", "--out", "x.html"), "/no/such.eval: there is no such file"),
        (("/no/such.jsonl",), "there is no folder"),
        (("bank.db", "--out", "x.html"), "name the task with --task"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(mull, arguments: tuple[str, ...], message: str) -> None:
    done = mull("report", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_malformed_outcomes_are_named_by_their_line(mull, swept: Path, tmp_path: Path) -> None:
    header, first, *rest = swept.read_text().splitlines()
    row = json.loads(first)
    del row["outcomes"]["single"]["cost"]["usd"]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join([header, json.dumps(row), *rest]))
    done = mull("report", broken, "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert f"{broken}, line 2: the outcome of 'single' is not as a sweep writes it: KeyError('usd')" in done.stderr


def test_without_the_extra_it_says_what_to_install(
    mull, environment: dict[str, str], recording: Path, tmp_path: Path
) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "jinja2.py").write_text("raise ImportError('no jinja2', name='jinja2')\n")
    environment["PYTHONPATH"] = f"{shadow}:{environment.get('PYTHONPATH', '')}"
    done = mull("report", recording, "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert done.stderr == "mull: a report needs jinja2: pip install '.[lab]' in mull's checkout\n"


def test_equal_budgets_and_power_are_told(mull_json, swept: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in swept.read_text().splitlines()]
    for row in rows[1:]:
        for outcome in row["outcomes"].values():
            outcome["cost"] |= {"prompt_tokens": 0, "output_tokens": 10 * outcome["draws"], "verifier_tokens": 0}
    priced = tmp_path / "priced.jsonl"
    priced.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mull_json("report", priced, "--out", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    table = html.partition("equal budgets in tokens a problem</caption>")[2].partition("</table>")[0]
    majority = [row["outcomes"]["majority:n=30"]["correct"] for row in rows[1:]]
    assert f"<td>{100 * sum(majority) / 20:.1f}</td>" in table
    assert "<td>–</td>" in table, "a vote of 30 does not fit into the price of one draw"
    assert "20 problems show a difference of" in html


def test_where_problems_and_draws_are_from(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    assert "whether it has read them is unknown" in mull("curves", recording).stdout
    rows = [json.loads(line) for line in recording.read_text().splitlines()]
    about = {"data_date": "2024-05", "model_cutoff": "2024-10", "feedback": "none"}
    dated = tmp_path / "dated.jsonl"
    dated.write_text("".join(json.dumps(row | about) + "\n" for row in rows))
    limits = mull_json("curves", dated)["limits"]
    assert {name: limits[name] for name in about} == about
    shown = " ".join(mull("curves", dated).stdout.split())
    assert "date of the problems 2024-05, cut-off of the model 2024-10: it may have read them" in shown
    assert "feedback between draws: none" in shown
    out = tmp_path / "draws.jsonl"
    mull("sweep", f"file:{dated}", "-m", f"recorded:{dated}", "-s", "majority:n=30", "--out", out)
    assert mull_json("curves", out)["limits"]["data_date"] == "2024-05"
    dated.write_text(json.dumps(rows[0] | about) + "\n" + json.dumps(rows[1] | {"data_date": 2024}))
    done = mull("curves", dated)
    assert (done.returncode, "`data_date` must be text, not 2024" in done.stderr) == (2, True)


def test_groups_are_compared_at_equal_tokens(mull, recording: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in recording.read_text().splitlines()]
    both = tmp_path / "both.jsonl"
    lines = []
    for model, tokens in (("large", 100), ("small", 10)):
        for row in rows:
            samples = [sample | {"output_tokens": tokens} for sample in row["samples"]]
            lines.append(json.dumps(row | {"model": model, "samples": samples}))
    both.write_text("\n".join(lines))
    table = mull("curves", both).stdout.partition("at equal tokens a problem")[2]
    large = next(line for line in table.splitlines() if "large: coverage" in line)
    small = next(line for line in table.splitlines() if "small: coverage" in line)
    assert "–" in large, "ten tokens buy no draw of the large one"
    assert "–" not in small


def test_folders_of_training_runs_have_a_page_of_their_curves(mull, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    run = RunFolder(folder, {"rate": 0.1})
    run.add({"step": 1, "reward": 0.5, "groups": 4, "taught": 3, "right": 0.5, "length": 20.0})
    done = mull("report", folder)
    assert done.returncode == 0, done.stderr
    assert "<figcaption>Length</figcaption>" in (folder / "report.html").read_text()
    other = tmp_path / "draws.jsonl"
    other.write_text(json.dumps({"problem_id": "p", "samples": []}) + "\n")
    mixed = mull("report", folder, other, "--out", tmp_path / "page.html")
    assert mixed.returncode == 2
    assert "draws.jsonl is not the folder of a training run" in mixed.stderr
