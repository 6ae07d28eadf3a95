"""Reward models on the embedded runtime: what they say, what it costs, and that nothing computed before changes it."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mull import Cost, Finish, Params, Problem, Prompt, Run, Sample
from mull.errors import UsageError
from mull.models.embedded import Nano
from mull.replies.steps import split
from mull.run.calls import MeteredCalls
from mull.runtime import WEIGHTS
from mull.tasks.synthetic import ChainTask
from mull.train.label import first_wrong
from mull.verifiers.trained import NanoORM, NanoPRM, Scorer, Trained, all_right

PROBLEM = Problem("p", Prompt.user("a:7;b:a*6;c:b-10;d:c+5;d?"))
RIGHT = "<think>\nd:c:b:a:7\nb:a*6=7*6=42\nc:b-10=42-10=32\nd:c+5=32+5=37\n</think>\nanswer: 37"
WRONG = RIGHT.replace("42-10=32", "42-10=33").replace("32+5=37", "33+5=38").replace("answer: 37", "answer: 38")


def sample(text: str, prompt: Prompt = PROBLEM.prompt) -> Sample:
    return Sample(prompt, text, Finish.STOP)


async def test_every_step_is_scored_and_the_first_wrong_one_brings_the_score_down() -> None:
    right, wrong = await NanoPRM().score(PROBLEM, [sample(RIGHT), sample(WRONG)], MeteredCalls())
    assert len(right.steps) == len(split(RIGHT, "\n")) == 7
    assert right.value is not None
    assert wrong.value is not None
    assert right.value > 0.9
    assert wrong.value < 0.1
    assert right.steps[:3] == wrong.steps[:3], "they begin alike"
    assert wrong.steps[3] < 0.5 < wrong.steps[2]


async def test_wrong_steps_of_nanos_own_solutions_are_told_from_right_ones() -> None:
    # 60 held-out problems; on 1,200 the ROC area is .98, and .95 is eight standard errors of this sample below it.
    task, scores, truths = ChainTask(6, seed=11), [], []
    for problem in itertools.islice(task.problems(), 60):
        run = Run(Nano(), verifier=NanoPRM(), params=Params(max_tokens=300))
        samples = await run.draw(problem.prompt, 4)
        for one, score in zip(samples, await run.score(problem, samples), strict=True):
            claims = task.check_steps(problem.id, split(one.reply, "\n"))
            wrong = first_wrong(claims)
            for i, claim in enumerate(claims):
                if claim is not None:
                    scores.append(score.steps[i])
                    truths.append(wrong is None or i < wrong)
    values, is_right = np.array(scores), np.array(truths)
    pairs = values[is_right][:, None] - values[~is_right][None, :]
    assert (np.sign(pairs) / 2 + 0.5).mean() > 0.95


async def test_a_score_is_the_same_to_the_bit_whatever_was_scored_before() -> None:
    texts = [RIGHT, WRONG, RIGHT[:30], WRONG[:61], "nothing of the kind"]
    ids = [NanoPRM()._asked(NanoPRM()._head(PROBLEM), text)[0] for text in texts]
    alone = [Scorer(WEIGHTS / "nano-prm").values(tuple(one)) for one in ids]
    scorer = Scorer(WEIGHTS / "nano-prm")
    for order in (range(5), reversed(range(5))):
        for i in order:
            assert (scorer.values(tuple(ids[i])) == alone[i]).all()


async def test_a_question_costs_once_and_a_continued_reply_only_what_is_new() -> None:
    verifier = NanoPRM()
    first, second, twin = await verifier.score(PROBLEM, [sample(RIGHT), sample(WRONG), sample(RIGHT)], MeteredCalls())
    n_reply = len(verifier._scorer.tokens.encode(RIGHT))
    assert second.cost.verifier_tokens == n_reply
    assert first.cost.verifier_tokens == n_reply + len(verifier._head(PROBLEM))
    assert twin.cost == Cost()
    # 329,088 parameters of which 91 rows of 96 are looked up, and attention of 4 layers with 3 heads of 32.
    n, n_reply = first.cost.verifier_tokens, second.cost.verifier_tokens
    head = n - n_reply
    body, last, wide = 329_088 - 91 * 96 - 9 * 96, 91 * 96, 4 * 4 * 3 * 32
    assert first.cost.flops == 2 * (body + last) * n + wide * n * (n + 1) // 2
    assert second.cost.flops == 2 * (body + last) * n_reply + wide * sum(range(head + 1, n + 1))
    begun = PROBLEM.prompt.extend(RIGHT[:-2])
    (more,) = await verifier.score(PROBLEM, [sample(RIGHT[-2:], begun)], MeteredCalls())
    assert more.cost.verifier_tokens == 2
    assert more.value == first.value
    quote = verifier.quote(PROBLEM, [sample(RIGHT), sample(WRONG)])
    assert quote.verifier_tokens >= first.cost.verifier_tokens + second.cost.verifier_tokens


async def test_what_cannot_be_scored_says_why() -> None:
    long, empty, failed = await NanoPRM().score(
        PROBLEM,
        [sample("b:a*6=7*6=42\n" * 60), sample(" \n"), replace(sample(RIGHT), finish=Finish.ERROR)],
        MeteredCalls(),
    )
    assert long.value is None
    assert "reads at most 512" in long.why
    assert (empty.value, empty.why) == (None, "the reply is empty")
    assert (failed.value, failed.why) == (None, "the draw failed")


async def test_what_the_models_cannot_read_is_not_scored_either() -> None:
    """A character outside the vocabulary is refused by the models; the verifier must not score what is left of it."""
    strange, fine = await NanoPRM().score(PROBLEM, [sample(RIGHT.replace("42", "4é")), sample(RIGHT)], MeteredCalls())
    assert strange.value is None
    assert "the built-in models cannot read 'é'" in strange.why
    assert fine.value is not None
    for verifier in (NanoPRM(), NanoORM()):
        (score,) = await verifier.score(
            replace(PROBLEM, prompt=Prompt.user("What is ½ of 4?")), [sample(RIGHT)], MeteredCalls()
        )
        assert score.value is None
        assert score.is_lasting
        assert "cannot read" in score.why


def test_the_read_out_is_the_chance_that_all_tokens_so_far_are_right() -> None:
    log_p = np.log([0.5, 0.9, 0.2, 0.99])
    chances = np.array([0.9, 0.2, 0.99])  # the first token is part of the question; slope 1 and offset 0 change nothing
    together = np.cumprod(chances)
    logits = all_right(log_p, 1, 1.0, 0.0)
    assert logits[1:] == pytest.approx(np.log(together / (1 - together)))


def test_a_folder_that_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no reward\.json or no decoder\.onnx"):
        Trained(str(tmp_path))


async def test_an_outcome_reward_model_has_one_score_for_a_reply() -> None:
    right, wrong = await NanoORM().score(PROBLEM, [sample(RIGHT), sample(WRONG)], MeteredCalls())
    assert right.steps == wrong.steps == ()
    assert right.value is not None
    assert wrong.value is not None
    assert 0 < wrong.value < right.value < 1
    assert NanoORM().split is None


async def test_weights_that_are_replaced_are_read_anew(tmp_path: Path) -> None:
    """As in a training loop: a verifier made afterwards scores with the new weights, one made before with the old."""
    folder = tmp_path / "copy"
    shutil.copytree(NanoPRM().folder, folder)
    old = Trained(str(folder))
    (before,) = await old.score(PROBLEM, [sample(RIGHT)], MeteredCalls())
    assert len(before.steps) == 7
    shutil.copytree(NanoORM().folder, folder, dirs_exist_ok=True)
    new = Trained(str(folder))
    assert new.identity != old.identity
    (after,) = await new.score(PROBLEM, [sample(RIGHT)], MeteredCalls())
    (expected,) = await NanoORM().score(PROBLEM, [sample(RIGHT)], MeteredCalls())
    assert (after.value, after.steps) == (expected.value, ())
    (again,) = await old.score(PROBLEM, [sample(RIGHT)], MeteredCalls())
    assert (again.value, again.steps) == (before.value, before.steps)
