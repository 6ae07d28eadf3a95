"""Rounds of draws for reinforcement learning: which problems, which rewards, what they cost; all without torch."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mull.cost.flops import Architecture, read_config
from mull.errors import UsageError, VerifierError
from mull.models.live import LiveEngine, LiveModel
from mull.runtime import WEIGHTS
from mull.runtime.session import read_safetensors
from mull.tasks.files import FileTask
from mull.tasks.synthetic import ChainTask, CountdownTask
from mull.train.advantages import VARIANTS
from mull.train.estimate import FewDraws, adapter_size, estimate, memory_of, parts_of, passes_of, pilot_of
from mull.train.lessons import ProblemOrder
from mull.train.objectives import Objective
from mull.train.rollouts import (
    DrawnRound,
    Rewards,
    RoundSize,
    draw_round,
    entropy_of,
    figures_of,
    micro_batches,
)
from mull.types import Calls, Cost, Finish, Grade, Problem, Sample, Score

TRAIN = ChainTask(3, split="train")


@pytest.fixture(scope="module")
def model() -> LiveModel:
    folder = WEIGHTS / "nano"
    return LiveEngine(folder).use(read_safetensors(folder / "model.safetensors"))


class Unsplit:
    """An endless task of a user's own, which says nothing of splits."""

    name = "own"
    size = None

    def problems(self) -> Iterator[Problem]:
        return iter(())

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(None)


def drawn(
    model: LiveModel, rewards: Rewards, size: RoundSize | None = None, task: ChainTask = TRAIN, seed: int = 1
) -> DrawnRound:
    order = ProblemOrder([task], seed)
    return asyncio.run(draw_round(model, order, 0, size or RoundSize(3, 4, 120), rewards, seed))


def plain(loss: str = "dr-grpo", objective: Objective | None = None, **options: object) -> Rewards:
    return Rewards(objective or Objective(), VARIANTS[loss], **options)  # type: ignore[arg-type]


def test_a_round_has_each_draw_with_its_reward_and_all_costs(model: LiveModel) -> None:
    round_ = drawn(model, plain())
    assert [len(group.samples) for group in round_.groups] == [4, 4, 4]
    for group in round_.groups:
        for sample, one in zip(group.samples, group.rewarded, strict=True):
            grade = asyncio.run(TRAIN.grade(group.problem.id, sample))
            assert one.reward == float(bool(grade.correct))
    samples = [sample for group in round_.groups for sample in group.samples]
    assert round_.cost.calls == 12
    assert round_.cost.output_tokens == sum(len(sample.tokens or ()) for sample in samples)
    assert round_.cost.flops == pytest.approx(sum(sample.cost.flops or 0 for sample in samples))
    assert len(round_.all_rollouts) == 12
    assert len(round_.rollouts) == 4 * sum(group.teaches for group in round_.groups)
    figures = figures_of(round_)
    assert figures["draws"] == 12
    assert figures["length"] == pytest.approx(sum(len(sample.tokens or ()) for sample in samples) / 12)
    logprobs = [p for sample in samples for p in sample.logprobs or ()]
    assert entropy_of(round_.groups) == pytest.approx(-sum(logprobs) / len(logprobs))
    json.dumps(figures, allow_nan=False)


def test_a_round_is_the_same_again_and_another_with_another_seed(model: LiveModel) -> None:
    texts = [
        [sample.text for group in drawn(model, plain(), seed=seed).groups for sample in group.samples]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


class Never(ChainTask):
    """A task of which no reply is right."""

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        return Grade(False)


def test_groups_that_teach_nothing_are_drawn_again_and_counted(model: LiveModel) -> None:
    size = RoundSize(2, 3, 40, most=3)
    nothing = drawn(model, plain("dapo"), size, Never(1, split="train"))
    assert len(nothing.groups) == 6, "three times as many groups, and no more"
    assert nothing.position == 6
    assert nothing.cost.calls == 18
    assert nothing.rollouts == []
    assert figures_of(nothing)["taught"] == 0
    once = drawn(model, plain("grpo"), size, Never(1, split="train"))
    assert len(once.groups) == 2, "GRPO does not draw again"


def test_format_and_length_count_beside_the_checker(model: LiveModel) -> None:
    task, size = Never(2, split="train"), RoundSize(2, 8, 60)
    round_ = drawn(model, plain(format=0.2, soft=30), size, task)
    for group in round_.groups:
        for sample, one in zip(group.samples, group.rewarded, strict=True):
            n = len(sample.tokens or ())
            expected = 0.2 if sample.finish is Finish.STOP and one.answer is not None else 0.0
            assert one.bonus == pytest.approx(expected - max(0.0, n - 30) / 30)


class Lengths:
    """A verifier that prefers long replies, and knows nothing of some."""

    name = "lengths"
    identity = None

    def __init__(self, knows: bool = True) -> None:
        self.knows = knows

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return Cost()

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> list[Score]:
        return [Score(len(s.text) / 1000) if self.knows else Score(None, why="no idea") for s in samples]


def test_a_verifier_rewards_instead_of_the_checker(model: LiveModel) -> None:
    round_ = drawn(model, plain(reward=Lengths()))
    for group in round_.groups:
        assert [one.reward for one in group.rewarded] == [len(sample.text) / 1000 for sample in group.samples]


def test_a_verifier_that_cannot_score_stops_the_run(model: LiveModel) -> None:
    for options in ({"reward": Lengths(knows=False)}, {"chooser": Lengths(knows=False)}):
        aim = Objective("best", 2) if "chooser" in options else Objective()
        with pytest.raises(VerifierError, match=r"none of the 4 draws of .*: no idea; train with the task's checker"):
            drawn(model, plain(objective=aim, **options))


def test_rewards_that_do_not_fit_are_refused() -> None:
    for options, message in (
        ({"objective": Objective("best", 2)}, "add --verifier"),
        ({"chooser": Lengths()}, "leave one out"),
        ({"objective": Objective("maj", 3), "reward": Lengths()}, "leave out --reward"),
        ({"format": -0.5}, "between 0 and 1"),
    ):
        with pytest.raises(UsageError, match=message):
            plain(**options)  # type: ignore[arg-type]
    for size in ((0, 4, 10), (1, 1, 10), (1, 2, 0)):
        with pytest.raises(UsageError, match="at least 2 draws"):
            RoundSize(*size)


def test_tasks_without_a_training_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="add split=train"):
        ProblemOrder([ChainTask(3)], 0)
    with pytest.raises(UsageError, match="add split=train"):
        ProblemOrder([CountdownTask()], 0)
    with pytest.raises(UsageError, match=r"no training split.*file:PATH"):
        ProblemOrder([Unsplit()], 0)


