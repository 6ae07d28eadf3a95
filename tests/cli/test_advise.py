"""`mull advise` as a process of its own: a pilot under a ceiling, recorded draws, keys, files, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models on 40 problems of 8 draws: `small` is right most of the time, `large` nearly always."""
    path = tmp_path_factory.mktemp("advise") / "draws.jsonl"
    rng = np.random.default_rng(0)
    rows = []
    for model, a in (("small", 3.0), ("large", 30.0)):
        for i in range(40):
            p, samples = rng.beta(a, 2), []
            for _ in range(8):
                answer = "1" if rng.random() < p else str(rng.integers(2, 6))
                samples.append({"text": answer, "final_answer": answer, "output_tokens": 20})
            rows.append({"problem_id": f"p{i}", "prompt": f"?{i}", "answer": "1", "model": model, "samples": samples})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_pilot_of_a_task_keeps_its_ceiling_and_says_what_to_do(mull_json: Any, tmp_path: Path) -> None:
    page = tmp_path / "advice.html"
    found = mull_json(
        "advise", "chain:ops=4", "--pilot", "20x4", "--tokens", 9000, "--n", "4,8", "--bank", "none", "--out", page
    )
    assert set(found) >= {"recommendation", "options", "verdict"}
    spent = found["pilot"]["spent"]
    assert 0 < spent["output_tokens"] + spent["verifier_tokens"] <= 9000
    assert found["pilot"]["problems"] == 20
    for option in found["options"]:
        assert set(option) >= {"strategy", "model", "accuracy", "ci90", "cost", "why"}
        assert option["ci90"][0] <= option["accuracy"] <= option["ci90"][1]
        assert option["cost"]["flops"] > 0
    assert {o["strategy"] for o in found["options"]} == {
        "single",
        *(f"{k}:n={n}" for k in ("majority", "adaptive") for n in (4, 8)),
    }
    html = page.read_text()
    assert "<svg" in html
    assert found["recommendation"]["strategy"] in html
    assert "http-equiv" not in html
    assert 'src="http' not in html


def test_a_strategy_is_run_on_the_pilot_where_it_is_asked_for(mull_json: Any) -> None:
    found = mull_json(
        "advise", "countdown:numbers=3", "--pilot", "12x4", "--verifier", "countdown", "-s", "beam:n=4,width=2",
        "--n", "4", "--verifier", "nano-prm", "--bank", "none",
    )  # fmt: skip
    measured = [o for o in found["options"] if o["known_by"] == "measured"]
    assert [o["strategy"] for o in measured] == ["beam:n=4,width=2"]


def test_recorded_draws_of_several_models_are_weighed_by_price(mull: Any, mull_json: Any, recorded: Path) -> None:
    found = mull_json("advise", recorded, "--group", "small", "--group", "large", "--n", "4,8", "--accuracy", "0.9")
    assert found["verdict"] == "bigger model"
    assert found["recommendation"]["model"] == "large"
    done = mull("advise", recorded, "--group", "small", "--bigger", "large", "--n", "4,8", "--queries", 1000)
    assert done.returncode == 0, done.stderr
    assert "1,000 questions a month take" in done.stdout
    assert "not worth the same on every model" in done.stdout
    priced = mull_json(
        "advise", recorded, "--group", "small", "--usd-per-draw", "0.001", "--bigger", "gpt", "--bigger-accuracy",
        "0.97", "--bigger-usd", "0.1", "--usd", "0.01", "--n", "4,8",
    )  # fmt: skip
    assert priced["unit"] == "usd"
    assert priced["recommendation"]["model"] == "small"
    assert priced["recommendation"]["cost"]["usd"] <= 0.01


def test_counts_alone_foretell_one_draw_and_a_checker(mull_json: Any, tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    rng = np.random.default_rng(0)
    table.write_text("n_samples,n_correct\n" + "".join(f"20,{c}\n" for c in rng.binomial(20, rng.beta(0.5, 3, 60))))
    assert [o["strategy"] for o in mull_json("advise", table, "--n", "8,64")["options"]] == ["single"]
    found = mull_json("advise", table, "--n", "8,64", "--checker")
    assert [o["strategy"] for o in found["options"]] == ["single", "until-pass:n=8", "until-pass:n=64"]
    assert found["verdict"] == "scale"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chain:ops=4", "--pilot", "50"), "--pilot takes problems x draws, like 50x8"),
        (
            ("chain:ops=4", "--pilot", "50x8", "--tokens", "30", "--bank", "none"),
            "are less than one for each of 50 runs",
        ),
        (("nothing.jsonl",), "is neither a file nor a task"),
        (("SOURCE", "--tokens", "5"), "are for a pilot of a task"),
        (("SOURCE", "--usd", "1"), "in dollars is unknown.*--usd-per-draw.*without it, the advice is in tokens"),
        (("SOURCE", "--accuracy", "90"), "above 0 and at most 1"),
        (("SOURCE", "--n", "1"), "numbers of draws from 2"),
        (("SOURCE", "--bigger", "huge"), "huge"),
        (("SOURCE", "--bigger-usd", "1"), "goes with --bigger-accuracy"),
        (("SOURCE", "--out", "a.txt"), "ends in"),
        (("SOURCE", "--outlay", "5"), "queries per month"),
    ],
)
def test_bad_input_is_one_line(mull: Any, recorded: Path, arguments: tuple[str, ...], words: str) -> None:
    import re

    done = mull("advise", *[str(recorded) if a == "SOURCE" else a for a in arguments])
    assert done.returncode == 2, done.stdout
    assert re.search(words, done.stderr)
    assert len(done.stderr.strip().splitlines()) <= 2
