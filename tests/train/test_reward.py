"""Training of reward models on nano: what is learned, what is refused, and that the runtime says the same.

They need torch: `make test-torch` runs them, the plain run skips them.
"""

import asyncio
import random
from pathlib import Path

import pytest

from mull import Finish, Problem, Prompt, Sample
from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.runtime import WEIGHTS
from mull.train import data
from mull.train.label import Labelled
from mull.verifiers.trained import Trained

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("trl")

from mull.train import outcome, reward  # noqa: E402 - they import torch
from mull.train.calibration import auc, calibration_error, platt  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # transformers and trl warn of their own doings
BASE = str(WEIGHTS / "nano")
ORIGIN = data.LabelOrigin("nano@1", "b2:1", "omega", "sums", "\n", 0)


def solution(i: int, is_right: bool) -> Labelled:
    """A chain of two sums, the second of them wrong where the solution is."""
    rng = random.Random(i)
    a, b, c = (rng.randint(10, 40) for _ in range(3))
    result = a + b + c + (0 if is_right else rng.choice((-10, -1, 1, 10)))
    steps = (
        "<think>\n", f"z:y:x:{a}\n", f"y:x+{b}={a}+{b}={a + b}\n", f"z:y+{c}={a + b}+{c}={result}\n", "</think>\n",
        f"answer: {result}",
    )  # fmt: skip
    hard = (1, 1, 1, *[int(is_right)] * 3)
    return Labelled(f"p{i}", f"x:{a};y:x+{b};z:y+{c};z?", steps, hard, (1,) * 6, hard, is_right)


def labels(n: int = 120) -> data.LabelFile:
    from mull import Cost

    return data.LabelFile(ORIGIN, [solution(i, right) for i in range(n) for right in (True, False)], Cost())


def test_step_ends_are_the_last_tokens_of_steps() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
    one = solution(1, True)
    encoded = reward.encode(tokenizer, one, "hard")
    pieces = [
        tokenizer.decode(encoded.ids[a + 1 : b + 1])
        for a, b in zip([encoded.start - 1, *encoded.ends], encoded.ends, strict=False)
    ]
    assert "".join(pieces) == "".join(one.steps)
    assert [piece[-1] for piece in pieces[:-1]] == ["\n"] * 5


@pytest.mark.parametrize("readout", ["next", "class"])
def test_a_process_reward_model_is_trained_and_the_runtime_says_what_torch_says(tmp_path: Path, readout: str) -> None:
    told = []
    options = reward.Options(readout=readout, epochs=2, rate=1e-4, batch_tokens=1024)
    trained = reward.train_prm(BASE, labels(), tmp_path / "prm", options, lambda *part: told.append(part))
    assert told
    assert told[-1][0] == 1.0
    if readout == "next":
        assert trained.auc is not None
        assert trained.auc > 0.9
    assert "measured on held-out problems" in (tmp_path / "prm" / "README.md").read_text()
    one = solution(999, False)
    problem = Problem("p", Prompt.user(one.prompt))
    verifier = Trained(str(tmp_path / "prm"))
    (score,) = asyncio.run(
        verifier.score(problem, [Sample(problem.prompt, "".join(one.steps), Finish.STOP)], MeteredCalls())
    )
    assert len(score.steps) == 6
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "prm")
    encoded = reward.encode(tokenizer, one, "hard")
    (batch,) = reward.batches([encoded], 4096, 0, None)
    reading = verifier._reading
    if readout == "next":
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "prm", dtype=torch.float32)
        model = reward.NextTokens(plain)
        model.slope.data.fill_(reading.slope)
        model.offset.data.fill_(reading.offset)
    else:
        plain = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "prm", dtype=torch.float32)
        model = reward.LastTokens(plain.eval())
    logits = model(batch.ids, batch.starts, batch.rows, batch.places)
    expected = torch.sigmoid(reading.scale * logits + reading.shift).tolist()
    assert score.steps == pytest.approx(expected, abs=2e-3)


def test_an_outcome_reward_model_is_trained_on_pairs(tmp_path: Path) -> None:
    options = reward.Options(epochs=1, rate=1e-4, batch_tokens=1024)
    trained = outcome.train_orm(BASE, labels(), tmp_path / "orm", options)
    assert trained.parameters == 329_184
    one = solution(999, True)
    problem = Problem("p", Prompt.user(one.prompt))
    (score,) = asyncio.run(
        Trained(str(tmp_path / "orm")).score(
            problem, [Sample(problem.prompt, "".join(one.steps), Finish.STOP)], MeteredCalls()
        )
    )
    assert score.steps == ()
    assert score.value is not None
    assert 0 < score.value < 1


def test_labels_that_teach_nothing_or_are_anothers_are_refused() -> None:
    file = labels(4)
    one_sided = file._replace(labelled=[one for one in file.labelled if one.correct])
    with pytest.raises(UsageError, match="24 steps are labelled right and 0 wrong"):
        reward.check(one_sided, "nano", "b2:1", is_forced=False)
    with pytest.raises(UsageError, match=r"solutions of nano@1 .*and the base is mini"):
        reward.check(file, "mini", "b2:1", is_forced=False)
    with pytest.raises(UsageError, match=r"\(tokenizer b2:1\), and the base is nano \(tokenizer b2:2\)"):
        reward.check(file, "nano", "b2:2", is_forced=False)
    with pytest.raises(UsageError, match="0 steps are labelled right and 0 wrong"):
        reward.check(file._replace(labelled=[]), "nano", "b2:1", is_forced=False)
    reward.check(file, "mini", "b2:1", is_forced=True)
    reward.check(file, "nano", "b2:1", is_forced=False)


def test_an_interrupted_training_goes_on_where_it_was(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: float, loss: float) -> None:
        if done >= 0.5:
            raise Stop

    options = reward.Options(readout="next", epochs=3, rate=1e-4, batch_tokens=1024)
    with pytest.raises(Stop):
        reward.train_prm(BASE, labels(), tmp_path, options, stop)
    told = []
    reward.train_prm(BASE, labels(), tmp_path, options, lambda done, loss: told.append(done))
    assert told[0] > 0.5
    assert not (tmp_path / "checkpoint.pt").exists()


def test_areas_and_calibration() -> None:
    scores = torch.tensor([0.1, 0.4, 0.4, 0.8])
    assert auc(scores, torch.tensor([False, False, True, True])) == pytest.approx(3.5 / 4)
    assert auc(scores, torch.tensor([True] * 4)) is None
    logits, chances = torch.linspace(-4, 4, 4001), torch.sigmoid(2 * torch.linspace(-4, 4, 4001) - 1)
    scale, shift = platt(logits, chances)
    assert (scale, shift) == (pytest.approx(2, abs=1e-3), pytest.approx(-1, abs=1e-3))
    assert calibration_error(chances, chances) < 1e-6
