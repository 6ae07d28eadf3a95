"""Step labels by roll-outs: what is labelled, what it costs, and the numbers of the papers."""

import asyncio
import itertools
import json
import math
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mull import Cost, Finish, Params, Problem, Prompt, Sample
from mull.bank import MemoryBank
from mull.errors import FileFormatError, ModelError, UsageError
from mull.run import Run
from mull.tasks.synthetic import ChainTask
from mull.train import data
from mull.train.label import Labelled, OmegaPRM, agreement, first_wrong, labels_per_million, math_shepherd
from mull.types import Draw, Purse
from mull.types.refusals import CONTINUES

PROBLEM = Problem("p", Prompt.user("q"))


@dataclass
class StepModel:
    """Writes `n_steps` steps; the first reply of all goes wrong at step `error`, and a wrong prefix never leads on.

    From a right prefix a completion is right with the chance `chance`. `seen` lists how many steps each draw's
    prefix had.
    """

    n_steps: int = 16
    error: int = 6
    chance: float = 1.0
    can_continue: bool = True
    is_dead: bool = False
    seen: list[int] = field(default_factory=list)
    name: str = "steps"
    identity: str = "steps"

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None if self.can_continue else CONTINUES

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 1, self.n_steps, 0, 0, 0.0, 0.0, 0.0)

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            if self.is_dead:
                raise ModelError("the model is dead")
            done = prompt.prefix.count("\n")
            self.seen.append(done)
            is_first = done == 0 and draw.number == 0
            is_wrong = "bad" in prompt.prefix or random.Random(draw.seed).random() >= self.chance
            steps = []
            for i in range(done + 1, self.n_steps + 1):
                at = self.error if is_first else done + 1
                steps.append("bad\n" if i == at and (is_wrong or is_first) else "ok\n")
            text = "".join(steps)
            yield Sample(prompt, text, Finish.STOP, Cost(1, 1, len(steps)), draw.number, draw.seed)


async def right(sample: Sample) -> bool | None:
    return "bad" not in sample.reply


def run_of(model: StepModel, **options: object) -> Run:
    return Run(model, params=Params(max_tokens=64), **options)  # type: ignore[arg-type]


def test_math_shepherd_labels_every_prefix_by_its_completions() -> None:
    model = StepModel(n_steps=6, error=4)
    (one,) = asyncio.run(math_shepherd(PROBLEM, run_of(model), right, solutions=1, k=8))
    assert one.steps == ("ok\n", "ok\n", "ok\n", "bad\n", "ok\n", "ok\n")
    assert one.rollouts == (8, 8, 8, 8, 8, 1)
    assert one.hits == (8, 8, 8, 0, 0, 0)
    assert one.soft == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    assert one.hard == (1, 1, 1, 0, 0, 0)
    assert not one.correct


@pytest.mark.parametrize(("p", "chance"), [(0.02, 0.1492), (0.05, 0.3366), (0.1, 0.5695), (0.3, 0.9424)])
def test_hard_labels_of_eight_completions_are_as_likely_as_the_paper_says(p: float, chance: float) -> None:
    # 600 seeded prefixes: a right build leaves four standard errors in fewer than 1 of 10,000 seeds.
    n, hit = 600, 0
    for seed in range(n):
        model = StepModel(n_steps=2, error=2, chance=p)
        (one,) = asyncio.run(math_shepherd(PROBLEM, run_of(model, seed=seed), right, solutions=1, k=8))
        hit += one.hard[0] == 1
    assert hit / n == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / n))


def test_omega_finds_the_first_error_with_four_probes_of_sixteen_steps() -> None:
    model = StepModel(n_steps=16, error=6)
    search = OmegaPRM(k=8, searches=1, recheck=0)
    labelled = asyncio.run(search(PROBLEM, run_of(model), right))
    wrong = next(one for one in labelled if not one.correct)
    assert wrong.hard == (1,) * 5 + (0,) * 11
    probes = [done for done, _ in itertools.groupby(model.seen) if done]
    assert probes == [8, 4, 6, 5]
    assert len([done for done in model.seen if done]) == 32


