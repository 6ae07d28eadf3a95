"""The training text of `nano-think`: replies that derive a chain, say `Wait`, derive all of it again, and then vote.

Every pass ends with a draft of the answer, and the answer after the thought is what most drafts say. In replies of
several passes some lines slip, at a rate that is drawn for the reply: a slip carries no loss, what follows from it is
learnt, and so is the answer wherever it is right.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator

from corpus import COUNTDOWN_NUMBERS, Example, Piece, _begun, _slipped, countdown_example
from mull.tasks.synthetic import Chain, apply, chain

OPS = range(1, 9)
OPS_WEIGHTS = (2, 2, 3, 4, 4, 4, 4, 4)
N_SHORT = 5000
"""Replies that come first and have at most `SHORT` operations: on those a vote is learnt soonest."""
SHORT = 3
CHAIN_SHARE = 0.9
REVIEWS = (0, 1, 2, 3, 4, 5)
REVIEW_WEIGHTS = (0.2, 0.1, 0.25, 0.2, 0.15, 0.1)
HIGHEST_WRONG = 0.6
"""Share of wrong passes at the highest rate of slips, whatever the number of lines."""
ASKED_SHARE = 0.04
"""Replies that learn to say `Wait` of themselves; the others learn only what to do after it."""
AGAIN_SHARE = 0.6
"""Reviews that learn all of their lines: of the others only the first is learnt, since nano knows how to derive."""


def _pass(rng: random.Random, problem: Chain, rate: float, n_learnt: int) -> tuple[list[Piece], int]:
    """One derivation of all lines, some of them with a slip, and what it comes to; the first lines are learnt."""
    while True:
        value, pieces = problem.lines[0].value, list[Piece]()
        for i, line in enumerate(problem.lines[1:], 1):
            right = apply(line.operator, value, line.operand)
            if right is None:
                break
            is_learnt = i <= n_learnt
            pieces.append(Piece(_begun(problem, i, value), is_learnt))
            value = _slipped(rng, right) if rng.random() < rate else right
            pieces += [Piece(str(value), value == right and is_learnt), Piece("\n", is_learnt)]
        else:
            return [*pieces, Piece(f"answer: {value}\n")], value


def chain_example(rng: random.Random, ops: int) -> Example:
    problem = chain(rng, ops, "train")
    n_reviews = rng.choices(REVIEWS, REVIEW_WEIGHTS)[0]
    rate = 1 - (1 - rng.uniform(0, HIGHEST_WRONG)) ** (1 / ops) if n_reviews else 0.0
    is_asked = rng.random() < ASKED_SHARE
    trail = ":".join(line.name for line in reversed(problem.lines))
    pieces = [Piece(f"<think>\n{trail}:{problem.lines[0].value}\n")]
    drafts = Counter[int]()
    for i in range(n_reviews + 1):
        if i > 0:
            pieces += [Piece("Wait", is_asked), Piece("\n")]
        n_learnt = ops if i == 0 or rng.random() < AGAIN_SHARE else 1
        derived, draft = _pass(rng, problem, rate, n_learnt)
        pieces += derived
        drafts[draft] += 1
    is_elected = drafts[problem.answer] == max(drafts.values())
    answer = problem.answer if is_elected else drafts.most_common(1)[0][0]
    pieces += [Piece("</think>\nanswer: "), Piece(str(answer), learn=is_elected)]
    return Example(problem.text, tuple(pieces))


def examples(seed: int) -> Iterator[Example]:
    """The endless training text of a seed."""
    rng = random.Random(seed)
    for i in itertools.count():
        if rng.random() < CHAIN_SHARE:
            ops = rng.choices(OPS, OPS_WEIGHTS)[0]
            yield chain_example(rng, 1 + ops % SHORT if i < N_SHORT else ops)
        else:
            yield countdown_example(rng, rng.choice(COUNTDOWN_NUMBERS))
