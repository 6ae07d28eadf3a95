"""`mull train policy` and `--strategy auto`, as a user would."""

import json
import tomllib
from pathlib import Path

import pytest

SWEEP = ("sweep", "--strategy", "majority:n=4", "--strategy", "weighted:n=8", "--strategy", "adaptive:n=8")
PRM = ("--verifier", "nano-prm")


@pytest.fixture
def sweeps(mull, tmp_path: Path) -> list[Path]:
    """Two sweeps of one model and verifier, 32 problems in all."""
    paths = []
    for ops in (1, 3):
        paths.append(tmp_path / f"ops-{ops}.jsonl")
        done = mull(*SWEEP, f"chain:ops={ops},split=train", "-p", 16, *PRM, "--out", paths[-1])
        assert done.returncode == 0, done.stderr
    return paths


def test_a_policy_is_learned_from_sweeps_and_used(mull, mull_json, sweeps: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "policy.toml"
    learned = mull_json("train", "policy", *sweeps, "--out", out, "--bins", 2, "--pilot", 2)
    read = tomllib.loads(out.read_text())
    assert learned["origin"]["model"].startswith("nano@")
    assert learned["origin"]["verifier"].startswith("nano-prm@")
    assert read["from"]["tasks"] == ["chain:ops=1,split=train", "chain:ops=3,split=train"]
    assert read["from"]["kinds"] == ["number"]
    assert (read["from"]["problems"], read["from"]["draws"]) == (32, 256)
    assert set(read["difficulty"]["names"]) >= {"mean_score", "log_tokens", "logprob"}
    assert read["bins"][0]["pass_at_1"] > read["bins"][1]["pass_at_1"]
    assert read["bins"][0]["options"][0]["flops"] > 0
    prose = mull("train", "policy", *sweeps, "--out", out, "--bins", 2, "--pilot", 2)
    assert "32 problems" in prose.stdout
    assert "bin 1: pass@1" in prose.stdout
    solved = mull_json("solve", "b:a+45;a:9;c:b-30;c?", "-s", f"auto:policy={out}", *PRM)
    assert solved["answer"] == "24"
    assert solved["notes"]["option"] in {o["strategy"] for b in read["bins"] for o in b["options"]}
    # Without its verifier, and with another model, it is refused.
    for other, says in (
        ((), f"needs a verifier: name one with --verifier or verifier=; the policy {out} was learned with nano-prm@"),
        ((*PRM, "--model", "mini"), "not mini@"),
    ):
        done = mull("solve", "b:a+45;a:9;c:b-30;c?", "-s", f"auto:policy={out}", *other)
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_cannot_be_learned_from_is_refused_in_one_line(
    mull, sweeps: list[Path], recording: Path, tmp_path
) -> None:
    other = tmp_path / "other.jsonl"
    lines = sweeps[1].read_text().splitlines()
    head = json.loads(lines[0])
    head["sweep"]["verifier_identity"] = None
    other.write_text("\n".join([json.dumps(head), *lines[1:]]))
    for arguments, says in (
        ((*sweeps,), "32 problems are too few to learn a policy from: 5 bins of 8 problems"),
        ((sweeps[0], other), "differ in their verifier: nano-prm@"),
        ((recording,), "does not say which model and verifier"),
        ((*sweeps, "--model", "mini"), "has no draws of the model 'mini'; it has nano"),
        ((*sweeps, "--bins", "2", "--unit", "usd", "--pilot", "8"), "have at most 8 draws"),
    ):
        done = mull("train", "policy", *arguments, "--out", tmp_path / "policy.toml")
        assert done.returncode == 2, done.stdout
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "policy.toml").exists()


def test_a_sweep_lends_independent_draws_with_their_scores(mull, tmp_path: Path) -> None:
    """Not the replies of a search, which are no sample of what the model says, and of equals those that have scores."""
    out = tmp_path / "sweep.jsonl"
    strategies = [part for s in ("majority:n=4", "weighted:n=4", "rebase:n=6") for part in ("-s", s)]
    done = mull("sweep", "chain:ops=2", *strategies, "-p", 2, *PRM, "--out", out)
    assert done.returncode == 0, done.stderr
    _, *rows = map(json.loads, out.read_text().splitlines())
    assert [row["strategy"] for row in rows] == ["weighted:n=4"] * 2
    assert all(sample["score"] is not None and sample["logprob"] < 0 for row in rows for sample in row["samples"])
