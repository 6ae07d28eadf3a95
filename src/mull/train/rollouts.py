"""Rounds of reinforcement learning: groups of draws of the current weights, with their rewards and advantages."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mull.cost import total
from mull.errors import MullError, UsageError, VerifierError
from mull.models.live import LiveModel
from mull.replies.answers import answers_of
from mull.run import Run
from mull.train.advantages import Rewarded, Variant, advantages, overlong
from mull.train.lessons import ProblemOrder
from mull.train.objectives import Objective, Wide
from mull.types import Cost, Finish, Params, Problem, Sample, Task, Verifier

SEEDS_APART = 1_000_003
"""Between the seeds of two steps."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """How draws are rewarded.

    `reward` scores draws instead of the task's checker; `chooser` scores them for `best@k`. `format` is added for a
    reply that ended by itself with an answer. `soft` is the number of tokens before `max_tokens` over which DAPO's
    penalty on length grows.
    """

    objective: Objective
    variant: Variant
    reward: Verifier | None = None
    chooser: Verifier | None = None
    format: float = 0.0
    soft: int = 0

    def __post_init__(self) -> None:
        aim = self.objective.aim
        if aim == "best" and self.chooser is None:
            raise UsageError(f"{self.objective} needs the verifier that best-of-n chooses by: add --verifier")
        if aim != "best" and self.chooser is not None:
            raise UsageError(f"--verifier chooses for best@k, and the objective is {self.objective}: leave one out")
        if self.reward is not None and aim != "pass":
            raise UsageError(
                f"{self.objective} needs to know which draws are right, so it takes the task's checker: leave out "
                "--reward"
            )
        if not 0 <= self.format <= 1:
            raise UsageError(f"the reward for the format must be between 0 and 1, not {self.format}")


@dataclass(frozen=True, slots=True)
class DrawnGroup:
    """The draws of one problem, what is known of each, and what each teaches."""

    problem: Problem
    prompt: tuple[int, ...]
    samples: tuple[Sample, ...]
    rewarded: tuple[Rewarded, ...]
    advantages: Wide
    cost: Cost

    @property
    def teaches(self) -> bool:
        """Whether any draw has an advantage; a group of equal rewards has none."""
        return bool(self.advantages.any())


class Rollout(NamedTuple):
    """One draw as the trainer reads it."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    advantage: float


@dataclass(frozen=True, slots=True)
class DrawnRound:
    """The groups of one step in the order of their problems, and the position of the next problem."""

    groups: tuple[DrawnGroup, ...]
    position: int
    cost: Cost
    seconds: float

    @property
    def all_rollouts(self) -> list[Rollout]:
        """All draws."""
        return [one for group in self.groups for one in _rollouts(group)]

    @property
    def rollouts(self) -> list[Rollout]:
        """The draws of groups that teach something."""
        return [one for group in self.groups if group.teaches for one in _rollouts(group)]


