"""What a verifier is worth, against figures that can be worked out by hand."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from mull.files.recording import Recording, of_columns
from mull.lab.recorded import read_recorded
from mull.lab.verify import accuracy, combined, scored, worth
from mull.stats.ranking import auc, calibration_error
from mull.verifiers.countdown import CountdownChecker


def pool(scores: list[float | None], correct: list[bool], name: str = "p") -> Recording:
    return of_columns(name, correct, ("a",) * len(scores), scores)


def test_figures_by_hand() -> None:
    rows = np.array([(0.9, 1), (0.8, 0), (0.4, 1), (0.1, 0)])
    assert accuracy(rows) == 0.5
    assert auc(rows) == 0.75
    assert auc(rows[[0, 2]]) is None
    assert auc(np.array([(0.5, 1), (0.5, 0)])) == 0.5
    # One bin each: |.9 - 1| + |.8 - 0| + |.4 - 1| + |.1 - 0| over four.
    assert calibration_error(rows) == pytest.approx((0.1 + 0.8 + 0.6 + 0.1) / 4)


def test_the_ceiling_and_the_gap_it_leaves() -> None:
    """Accepts 2 of 2 right draws and 1 of 2 wrong ones: the ceiling is .5 / (.5 + .5 * .5) = 2/3."""
    found = worth("v", [pool([0.9, 0.6, 0.7, 0.2], [True, True, False, False])])
    assert found.ceiling is not None
    assert found.ceiling.value == pytest.approx(2 / 3)
    assert (found.best, found.coverage, found.gap, found.k) == (1.0, 1.0, 0.0, 4)
    wrong = worth("v", [pool([0.9, 0.6, 0.7, 0.95], [True, True, False, False])])
    assert (wrong.best, wrong.gap) == (0.0, 1.0)


def test_what_is_unscored_is_counted_and_unknown_is_none() -> None:
    found = worth("v", [pool([None, None], [True, False])], why="the server is down")
    assert (found.scored, found.unscored, found.why_unscored) == (0, 2, "the server is down")
    assert found.accuracy is found.auc is found.calibration_error is found.best is found.gap is None


def test_calibration_mends_a_verifier_that_is_sure_of_too_much() -> None:
    """Scores s where the chance is s squared: after calibration on the other problems most of the error is gone."""
    rng = np.random.default_rng(3)
    pools = []
    for i in range(200):
        scores = rng.random(20)
        pools.append(pool(list(scores), list(rng.random(20) < scores**2), str(i)))
    found = worth("v", pools)
    assert found.calibration_error == pytest.approx(1 / 6, abs=0.02)
    assert found.calibrated_error is not None
    assert found.calibrated_error < 0.04
    assert found.auc_ci95 is not None
    assert found.auc is not None
    assert found.auc_ci95.low < found.auc < found.auc_ci95.high


def test_many_weak_verifiers_together_beat_each() -> None:
    rng = np.random.default_rng(4)
    truth = [list(rng.random(10) < 0.4) for _ in range(200)]
    columns = {
        str(j): [
            pool([float(np.clip(0.5 + (0.25 if c else -0.25) + rng.normal() / 3, 0, 1)) for c in t], t) for t in truth
        ]
        for j in range(5)
    }
    together = combined(columns)
    assert together is not None
    alone = [worth(name, pools).auc or 0 for name, pools in columns.items()]
    assert (worth("all", together).auc or 0) > max(alone) + 0.03
    assert combined({"0": columns["0"], "1": columns["1"]}) is None


def test_a_checker_scores_the_texts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    texts = {"answer: 10+3-2": True, "answer: 10+3": False}
    samples = [{"text": text, "correct": correct} for text, correct in texts.items()]
    path.write_text(json.dumps({"problem_id": "a", "prompt": "reach 11 with 3 10 2", "samples": samples}) + "\n")
    (group,) = read_recorded(path).groups.values()
    pools, why = asyncio.run(scored(group.recordings, CountdownChecker()))
    assert (pools[0].scores, why) == ((1.0, 0.0), "")
    assert worth("countdown", pools).accuracy == 1.0