def test_every_prefix_of_sixteen_steps_takes_almost_four_times_as_many_completions() -> None:
    """15 prefixes of 8 completions, for the whole solution needs none, against 4 probes of 8."""
    model = StepModel(n_steps=16, error=6)
    (one,) = asyncio.run(math_shepherd(PROBLEM, run_of(model), right, solutions=1, k=8))
    assert len([done for done in model.seen if done]) == 120
    assert one.hard == (1,) * 5 + (0,) * 11


def test_a_boundary_that_failed_by_chance_is_completed_again() -> None:
    # With completions right one time in ten, 8 of them all fail with a chance of .43: with 64 more, of .0005.
    found = {0: 0, 64: 0}
    for recheck in found:
        for seed in range(40):
            model = StepModel(n_steps=8, error=8, chance=0.1)
            search = OmegaPRM(k=8, searches=1, recheck=recheck)
            labelled = asyncio.run(search(PROBLEM, run_of(model, seed=seed), right))
            wrong = [one for one in labelled if not one.correct]
            found[recheck] += bool(wrong) and first_wrong([label != 0 for label in wrong[0].hard]) == 7
    assert found[64] > found[0]


def test_q_and_u_are_those_of_the_paper() -> None:
    search = OmegaPRM()
    for value, n_tokens, q in [
        (7 / 8, 250, 0.869946),
        (1 / 8, 250, 0.517273),
        (0.5, 500, 0.636396),
        (0.5, 1000, 0.572756),
    ]:
        assert search.quality(value, n_tokens) == pytest.approx(q, abs=1e-6)
    assert search.bonus(3, 25) == pytest.approx(0.15625)


def test_a_problem_that_is_always_right_or_never_has_nothing_to_search() -> None:
    for chance in (0.0, 1.0):
        model = StepModel(n_steps=4, error=99 if chance else 1, chance=chance)
        labelled = asyncio.run(OmegaPRM(k=4)(PROBLEM, run_of(model), right))
        assert all(one.correct for one in labelled)
        assert set(model.seen) == {0}


def test_labels_replay_from_the_bank() -> None:
    bank = MemoryBank()
    first = run_of(StepModel(), bank=bank)
    labelled = asyncio.run(OmegaPRM(k=4)(PROBLEM, first, right))
    again = run_of(StepModel(is_dead=True), bank=bank)
    assert asyncio.run(OmegaPRM(k=4)(PROBLEM, again, right)) == labelled
    assert again.spent == first.spent


def test_a_model_that_cannot_continue_is_refused_before_anything_is_spent() -> None:
    run = run_of(StepModel(can_continue=False))
    for how in (math_shepherd, OmegaPRM()):
        with pytest.raises(UsageError, match="cannot continue a partial reply"):
            asyncio.run(how(PROBLEM, run, right))  # type: ignore[operator]
    assert run.spent.calls == 0


def test_completions_that_revise_tell_nothing_of_the_prefix() -> None:
    class Reviser(StepModel):
        async def sample(self, prompt, params, draws, lost):  # type: ignore[no-untyped-def]
            async for sample in super().sample(prompt, params, draws, lost):
                if params.stop and sample.draw % 2:
                    yield Sample(prompt, "", Finish.STOP_STRING, sample.cost, sample.draw, sample.seed)
                else:
                    yield sample

    (one,) = asyncio.run(
        math_shepherd(PROBLEM, run_of(Reviser(n_steps=3, error=3)), right, solutions=1, k=8, revision="Wait")
    )
    assert one.rollouts == (4, 4, 1)


