"""Calibrated confidence: what a curve is fitted to, where it counts, and where the confidence keeps its own name."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fault_server import FaultServer
from mull.errors import UsageError
from mull.runtime import WEIGHTS
from mull.serve.confidence import ConfidenceCurve, LabelledAnswer, MadeFor, brier, fit, read
from mull.serve.offer import Offer

Make = Callable[..., Any]
MADE_FOR = MadeFor(model="words", strategy="majority:n=4")
TEXTS = ("answer: a", "answer: b", "answer: a", "answer: c")  # in any four draws in turn, "a" has half of the votes


def rows(*parts: tuple[float, int, int]) -> list[LabelledAnswer]:
    """Votes by confidence: how many were right, of how many."""
    return [LabelledAnswer("vote", share, i < right) for share, right, n in parts for i in range(n)]


def test_a_curve_is_the_share_that_was_right() -> None:
    """Confidences whose shares are in the wrong order are pooled: 7 of 10 and 5 of 10 become 12 of 20."""
    given = [
        *rows((0.25, 2, 10), (0.5, 7, 10), (0.75, 5, 10), (1.0, 10, 10)),
        LabelledAnswer("judge", 0.9, is_right=False),
    ]
    curve = fit(MADE_FOR, given)
    assert (curve.chosen_by, curve.n) == ("vote", 40)
    assert [curve.chance("vote", share) for share in (0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0)] == pytest.approx(
        [0.2, 0.2, 0.2, 0.6, 0.6, 0.6, 1.0]
    )
    assert curve.chance("judge", 0.9) is None
    assert curve.chance("vote", None) is None
    with pytest.raises(UsageError, match="at least 20 answers with a confidence, and there are 19"):
        fit(MADE_FOR, rows((0.5, 4, 19)))


def test_the_error_is_measured_on_the_other_half() -> None:
    """Each half is all right at one confidence, and half right at the other: the curve of a half says just that."""
    half = [(1.0, True), (1.0, True), (0.9, True), (0.9, False)]
    given = [LabelledAnswer("vote", share, right) for share, right in half for _ in range(2)]
    raw, calibrated = brier(given)
    assert raw == pytest.approx((4 * 0.0 + 2 * 0.1**2 + 2 * 0.9**2) / 8)
    assert calibrated == pytest.approx((4 * 0.0 + 4 * 0.5**2) / 8)


def curve_of(folder: Path, value: float, **made_for: Any) -> Path:
    curve = ConfidenceCurve(
        made_for=MADE_FOR.model_copy(update=made_for), chosen_by="vote", n=50, starts=(0.25, 0.5), values=(0.1, value)
    )
    path = folder / "curve.json"
    path.write_text(curve.text)
    return path


def table(url: str, path: Path, more: str = "") -> str:
    preset = f'[presets.vote]\nstrategy = "majority:n=4"\ncalibration = "{path}"\n{more}\n'
    return f'[models.words]\nbase_url = "{url}"\n{preset}'


async def test_a_calibrated_confidence_is_told_and_abstained_by(gateway: Make, tmp_path: Path) -> None:
    async with FaultServer(texts=TEXTS) as upstream:
        path = curve_of(tmp_path, 0.8)
        async with gateway(table(upstream.url, path, "abstain = 0.7")) as served:
            told = (await served.ask("words@vote", seed=3)).mull["answers"][0]
            assert (told["confidence"], told["confidence_is"], told["own_confidence"]) == (0.8, "calibrated", 0.5)
            assert not told["abstained"]
            for fields in (
                {"temperature": 1},
                {"max_tokens": 50},
                {"stop": [], "top_p": 1, "user": "ann", "frequency_penalty": 0},
                {"extra_body": {"mull": {"strategy": "majority:n=4", "answer": "text"}, "logit_bias": {}}},
            ):
                told = (await served.ask("words@vote", seed=3, **fields)).mull["answers"][0]
                assert (told["confidence"], told["confidence_is"]) == (0.8, "calibrated"), fields
            for fields in (
                {"temperature": 0.5},
                {"top_p": 0.5},
                {"stop": ["zz"]},
                {"max_tokens": 1},
                {"frequency_penalty": 0.5},
                {"reasoning_effort": "low"},
                {"extra_body": {"top_k": 5}},
                {"extra_body": {"min_p": 0.1}},
                {"extra_body": {"verbosity": "low"}},
                {"extra_body": {"mull": {"answer": "last-line"}}},
                {"extra_body": {"mull": {"strategy": "majority:n=5"}}},
                {"extra_body": {"mull": {"budget": {"calls": 3}}}},
                {"response_format": {"type": "json_object"}},
            ):
                told = (await served.ask("words@vote", seed=3, **fields)).mull["answers"][0]
                assert told["confidence_is"] in ("vote share", None), fields
                assert "own_confidence" not in told
        curve_of(tmp_path, 0.3)
        async with gateway(table(upstream.url, path, "abstain = 0.4")) as served:
            reply = await served.ask("words@vote", seed=3)
            assert reply.choices[0].message.refusal == "No answer is given: its confidence (calibrated) is 0.30."


FILES = """
[serve]
models = ["words", "trained:lm"]
[verifiers]
good = "trained:folder=orm"
[judges]
fair = "scores:verifier=(trained:folder=orm)"
[presets.scored]
strategy = "best:n=2"
verifier = "good"
judge = "fair"
[presets.written]
strategy = "fuse:n=2,writer=(trained:lm)"
verifier = "trained:folder=./orm"
"""


def test_files_of_a_configuration_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their paths go from there, whatever folder the gateway is started in; those of its command from that folder."""
    curve_of(tmp_path, 0.8)
    (tmp_path / "orm").symlink_to(WEIGHTS / "nano-orm")
    (tmp_path / "lm").symlink_to(WEIGHTS / "nano")
    text = table("http://127.0.0.1:9/v1", Path("curve.json"), 'models = ["words"]')
    (tmp_path / "mull.toml").write_text(text + FILES)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for path in (Path("../mull.toml"), tmp_path / "mull.toml"):
        offer = Offer((), path)
        preset = offer.entries["words@vote"].preset
        assert preset is not None
        assert preset.calibration is not None
        assert [*offer.models] == ["words", "trained:lm"]
    with pytest.raises(UsageError, match="there is no folder 'lm'"):
        Offer(("trained:lm",), Path("../mull.toml"))
    assert [*Offer(("trained:../lm", "words"), Path("../mull.toml")).models] == ["trained:../lm", "words"]