def test_tasks_take_turns_and_a_finite_one_is_shuffled_anew(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"id": f"p{i}", "prompt": f"q{i}", "answer": str(i)}) + "\n" for i in range(6)))
    own = FileTask(path=str(path))
    order = ProblemOrder([own, TRAIN], 3)
    seen = [order.at(position) for position in range(24)]
    mine = [problem.id for task, problem in seen if task is own]
    assert sorted(mine[:6]) == sorted(mine[6:]) == [f"p{i}" for i in range(6)]
    assert mine[:6] != mine[6:]
    chains = [problem.id for task, problem in seen if task is TRAIN]
    assert chains == [f"{TRAIN.name}/0/{i}" for i in range(12)]
    resumed = ProblemOrder([own, TRAIN], 3)
    assert [resumed.at(position)[1].id for position in range(15, 24)] == [problem.id for _, problem in seen[15:]]


def test_micro_batches_divide_an_update() -> None:
    assert [micro_batches(64, 1, most) for most in (64, 33, 32, 5, 1)] == [1, 2, 2, 16, 64]
    assert micro_batches(64, 4, 6) == 4
    with pytest.raises(UsageError, match="64 draws a step cannot be divided into 3 updates"):
        micro_batches(64, 3, 8)


def test_the_expected_cost_is_that_of_rounds_like_the_pilot(model: LiveModel) -> None:
    round_ = drawn(model, plain(), RoundSize(4, 4, 120))
    pilot = pilot_of(round_.groups, 2.0)
    assert pilot.tokens_per_second == pytest.approx((round_.cost.output_tokens or 0) / 2)
    architecture = read_config(WEIGHTS / "nano" / "config.json")
    cost = estimate(
        architecture, 1, RoundSize(4, 4, 120), pilot, draws_again=False, has_kl=False, rows=4, n_parameters=300_000
    )
    assert cost.draws == 16
    assert cost.tokens == pytest.approx(round_.cost.output_tokens, abs=1)
    assert cost.draw_flops == pytest.approx(round_.cost.flops, rel=0.02)
    assert cost.most_tokens == 16 * 120
    assert cost.draw_seconds == pytest.approx(2.0)


def test_dynamic_sampling_and_a_reference_model_cost_more() -> None:
    architecture = read_config(WEIGHTS / "nano" / "config.json")
    pilot = FewDraws(n_prompt=20, n_output=50, tokens_per_second=1000, taught=0.5)

    def of(*, draws_again: bool, has_kl: bool) -> tuple[int, float]:
        cost = estimate(
            architecture,
            10,
            RoundSize(4, 8, 100),
            pilot,
            draws_again=draws_again,
            has_kl=has_kl,
            rows=8,
            n_parameters=300_000,
        )
        return cost.draws, cost.train_flops

    draws, flops = of(draws_again=False, has_kl=False)
    assert draws == 320
    assert flops == pytest.approx(160 * 3 * architecture.forward(70, 0, 50))
    assert of(draws_again=True, has_kl=False) == (640, pytest.approx(2 * flops))
    assert of(draws_again=False, has_kl=True)[1] == pytest.approx(flops * 2 * 4 / 3)
    small, large = (memory_of(architecture, 300_000, rows, 120, has_kl=False) for rows in (8, 16))
    assert small < large < 2 * small


def test_adapters_cost_less_and_large_vocabularies_make_small_micro_batches() -> None:
    """The figures of SmolLM2-135M."""
    model = Architecture(layers=30, width=576, heads=9, kv_heads=3, head=64, hidden=1536, outputs=49152)
    # A x and B x of q, k, v, o, gate, up and down, each [r, in] and [out, r].
    assert adapter_size(model, 16) == 16 * 30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))
    whole = memory_of(model, 134_515_008, 4, 200, has_kl=True)
    adapted = memory_of(model, 134_515_008, 4, 200, has_kl=True, lora=16)
    assert whole - adapted == 4 * (5 * 134_515_008 - 4 * adapter_size(model, 16))
    assert passes_of(has_kl=True, lora=16) == passes_of(has_kl=False, lora=0) == 3
    small = read_config(WEIGHTS / "nano" / "config.json")
    size = RoundSize(8, 16, 128)
    assert parts_of(small, size, 1) == 2, "64 rows of 256 tokens"
    # 2 GiB hold 1,138 tokens of 8 * 576 + 4 * 1536 numbers a layer and 3 * 49152 of the outputs: 4 rows of 256.
    assert parts_of(model, size, 1) == 32
