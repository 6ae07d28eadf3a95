"""Combined and calibrated verifiers by their names: fitted on draws, read from a file, another's is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mull import Finish, Problem, Prompt, Sample, spec
from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.verifiers.combine import Combined, LabelModel
from mull.verifiers.fitted import text_of
from mull.verifiers.trained import NanoORM, NanoPRM
from warm import Warm

PROBLEM = Problem("p", Prompt.user("a:7;b:a*6;c:b-10;d:c+5;d?"))
RIGHT = "<think>\nd:c:b:a:7\nb:a*6=7*6=42\nc:b-10=42-10=32\nd:c+5=32+5=37\n</think>\nanswer: 37"
SAMPLES = [Sample(PROBLEM.prompt, text, Finish.STOP) for text in (RIGHT, RIGHT.replace("=32", "=33"), "@")]
MEMBERS = (NanoORM(), NanoPRM(), NanoPRM("min"))
MODEL = LabelModel((0.5, float("nan"), 0.4), (0.9, 0.5, 0.8), (0.1, 0.5, 0.3), (1.0, 0.0, 0.5), 0.4)
TEXT = "combined:of=((nano-orm),(nano-prm),(nano-prm:fold=min)),file={}"


@pytest.fixture
def mull(warm: Warm) -> Callable[..., Any]:
    def call(*arguments: object) -> Any:
        done = warm.mull(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


async def test_a_combined_verifier_is_what_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(text_of("combined", MEMBERS, MODEL))
    built = spec.build("verifier", spec.VERIFIERS, TEXT.format(file))
    assert spec.build("verifier", spec.VERIFIERS, spec.describe(spec.VERIFIERS, built)) == built
    scores = await built.score(PROBLEM, SAMPLES, MeteredCalls())
    expected = await Combined(MEMBERS, MODEL).score(PROBLEM, SAMPLES, MeteredCalls())
    assert [s.value for s in scores] == [s.value for s in expected]
    assert scores[2].value is None
    assert built.identity == Combined(MEMBERS, MODEL).identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verifiers": ["a", "b", "c"]}, "was fitted to"),
        ({"kind": "calibrated"}, "is for a calibrated verifier"),
        ({"format": "other"}, "not a file of `mull train combine`"),
        ({"fitted": {**json.loads(text_of("combined", MEMBERS, MODEL))["fitted"], "hits": [0.5]}}, "`hits` must be"),
        ({"fitted": {**json.loads(text_of("combined", MEMBERS, MODEL))["fitted"], "prior": 2}}, "`prior` must be"),
        ({"fitted": []}, "`cuts` must be"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({**json.loads(text_of("combined", MEMBERS, MODEL)), **change}))
    with pytest.raises(UsageError, match=message):
        spec.build("verifier", spec.VERIFIERS, TEXT.format(file))


def test_what_is_fitted_on_draws_of_nano_tells_right_from_wrong(mull, tmp_path: Path) -> None:
    """16 problems of 4 draws: no gold for `combine`; both outputs are verifiers that `curves` measures."""
    draws, model, curve = (tmp_path / name for name in ("draws.jsonl", "m.json", "curve.json"))
    mull("sweep", "chain:ops=5", "-s", "majority:n=4", "--problems", 16, "--out", draws, "--bank", "none", "--json")
    members = ("--verifier", "nano-orm", "--verifier", "nano-prm", "--verifier", "nano-prm:fold=min")
    made = mull("train", "combine", draws, *members, "--out", model, "--json")
    assert made["spec"] == TEXT.format(model)
    assert np.all(np.array(made["hits"]) > np.array(made["false_alarms"]))
    cured = mull("train", "calibrate", draws, "--verifier", "nano-orm", "--out", curve, "--json")
    asked = ("--verifier", made["spec"], "--verifier", cured["spec"], "--verifier", "nano-orm")
    rows = mull("curves", draws, *asked, "--json")["verifiers"]
    combined, calibrated, alone = rows[:3]
    assert combined["auc"] > 0.8
    assert calibrated["calibration_error"] < alone["calibration_error"]