@pytest.mark.parametrize(
    "made_for",
    [{"model": "other"}, {"strategy": "majority:n=8"}, {"answer": "number"}, {"temperature": 0.5}, {"max_tokens": 9}],
)
def test_a_curve_of_something_else_is_refused(tmp_path: Path, made_for: dict[str, Any]) -> None:
    path = curve_of(tmp_path, 0.8, **made_for)
    (tmp_path / "mull.toml").write_text(table("http://127.0.0.1:9/v1", path))
    with pytest.raises(UsageError, match=r"was fitted to .*: fit it again"):
        Offer((), tmp_path / "mull.toml")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"values": [0.9, 0.1]}, "ascending"),
        ({"values": [0.1]}, "equally many"),
        ({"values": [0.1, 1.5]}, "values.1"),
        ({"format": "mull-verifier"}, "format"),
        ({"code": "x"}, "code"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    path = curve_of(tmp_path, 0.8)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(UsageError, match=f"not a file of `mull train confidence`.*{what}"):
        read(path)


def test_the_command_makes_the_file_that_the_gateway_takes(tmp_path: Path) -> None:
    preset = '[presets.vote]\nstrategy = "majority:n=2"\nanswer = "number"\n'
    (tmp_path / "mull.toml").write_text(preset)
    command = [sys.executable, "-m", "mull", "train", "confidence", "chain:ops=1", "--preset", "nano@vote"]
    command += ["--out", "curve.json", "--problems", "24", "--bank", "none", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["questions"], told["chosen_by"]) == (24, "vote")
    curve = read(tmp_path / "curve.json")
    assert curve.n == told["answers"] >= 20
    assert curve.made_for == MadeFor(model="nano", strategy="majority:n=2", answer="number")
    (tmp_path / "mull.toml").write_text(f'{preset}calibration = "{tmp_path / "curve.json"}"\n')
    entry = Offer(("nano",), tmp_path / "mull.toml").entries["nano@vote"]
    assert entry.preset is not None
    assert entry.preset.calibration == curve
