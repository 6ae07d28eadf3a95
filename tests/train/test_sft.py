"""Fine-tuning on traces, and distillation of a teacher. Needs torch: the plain run skips it."""

import itertools
import math
from pathlib import Path

import pytest

pytest.importorskip("trl")


from mull.errors import UsageError
from mull.files.recording import RecordedSample, Recording
from mull.models.embedded import Nano
from mull.runtime import EOS, WEIGHTS
from mull.runtime.session import read_safetensors
from mull.runtime.tokens import Tokens
from mull.tasks.synthetic import ChainTask
from mull.train.sft import FineTuning, encoded, train_sft

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what the libraries warn of is theirs
    pytest.mark.usefixtures("one_thread"),
]
NANO = WEIGHTS / "nano"


def odd_traces(n: int) -> list[Recording]:
    """Traces that nano never writes: a reply that says the answer alone."""
    task = ChainTask(2, split="train")
    found = []
    for problem in itertools.islice(task.problems(), n):
        answer = str(task._chain(int(problem.id.rpartition("/")[2])).answer)
        found.append(
            Recording(problem.id, prompt=problem.prompt.question, samples=(RecordedSample(f"answer: {answer}"),))
        )
    return found


def test_loss_on_held_out_problems_falls_and_the_run_resumes(tmp_path: Path) -> None:
    traces = odd_traces(60)
    done = train_sft(Nano(), traces, tmp_path / "a", FineTuning(epochs=4, rate=3e-3, batch_tokens=300))
    assert done.loss_before is not None
    assert done.loss_after is not None
    assert done.loss_after < done.loss_before / 2
    assert done.traces < 60, "some are held out"
    assert done.steps > 10
    again = train_sft(Nano(), traces, tmp_path / "a", FineTuning(epochs=4, rate=3e-3, batch_tokens=300))
    assert again == done
    other = train_sft(Nano(), traces, tmp_path / "b", FineTuning(epochs=4, rate=3e-3, batch_tokens=300))
    a, b = (read_safetensors(tmp_path / name / "model.safetensors") for name in "ab")
    assert all((a[name] == b[name]).all() for name in a)
    assert math.isclose(other.loss_after or 0, done.loss_after)


def test_traces_are_tokens_as_the_runtime_reads_them() -> None:
    """Also text that looks like a special token, which a model may have written."""
    tokens = Tokens(NANO)
    end = tokens.id_of[EOS]
    (one,) = encoded([Recording("p", prompt="a:7;a?", samples=(RecordedSample("answer: 7"),))], tokens, end)
    assert tokens.decode(one.ids[one.start :]) == "answer: 7"
    assert one.ids[-1] == end
    (odd,) = encoded([Recording("p", prompt="a:7;a?", samples=(RecordedSample("<eos>a"),))], tokens, end)
    assert end not in odd.ids[odd.start : -1]
    assert tokens.decode(odd.ids[odd.start :]) == "<eos>a"


def test_traces_that_cannot_be_learned_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="p: the trace has no prompt"):
        train_sft(Nano(), [Recording("p", samples=(RecordedSample("x"),))], tmp_path, FineTuning())
    with pytest.raises(UsageError, match=r"p: the base lacks tokens.*'Ü'"):
        train_sft(Nano(), [Recording("p", prompt="a?", samples=(RecordedSample("Ü"),))], tmp_path, FineTuning())
    long = Recording("p", prompt="a?", samples=(RecordedSample("a" * 2000),))
    with pytest.raises(UsageError, match="1 traces, 0 within 512 tokens, and none to learn from"):
        train_sft(Nano(), [long], tmp_path, FineTuning())
