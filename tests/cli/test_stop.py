"""A stop is learned on the command line from draws without labels, and used."""

import json
from pathlib import Path


def draws_file(folder: Path) -> Path:
    """Twelve problems of twelve draws of one model, twelve of another; no row has a gold answer or a verdict."""
    path = folder / "draws.jsonl"
    rows = [
        {
            "problem_id": f"p{i}", "model": model,
            "samples": [{"final_answer": str(j % every) if j < 8 else "0"} for j in range(12)],
        }
        for model, every in (("sure", 1), ("unsure", 3))
        for i in range(12)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_stop_is_learned_without_labels_and_used(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "stop.toml"
    got = mull_json("train", "stop", draws_file(tmp_path), "--out", out, "--n", 16)
    assert got["problems"] == 24
    assert got["draws"] == 288
    assert 1 < got["expected"]["draws"] < 16
    assert 0 < got["expected"]["disagreement"] < 0.2
    text = out.read_text()
    assert "unsure: 12 problems, 144 draws (draws.jsonl)" in text

    task, model = f"file:{recording}", f"recorded:{recording}"
    swept = mull_json("sweep", task, "-m", model, "-s", "majority:n=6", "-s", f"adaptive:n=6,rule=learned,prior={out}")
    full, learned = swept["rows"]
    assert learned["samples"] <= full["samples"]
    assert "prior=" in learned["strategy"]


def test_one_model_of_a_file_can_be_learned_from(mull, mull_json, tmp_path: Path) -> None:
    path, out = draws_file(tmp_path), tmp_path / "stop.toml"
    assert mull_json("train", "stop", path, "--out", out, "--group", "sure")["problems"] == 12
    done = mull("train", "stop", path, "--out", out, "--group", "sore")
    assert done.returncode == 2
    assert "did you mean 'sure'?" in done.stderr


def test_what_cannot_be_learned_from_is_refused_and_nothing_written(mull, tmp_path: Path) -> None:
    out = tmp_path / "stop.toml"
    table = tmp_path / "counts.csv"
    table.write_text("n_samples,n_correct\n10,3\n")
    done = mull("train", "stop", table, "--out", out)
    assert done.returncode == 2
    assert "no answers: recorded samples" in done.stderr
    single = tmp_path / "single.jsonl"
    single.write_text('{"problem_id": "p", "samples": [{"final_answer": "4"}]}\n')
    done = mull("train", "stop", single, "--out", out)
    assert done.returncode == 2
    assert "no problem here has two" in done.stderr
    assert not out.exists()


def test_a_prior_that_is_none_costs_nothing(mull, recording: Path) -> None:
    sweep = "sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s"
    done = mull(*sweep, "adaptive:rule=learned,prior=no.toml")
    assert done.returncode == 2
    assert "no.toml: there is no such file" in done.stderr
    done = mull(*sweep, "adaptive:rule=beta,prior=no.toml")
    assert done.returncode == 2
    assert "rule=beta uses no prior" in done.stderr


def test_one_budget_is_shared_by_the_problems_of_a_sweep(mull, mull_json) -> None:
    sweep = "sweep", "countdown:numbers=3", "-s", "until-pass:n=3,wave=1", "--problems", 6, "--share", 3
    rows = mull_json(*sweep, "--verifier", "countdown")["rows"]
    assert [row["strategy"] for row in rows] == ["until-pass:n=3,wave=1", "shared:n=3"]
    alone, together = rows
    assert together["samples"] <= 3
    assert together["accuracy"] >= alone["accuracy"]
    done = mull(*sweep)
    assert done.returncode == 2
    assert "needs a verifier: name one with --verifier" in done.stderr
