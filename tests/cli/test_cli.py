"""The command line on recorded samples: output, JSON, exit statuses, and what bad input gets."""

import json
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path

import pytest


def test_help_and_version(mull) -> None:
    done = mull("--help")
    assert done.returncode == 0
    for verb in ("solve", "sweep", "curves", "bank", "list"):
        assert verb in done.stdout
    assert mull("--version").stdout.startswith("mull 0.")
    for verb in ("solve", "sweep", "curves", "list"):
        assert "Example" in mull(verb, "-h").stdout or verb == "list"


def test_sweep_prints_a_table_with_intervals(mull, recording: Path) -> None:
    done = mull("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "single", "-s", "majority:n=15")
    assert done.returncode == 0, done.stderr
    assert "accuracy % [95 %]" in done.stdout
    assert "majority:n=15 - single" in done.stdout
    assert "oracle" in done.stdout


def test_sweep_json_has_the_documented_keys(mull_json, recording: Path) -> None:
    arguments = ("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "single", "-s", "majority:n=15")
    first = mull_json(*arguments)
    rows = first["rows"]
    assert {"task", "model", "strategy", "problems", "samples", "accuracy", "ci95", "oracle", "cost"} <= set(rows[0])
    assert set(rows[0]["cost"]) == {
        "calls", "prompt_tokens", "output_tokens", "verifier_tokens", "cached_tokens", "flops", "usd", "seconds",
        "retries",
    }  # fmt: skip
    assert [(row["retries"], row["failed"]) for row in rows] == [(0, 0), (0, 0)]
    assert [row["cost"]["calls"] for row in rows] == [1, 15]
    assert rows[1]["cost"]["output_tokens"] is None
    assert rows[1]["accuracy"] > rows[0]["accuracy"]
    assert first["pairs"][0]["a"] == "majority:n=15"
    assert mull_json(*arguments) == first


def test_a_sweeps_draws_become_curves(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "draws.jsonl"
    mull_json(
        "sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", "majority:n=30", "-s", "adaptive:n=30",
        "--out", out,
    )  # fmt: skip
    from_sweep, from_recording = mull_json("curves", out), mull_json("curves", recording)
    assert from_sweep["problems"] == 20
    assert from_sweep["samples"] == 600
    assert from_sweep["coverage"] == from_recording["coverage"]
    assert set(from_sweep["coverage"][0]) == {"k", "value", "ci95"}
    assert from_recording["best"][-1]["value"] == 1.0
    assert "coverage (oracle) %" in mull("curves", out).stdout


def test_curves_are_drawn(mull, recording: Path, tmp_path: Path) -> None:
    for name, magic in (("c.png", b"\x89PNG"), ("c.svg", b"<?xml")):
        done = mull("curves", recording, "--plot", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_solve_on_a_recording(mull, mull_json, recording: Path) -> None:
    solved = mull_json("solve", "q3", "-m", f"recorded:{recording}", "-s", "majority:n=30")
    assert solved["answer"] == "3"
    assert set(solved) >= {"answer", "text", "model", "strategy", "stopped", "seed", "cost", "samples"}
    assert set(solved["samples"][0]) == {"text", "answer", "score", "steps", "finish", "cost"}
    assert len(solved["samples"]) == 30
    shown = mull("solve", "-", "-m", f"recorded:{recording}", "-s", "majority", "-n", 8, stdin="q3\n").stdout
    assert "confidence" in shown
    assert "8 draws" in shown
    assert "█" in shown


def test_more_draws_than_were_recorded_end_the_sampling(mull_json, recording: Path) -> None:
    solved = mull_json("solve", "q3", "-m", f"recorded:{recording}", "-s", "majority:n=99")
    assert len(solved["samples"]) == 30
    assert solved["stopped"] == "exhausted"


def test_samples_is_a_ceiling_and_the_strategys_n(mull_json, recording: Path) -> None:
    asked = ("solve", "q3", "-m", f"recorded:{recording}")
    assert mull_json(*asked, "-s", "majority", "--samples", 5)["strategy"] == "majority:n=5"
    capped = mull_json(*asked, "-s", "majority:n=9", "--samples", 5)
    assert len(capped["samples"]) == 5
    assert capped["stopped"] == "budget"


def test_bank_stat_counts_what_was_paid(mull, mull_json, recording: Path) -> None:
    mull_json("solve", "q3", "-m", f"recorded:{recording}", "-s", "majority:n=7")
    stat = mull_json("bank", "stat")
    assert [model["draws"] for model in stat["models"]] == [7]
    assert "bank.db" in mull("bank", "stat").stdout


@pytest.mark.parametrize("what", ["models", "strategies", "verifiers", "tasks"])
def test_list_names_options_and_defaults(mull, mull_json, what: str) -> None:
    entries = mull_json("list", what)[what]
    assert all(entry["about"] for entry in entries)
    shown = mull("list", what).stdout
    assert all(entry["name"] in shown for entry in entries)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve", "q", "-m", "nanoo"), "mull: unknown model 'nanoo': did you mean 'nano'?"),
        (("solve", "q", "-s", "majorty"), "did you mean 'majority'?"),
        (("solve", "q", "-s", "adaptive:rul=beta"), "did you mean 'rule'?"),
        (("solve", "q", "-s", "majority:n=0"), "n must be at least 1, not 0"),
        (("sweep", "chan:ops=4", "-s", "single"), "did you mean 'chain'?"),
        (("sweep", "chain:op=4", "-s", "single"), "did you mean 'ops'?"),
        (("sweep", "chain", "-s", "single", "--problems", "0"), "--problems must be at least 1"),
        (("sweep", "file:/no/such.jsonl", "-s", "single"), "/no/such.jsonl: there is no such file"),
        (("curves", "/no/such.jsonl"), "/no/such.jsonl: there is no such file"),
        (("curves", "/no/such.jsonl", "--k", "0"), "--k takes numbers of draws of at least 1"),
        (("curves", "/no/such.jsonl", "--k", "one"), "--k takes whole numbers"),
        (("curves", "/no/such.jsonl", "--plot", "x.gif"), "ends in .png, .svg, .pdf"),
        (("list", "model"), "did you mean 'models'?"),
        (("solv", "q"), "No such command"),
        (("solve",), "Missing argument"),
        (("solve", "q", "--samples", "few"), "--samples takes a whole number"),
        (("solve", "q", "--sampels", "3"), "--samples"),
    ],
)
def test_usage_errors_are_at_most_two_lines_and_status_2(mull, arguments: tuple[str, ...], message: str) -> None:
    done = mull(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("mull: ")
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tokens", "-1"), "--tokens -1 cannot be negative"),
        (("--temperature", "-1"), "the temperature must be 0 or more"),
        (("--max-tokens", "0"), "max_tokens must be at least 1"),
        (("--usd", "1"), "a ceiling on usd cannot be kept"),
        (("--strategy", "best"), "needs a verifier"),
    ],
)
def test_what_makes_no_sense_costs_nothing(
    mull, mull_json, recording: Path, options: tuple[str, ...], message: str
) -> None:
    done = mull("solve", "q3", "-m", f"recorded:{recording}", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert mull_json("bank", "stat")["models"] == [] or "verifier" in message


def test_an_empty_prompt_is_a_usage_error(mull, recording: Path) -> None:
    done = mull("solve", "-", "-m", f"recorded:{recording}", stdin="  \n")
    assert done.returncode == 2
    assert "the prompt is empty" in done.stderr


def test_a_malformed_line_stops_before_any_draw_is_paid_for(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text(recording.read_text() + '{"prompt": \n')
    done = mull("sweep", f"file:{broken}", "-m", f"recorded:{recording}", "-s", "majority:n=4")
    assert done.returncode == 2
    assert f"{broken}, line 21: not JSON" in done.stderr
    assert mull_json("bank", "stat")["models"] == []


def test_a_bank_of_another_version_is_refused(mull, environment: dict[str, str], recording: Path) -> None:
    mull("bank", "stat")
    with closing(sqlite3.connect(environment["MULL_BANK"])) as bank, bank:
        bank.execute("update meta set value = '0'")
    done = mull("solve", "q3", "-m", f"recorded:{recording}")
    assert done.returncode == 1
    assert "another file with --bank" in done.stderr


def test_csv_errors_name_the_line(mull, tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("model,n_samples,n_correct\nm,10,3\nm,10,11\n")
    done = mull("curves", table)
    assert done.returncode == 2
    assert f"{table}, line 3: n_samples is 10 and n_correct 11" in done.stderr
    table.write_text("n,c\n1,1\n")
    assert f"{table}, line 2: no prompt and no counts: it has n, c" in mull("curves", table).stderr


def test_curves_of_several_groups(mull, mull_json, tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("model,n_samples,n_correct\na,10,3\na,10,0\nb,20,5\n")
    both = mull_json("curves", table)
    assert set(both["groups"]) == {"a", "b"}
    assert mull_json("curves", table, "--group", "b")["problems"] == 1
    done = mull("curves", table, "--group", "c")
    assert done.returncode == 2
    assert "unknown group 'c'" in done.stderr


def test_json_is_one_object_on_stdout(mull, recording: Path) -> None:
    done = mull("solve", "q3", "-m", f"recorded:{recording}", "--json")
    assert len(done.stdout.splitlines()) == 1
    json.loads(done.stdout)
    assert done.stderr == ""


def test_a_tournament_with_a_judge(mull_json, mull) -> None:
    solved = mull_json(
        "solve", "reach 11 with 3 10 2", "--strategy", "tournament:n=8", "--judge", "scores:verifier=countdown",
        "--bank", "none", "--kind", "expression",
    )  # fmt: skip
    notes = solved["notes"]
    assert notes["comparisons"] + notes["unjudged"] <= 7 * 2
    assert 0 < notes["p_gen"] <= 1
    refused = mull("solve", "reach 11 with 3 10 2", "--strategy", "tournament:n=8", "--bank", "none")
    assert refused.returncode == 2
    assert "needs a judge" in refused.stderr
    unknown = mull("solve", "q", "--judge", "score:verifier=countdown", "--bank", "none")
    assert unknown.returncode == 2
    assert "did you mean 'scores'" in unknown.stderr
    assert "scores" in [entry["name"] for entry in mull_json("list", "judges")["judges"]]


def test_mathematics_is_voted_on_and_graded_by_what_it_means(tmp_path: Path, mull_json) -> None:
    path = tmp_path / "math.jsonl"
    texts = [r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{50\%}", r"\boxed{2}", r"\boxed{2}"]
    row = {"prompt": "q", "answer": r"\frac12", "samples": [{"text": text} for text in texts]}
    path.write_text(json.dumps(row) + "\n")
    swept = mull_json("sweep", f"file:{path}", "-m", f"recorded:{path}", "-s", "majority:n=5", "--bank", "none")
    assert swept["rows"][0]["accuracy"] == 1.0
    solved = mull_json("solve", "q", "-m", f"recorded:{path}", "-s", "majority:n=5", "--kind", "math", "--bank", "none")
    assert solved["answer"] == "1/2"
    assert solved["notes"] == {"no_answer": 0, "undecided": 0}


def test_what_verifiers_are_worth(mull_json, mull, recording: Path) -> None:
    found = mull_json("curves", recording, "--verifier", "recorded", "--verifier", "countdown")
    recorded, countdown = found["verifiers"]
    assert recorded["auc"] == 1.0
    assert recorded["gap"] == pytest.approx(0)
    assert recorded["ceiling"]["value"] == 1.0
    assert countdown["unscored"] == 600
    assert countdown["auc"] is None
    shown = mull("curves", recording, "--verifier", "recorded", "--verifier", "countdown")
    assert "ROC area" in shown.stdout
    assert "countdown could not score 600 draws: the problem gives no numbers and target" in shown.stdout
    assert "verifiers" not in mull_json("curves", recording)


def test_weights_of_an_ensemble_from_a_sweep(mull, mull_json, recording: Path, tmp_path: Path) -> None:
    """A sweep's strategies become members, and what is printed can be run."""
    out = tmp_path / "members.jsonl"
    asked = ("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "--out", out)
    mull_json(*asked, "-s", "single", "-s", "majority:n=5", "-s", "best:n=3", "--verifier", "nano-orm")
    learnt = mull_json("train", "weights", out, "--member", "single", "--member", "majority:n=5")
    assert [member["spec"] for member in learnt["members"]] == ["single", "majority:n=5"]
    rows = [row["outcomes"] for row in map(json.loads, out.read_text().splitlines()) if "outcomes" in row]
    accuracy = {name: statistics.fmean(row[name]["correct"] for row in rows) for name in rows[0]}
    for member in learnt["members"]:  # by the verdicts that the vote has, not by all draws of a problem as in the table
        assert member["accuracy"] == pytest.approx(accuracy[member["spec"]])
    again = mull("sweep", f"file:{recording}", "-m", f"recorded:{recording}", "-s", learnt["spec"])
    assert again.returncode == 0, again.stderr
    for arguments, words in (
        (("--member", "singel"), "unknown strategy of the sweep 'singel': did you mean 'single'?"),
        (("--member", "single"), "an ensemble needs at least two strategies of one sweep"),
        (("--group", "x"), "unknown group 'x'"),
    ):
        done = mull("train", "weights", out, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