def test_the_truth_of_chain_steps() -> None:
    task = ChainTask(3)
    problem = next(task.problems())
    chain = task._chain(0)
    trail = ":".join(line.name for line in reversed(chain.lines)) + f":{chain.lines[0].value}\n"
    lines = [
        f"{line.fact}={source.value}{line.operator}{line.operand}={line.value}\n"
        for source, line in itertools.pairwise(chain.lines)
    ]
    told = ["<think>\n", trail, *lines, "Wait\n", "</think>\n", f"answer: {chain.answer}"]
    assert task.check_steps(problem.id, told) == [None, True, *[True] * 3, None, None, True]
    wrong = lines[1].rpartition("=")[0] + f"={chain.lines[2].value + 1}\n"
    assert task.check_steps(problem.id, [wrong, f"answer: {chain.answer + 1}", "so what\n"]) == [False, False, False]


def test_agreement_counts_only_steps_that_claim_something() -> None:
    one = Labelled("p", "q", ("a", "b", "c", "d"), (8, 8, 0, 0), (8, 8, 8, 1), (1, 1, 0, 0), False)
    found = agreement([one], [[True, None, False, None]])
    assert (found.steps, found.agreed, found.solutions, found.first_error_found) == (2, 2, 1, 1)
    late = agreement([one], [[True, False, False, True]])
    assert (late.steps, late.agreed, late.false_right, late.first_error_found) == (4, 3, 1, 0)
    assert labels_per_million([one], Cost(output_tokens=2000)) == 2000.0
    assert labels_per_million([one], Cost(output_tokens=None)) is None


def origin(**other: object) -> data.LabelOrigin:
    return data.LabelOrigin(**{  # type: ignore[arg-type]
        "model": "nano@1", "tokenizer": "b2:1", "method": "omega", "task": "chain:ops=2", "separator": "\n", "seed": 0,
        **other,
    })  # fmt: skip


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_labels_come_back_from_their_file(tmp_path: Path) -> None:
    one = Labelled("p", "q", ("a", "b"), (3, 0), (8, 1), (1, None), True)
    rows = [data.header(origin()), data.row("p", [one], Cost(calls=9, output_tokens=5))]
    file = data.read_labels(write(tmp_path / "l.jsonl", rows))
    assert file.labelled == [one]
    assert file.origin == origin()
    assert file.cost.output_tokens == 5


def test_a_malformed_file_of_labels_names_the_line(tmp_path: Path) -> None:
    head = data.header(origin())
    for rows, message in [
        ([{"steps": []}], "line 1: not a label file"),
        ([{**head, "labels": 99}], "labels of version 99, and this mull reads version 1"),
        (
            [head, {"problem": "p", "prompt": "q", "cost": {}, "solutions": [{"steps": ["a"]}]}],
            "line 2: not the labels",
        ),
    ]:
        with pytest.raises(FileFormatError, match=message):
            data.read_labels(write(tmp_path / "l.jsonl", rows))


def test_labels_of_two_models_are_refused_with_both_names(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [data.header(origin())])
    b = write(tmp_path / "b.jsonl", [data.header(origin(model="mini@2"))])
    with pytest.raises(UsageError, match=r"nano@1.*mini@2"):
        data.read_all([a, b])


def test_labels_by_two_tokenizers_are_refused_with_both_names(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [data.header(origin())])
    b = write(tmp_path / "b.jsonl", [data.header(origin(tokenizer="b2:2"))])
    with pytest.raises(UsageError, match=r"the tokenizer of .*a\.jsonl is 'b2:1', of .*b\.jsonl 'b2:2'"):
        data.read_all([a, b])


def test_labels_of_several_tasks_are_read_together_and_name_them_all(tmp_path: Path) -> None:
    one = Labelled("p", "q", ("a",), (1,), (1,), (1,), True)
    rows = [data.row("p", [one], Cost(output_tokens=5))]
    a = write(tmp_path / "a.jsonl", [data.header(origin()), *rows])
    b = write(tmp_path / "b.jsonl", [data.header(origin(task="chain:ops=3")), *rows])
    file = data.read_all([a, b])
    assert file.labelled == [one, one]
    assert file.origin.task == "chain:ops=2; chain:ops=3"
    assert file.cost.output_tokens == 10
