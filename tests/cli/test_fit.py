"""`mull fit` as a process of its own: keys, bands, plots, and what bad input gets."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models on 40 problems of 50 draws."""
    path = tmp_path_factory.mktemp("fit") / "counts.csv"
    rng = np.random.default_rng(0)
    rows = [
        f"{model},50,{c}" for model, b in (("large", 5), ("small", 30)) for c in rng.binomial(50, rng.beta(0.4, b, 40))
    ]
    path.write_text("model,n_samples,n_correct\n" + "\n".join(rows) + "\n")
    return path


def test_json_has_the_documented_keys(mull_json, table: Path) -> None:
    groups = mull_json("fit", table, "--predict", 400)["groups"]
    assert [group["name"] for group in groups] == ["large", "small"]
    large = groups[0]
    assert set(large) >= {"name", "problems", "samples", "fits", "prediction", "identified", "flags"}
    assert (large["problems"], large["samples"]) == (40, 2000)
    assert {fit["family"] for fit in large["fits"]} == {
        "beta-binomial", "zero-inflated-beta-binomial", "logit-normal", "scaled-kumaraswamy", "exponentiated-power-law",
        "weighted-curve",
    }  # fmt: skip
    for fit in large["fits"]:
        assert set(fit) == {"family", "params", "loglik", "aic", "weight", "value"}
        assert (fit["aic"] is None) == (fit["family"] in ("exponentiated-power-law", "weighted-curve"))
    assert set(large["prediction"]) == {"k", "value", "band"}
    low, high = large["prediction"]["band"]
    assert 0 < low < large["prediction"]["value"] < high <= 1


def test_beyond_a_decade_the_value_is_flagged(mull_json, table: Path) -> None:
    far = mull_json("fit", table, "--predict", 501, "--group", "large")["groups"]
    assert len(far) == 1
    low, high = far[0]["prediction"]["band"]
    assert low < far[0]["prediction"]["value"] < high
    assert "far-beyond-the-draws" in far[0]["flags"]


def test_the_draws_that_a_coverage_takes(mull, mull_json, table: Path) -> None:
    (group,) = mull_json("fit", table, "--reach", 0.9, "--group", "large")["groups"]
    reach = group["reach"]
    assert reach["target"] == 0.9
    assert reach["at_best"] < reach["draws"] == group["prediction"]["k"] < reach["at_worst"]
    assert group["prediction"]["value"] >= 0.9
    shown = mull("fit", table, "--reach", 0.9, "--predict", 60, "--group", "large")
    assert f"90 % coverage takes {reach['draws']:,} draws a problem" in shown.stdout
    assert "60 draws reach 90 % coverage on " in shown.stdout


def test_a_table_for_people_and_a_plot(mull, table: Path, tmp_path: Path) -> None:
    done = mull("fit", table, "--predict", 501, "--group", "large", "--plot", tmp_path / "law.svg")
    assert done.returncode == 0, done.stderr
    assert "coverage at 501 draws, predicted: " in done.stdout
    assert "more than ten times the measured draws" in " ".join(done.stdout.split())
    assert "back-test: from 5 draws" in done.stdout
    drawn = (tmp_path / "law.svg").read_text()
    assert "stroke-dasharray" in drawn


def test_recorded_samples_are_a_source(mull_json, recording: Path) -> None:
    (group,) = mull_json("fit", recording, "--predict", 30)["groups"]
    assert group["prediction"]["value"] == 1.0
    assert "saturated" in group["flags"]


@pytest.mark.parametrize(
    ("rows", "flag", "says"),
    [
        (["m,1,1", "m,1,0", "m,1,0"], "one-draw", "collect 10 or more draws"),
        (["m,20,4"], "one-problem", "collect draws on 30 or more problems"),
        (["m,20,0", "m,20,0"], "all-wrong", "only an upper bound"),
        (["m,20,20", "m,20,20"], "all-right", "collect harder problems"),
        (["m,20,3", "m,40,0", "m,30,8", "m,30,0"], "unequal-draws", "the measured curve ends at the smallest"),
    ],
)
def test_bad_counts_are_told_plainly(mull, mull_json, tmp_path: Path, rows: list[str], flag: str, says: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("model,n_samples,n_correct\n" + "\n".join(rows) + "\n")
    (group,) = mull_json("fit", path, "--predict", 50)["groups"]
    assert flag in group["flags"]
    assert any(says in note for note in group["notes"])
    for command in (("fit", path, "--predict", 50), ("curves", path)):
        shown = mull(*command)
        assert shown.returncode == 0, shown.stderr
        assert says in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--predict", "0"), "--predict takes a number of draws of at least 1, not 0"),
        ((), "--predict K for the coverage of K draws, --reach .9 for the draws it takes"),
        (("--reach", "90"), "--reach takes a share above 0 and below 1, not 90: .9 is 90 %"),
        (("--predict", "100", "--group", "larg"), "did you mean 'large'?"),
        (("--predict", "100", "--plot", "x.gif"), "ends in .png, .svg, .pdf"),
    ],
)
def test_usage_errors(mull, table: Path, options: tuple[str, ...], message: str) -> None:
    done = mull("fit", table, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2, "the fault and an example"


def test_samples_without_gold_are_refused_with_what_to_add(mull, tmp_path: Path) -> None:
    path = tmp_path / "nogold.jsonl"
    path.write_text('{"problem_id": "p", "prompt": "q", "samples": [{"text": "answer: 3", "final_answer": "3"}]}\n')
    done = mull("fit", path, "--predict", 10)
    assert done.returncode == 2
    assert "add the gold answer" in done.stderr


def test_the_next_draws_go_to_what_is_unsolved(mull, mull_json, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("model,n_samples,n_correct\nm,30,3\nm,30,0\nm,30,8\nm,10,0\n")
    (group,) = mull_json("fit", path, "--predict", 50, "--draws", 40)["groups"]
    assert group["plan"] == {"draws": 40, "unsolved": 2, "problems": {"line 3": 10, "line 5": 30}}
    (group,) = mull_json("fit", path, "--predict", 50)["groups"]
    assert group["plan"]["draws"] == 233, "100 draws are the first three tenths"
    shown = " ".join(mull("fit", path, "--predict", 50, "--draws", 40).stdout.split())
    assert "next: 40 draws, all on the 2 problems without a success, 10 to 30 on each of 2" in shown
    path.write_text("n_samples,n_correct\n30,3\n30,5\n")
    assert mull_json("fit", path, "--predict", 50)["groups"][0]["plan"] is None
    done = mull("fit", path, "--predict", 50, "--draws", 0)
    assert (done.returncode, "at least 1, not 0" in done.stderr) == (2, True)


def test_a_plot_is_the_same_each_time(mull, table: Path, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert mull("fit", table, "--predict", 60, "--group", "large", "--plot", tmp_path / name).returncode == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
