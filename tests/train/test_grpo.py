"""A run of reinforcement learning: it raises the reward, resumes to the same end, and stops with its best weights.

Needs torch: the plain run skips it.
"""

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")


from mull.models.embedded import Nano
from mull.models.live import Checkpoint
from mull.runtime import WEIGHTS
from mull.runtime.session import read_safetensors
from mull.tasks.synthetic import ChainTask
from mull.train.advantages import VARIANTS
from mull.train.curve import RunFolder
from mull.train.grpo import Reinforced, Reinforcement, train_grpo
from mull.train.objectives import Objective
from mull.train.rollouts import Rewards, RoundSize
from mull.types import Grade, Sample

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what the libraries warn of is theirs
    pytest.mark.usefixtures("one_thread"),
]


class Checks(ChainTask):
    """A toy task: a reply is right if the model corrects itself in it, as about a fifth of nano's replies do."""

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade("Wait" in sample.text)


def trained(out: Path, steps: int, tick: Any = lambda _: None, *, loss: str = "dr-grpo", **options: Any) -> Reinforced:
    size = RoundSize(4, 8, 160)
    rewards = Rewards(Objective(), VARIANTS[loss])
    plan = Reinforcement(steps, size, rewards, **{"rate": 2e-3, "warmup": 2, "every": 2, **options})
    return train_grpo(Nano(), [Checks(2, split="train")], RunFolder(out, {"loss": loss}), plan, tick)


def test_reward_rises_within_20_steps(tmp_path: Path) -> None:
    done = trained(tmp_path, 20, rate=3e-4)
    first, last = (math.fsum(row["right"] for row in rows) / 4 for rows in (done.rows[:4], done.rows[-4:]))
    # Of 128 draws each: with equal chances, a difference of 5 standard deviations has a chance below 1 in a million.
    pooled = (first + last) / 2
    assert last - first > 5 * math.sqrt(pooled * (1 - pooled) * 2 / 128)
    assert not done.stopped
    assert [row["step"] for row in done.rows] == list(range(1, 21))
    assert all(row["output_tokens"] > 0 and row["draw_flops"] > 0 and row["train_flops"] >= 0 for row in done.rows)
    model = Checkpoint(str(tmp_path))
    before = read_safetensors(WEIGHTS / "nano" / "model.safetensors")
    after = read_safetensors(tmp_path / "model.safetensors")
    assert {name: t.shape for name, t in after.items()} == {name: t.shape for name, t in before.items()}
    assert model.identity.startswith(f"{tmp_path.name}@")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_grpo import trained

def tick(row):
    if row["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)

trained(Path({out!r}), 8, tick, loss={loss!r}, updates=2, kl={kl})
"""


def plain(rows: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]


@pytest.mark.parametrize(("loss", "kl"), [("grpo", 0.05), ("dapo", 0.0)])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path, loss: str, kl: float) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    script = KILLED.format(tests=str(Path(__file__).parent), out=str(broken), loss=loss, kl=kl)
    died = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    rows = [json.loads(line) for line in (broken / "curve.jsonl").read_text().splitlines()]
    assert len(rows) == 5, "the checkpoint is of step 4"
    assert not (broken / "model.safetensors").exists()
    (broken / "checkpoints" / "checkpoint-99").mkdir()  # as one that was being written
    resumed = trained(broken, 8, loss=loss, updates=2, kl=kl)
    undisturbed = trained(whole, 8, loss=loss, updates=2, kl=kl)
    assert plain(resumed.rows) == plain(undisturbed.rows)
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    again = trained(broken, 8, loss=loss, updates=2, kl=kl)
    assert plain(again.rows) == plain(undisturbed.rows), "a run that has ended trains no more"


def test_a_run_that_diverges_stops_with_its_best_weights(tmp_path: Path) -> None:
    done = trained(tmp_path, 40, rate=1.0, warmup=0)
    assert "lower --rate" in done.stopped or "all rewards were equal" in done.stopped
    assert done.steps < 40
    weights = read_safetensors(tmp_path / "model.safetensors")
    best = read_safetensors(tmp_path / "best.safetensors")
    assert all(abs(weights[name] - best[name]).max() < 0.01 for name in best)
    assert "was stopped" in (tmp_path / "README.md").read_text()