def _rollouts(group: DrawnGroup) -> list[Rollout]:
    return [
        Rollout(group.prompt, sample.tokens or (), sample.logprobs or (), float(advantage))
        for sample, advantage in zip(group.samples, group.advantages, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class RoundSize:
    """Groups of a step, draws of a group, tokens of a draw; `most` times as many groups where groups teach nothing."""

    groups: int
    draws: int
    max_tokens: int
    most: int = 3

    def __post_init__(self) -> None:
        if self.groups < 1 or self.draws < 2 or self.max_tokens < 1:
            raise UsageError("a step needs at least 1 group of at least 2 draws of at least 1 token")


def micro_batches(n_draws: int, updates: int, most_rows: int) -> int:
    """The number of micro-batches of one update, the smallest that divides its draws and keeps to `most_rows` each.

    Raises `UsageError` if the updates do not divide the draws.
    """
    if n_draws % updates:
        raise UsageError(f"{n_draws} draws a step cannot be divided into {updates} updates of one size")
    rows = n_draws // updates
    return next(n for n in range(1, rows + 1) if rows % n == 0 and rows // n <= max(1, most_rows))


async def draw_round(
    model: LiveModel, order: ProblemOrder, position: int, size: RoundSize, rewards: Rewards, seed: int
) -> DrawnRound:
    """One step's groups, drawn at once.

    With dynamic sampling, groups that teach nothing are replaced until there are `size.groups` that do, or
    `size.most` times as many were drawn. All draws are kept in the round and counted. Raises what `draw_group` raises.
    """
    began = time.perf_counter()
    groups: list[DrawnGroup] = []
    wanted = size.groups
    while wanted > 0:
        asked = [order.at(position + i) for i in range(wanted)]
        position += wanted
        try:
            async with asyncio.TaskGroup() as tasks:
                coming = [
                    tasks.create_task(draw_group(model, task, problem, size, rewards, seed)) for task, problem in asked
                ]
        except* MullError as errors:
            raise errors.exceptions[0] from None
        groups += [one.result() for one in coming]
        wanted = 0
        if rewards.variant.draws_again:
            missing = size.groups - sum(group.teaches for group in groups)
            wanted = min(missing, size.most * size.groups - len(groups))
    cost = total(group.cost for group in groups)
    return DrawnRound(tuple(groups), position, cost, time.perf_counter() - began)


async def draw_group(
    model: LiveModel, task: Task, problem: Problem, size: RoundSize, rewards: Rewards, seed: int
) -> DrawnGroup:
    """The draws of one problem at temperature 1, rewarded.

    Raises `PromptError` if the model cannot read the problem, and `VerifierError` if a verifier can score no draw.
    """
    prompt = model.prompt_tokens(problem.prompt)
    run = Run(model, params=Params(1.0, size.max_tokens), seed=seed)
    samples = tuple(await run.draw(problem.prompt, size.draws))
    known = await _rewarded(run, task, problem, samples, size, rewards)
    found = advantages(known, rewards.variant, rewards.objective)
    return DrawnGroup(problem, prompt, samples, tuple(known), found, run.spent)


async def _rewarded(
    run: Run, task: Task, problem: Problem, samples: Sequence[Sample], size: RoundSize, rewards: Rewards
) -> list[Rewarded]:
    answers = await answers_of(problem, samples)
    right: list[float | None]
    if rewards.reward is not None:
        right = await _scores(run, rewards.reward, problem, samples)
    else:
        grades = [await task.grade(problem.id, sample) for sample in samples]
        right = [None if grade.correct is None else float(grade.correct) for grade in grades]
    scores: Sequence[float | None] = [None] * len(samples)
    if rewards.chooser is not None:
        scores = await _scores(run, rewards.chooser, problem, samples)
    found = []
    for sample, answer, reward, score in zip(samples, answers, right, scores, strict=True):
        bonus = rewards.format if sample.finish is Finish.STOP and answer is not None else 0.0
        bonus += overlong(len(sample.tokens or ()), size.max_tokens, rewards.soft)
        found.append(Rewarded(reward, answer, score, bonus))
    return found


async def _scores(run: Run, verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
    scores = await run.on(verifier=verifier).score(problem, samples)
    if all(score.value is None for score in scores):
        raise VerifierError(
            f"{verifier.name} can score none of the {len(scores)} draws of {problem.id}: {scores[0].why or 'no reason'}"
            "; train with the task's checker, or with a verifier for this kind of problem"
        )
    return [score.value for score in scores]


def entropy_of(groups: Sequence[DrawnGroup]) -> float | None:
    """An unbiased estimate of the model's entropy per token, in nats: the mean of minus the log-probabilities."""
    logprobs = [p for group in groups for sample in group.samples for p in sample.logprobs or ()]
    return -math.fsum(logprobs) / len(logprobs) if logprobs else None


def figures_of(drawn: DrawnRound) -> dict[str, float | int | None]:
    """A round's figures, as a row of a curve: counts, means over its draws, and what the draws cost.

    `reward` has the bonus of each draw in it, `right` is the mean of what the checker or the verifier said, over draws
    with a verdict. `entropy` is in nats per token; `waits` is the share of replies in which the model corrects itself.
    """
    known = [one for group in drawn.groups for one in group.rewarded if one.reward is not None]
    samples = [sample for group in drawn.groups for sample in group.samples]
    n = len(samples)
    return {
        "position": drawn.position,
        "groups": len(drawn.groups),
        "taught": sum(group.teaches for group in drawn.groups),
        "draws": n,
        "unknown": n - len(known),
        "reward": math.fsum((one.reward or 0.0) + one.bonus for one in known) / max(1, len(known)),
        "right": math.fsum(one.reward or 0.0 for one in known) / max(1, len(known)),
        "length": sum(len(sample.tokens or ()) for sample in samples) / n,
        "waits": sum("Wait" in sample.text for sample in samples) / n,
        "cut_off": sum(sample.finish is Finish.LENGTH for sample in samples) / n,
        "entropy": entropy_of(drawn.groups),
        "output_tokens": drawn.cost.output_tokens,
        "draw_flops": drawn.cost.flops,
    }
