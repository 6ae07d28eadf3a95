"""Stopping over width and depth on nano-think: interim answers of every thought at fixed depths, then any rule on them.

Thoughts are drawn with a probe for the answer after every 32 tokens, once; a bank keeps them (`--bank FILE`, to go on
after an interruption). What each rule makes of them is replayed over random orders of a problem's thoughts:

- votes and stopping rules of whole thoughts: `majority`, Adaptive-Consistency, the learned stop;
- the same rules on thoughts that end when two probes in a row agree (probe-stop), or after so many tokens;
- confidence momentum (CMC, arXiv 2605.08083) over the pooled interim answers of thoughts that grow together;
- width, then depth: thoughts of so many tokens, and whole ones only where those do not agree.

The learned stop is fitted on the other half of the problems. Probes count as tokens, in rules that need them. The
difference is to Adaptive-Consistency and to votes at the same mean tokens, of two neighbours by lot, paired.

    python bench/bench_depth.py [--problems N] [--thoughts N] [--bank FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull import spec
from mull.allocate import optimal, prior
from mull.allocate.stop import beta, beta_lead, curtail, top_two
from mull.bank import Bank, MemoryBank, open_bank
from mull.replies import thinking
from mull.replies.answers import answers_of
from mull.run import Run
from mull.stats.paired import paired
from mull.strategies.thought import Thought
from mull.tasks.synthetic import ChainTask
from mull.types import Finish, Params, Problem, Sample

LEVEL = 6
CHUNK, PROBE = 32, 20
ORDERS = 20
Answer = str | None
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Traced:
    """A thought: its answer after each chunk and the tokens of those probes, its own answer and all its tokens."""

    interim: tuple[Answer, ...]
    probes: tuple[int, ...]
    answer: Answer
    tokens: int

    def cut(self, chunks: int) -> tuple[Answer, float]:
        """The answer after so many chunks and the tokens up to it; the thought's own if it ends before."""
        if chunks > len(self.interim):
            return self.answer, self.tokens
        return self.interim[chunks - 1], chunks * CHUNK + self.probes[chunks - 1]

    def agreed(self) -> tuple[Answer, float]:
        """The answer and the tokens of the thought ended where two probes in a row agree."""
        for i in range(1, len(self.interim)):
            if self.interim[i] is not None and self.interim[i] == self.interim[i - 1]:
                return self.interim[i], (i + 1) * CHUNK + sum(self.probes[: i + 1])
        return self.answer, self.tokens + sum(self.probes)


async def traced(problem: Problem, run: Run) -> Traced:
    """Draws one thought with its probes."""
    thought = await Thought.start(problem, run, thinking.delimiters(), 32)
    probes: list[Sample] = []
    while thought.end == "length" and thought.n_tokens < 500:
        await thought.think(CHUNK)
        if thought.end == "length":
            probes += await run.draw(thought.cut, 1, replace(run.params, max_tokens=PROBE, temperature=0.6))
    end = await thought.answer()
    samples = [*probes, *([] if end is None else [end])]
    answers = await answers_of(problem, samples)
    n_answer = 0 if end is None else end.cost.output_tokens or 0
    costs = tuple(probe.cost.output_tokens or 0 for probe in probes)
    whole = None if end is None else answers[-1]
    return Traced(tuple(answers[: len(probes)]), costs, whole, thought.n_tokens + n_answer)


class Pool(NamedTuple):
    """A problem's thoughts, and the right answer."""

    thoughts: list[Traced]
    gold: Answer


async def pools(level: int, n_problems: int, n_thoughts: int, bank: Bank) -> list[Pool]:
    model, task = spec.build("model", spec.MODELS, "nano-think"), ChainTask(level)

    async def one(problem: Problem) -> Pool:
        runs = [Run(model, params=Params(1.0, 600), bank=bank, seed=seed) for seed in range(n_thoughts)]
        thoughts = list(await asyncio.gather(*(traced(problem, run) for run in runs)))
        right = Counter[Answer]()
        for answer in {t.answer for t in thoughts} | {a for t in thoughts for a in t.interim}:
            grade = await task.grade(problem.id, Sample(problem.prompt, f"answer: {answer}", Finish.STOP))
            right[answer] = int(grade.correct is True)
        return Pool(thoughts, next((a for a, is_right in right.items() if is_right and a is not None), None))

    return list(await asyncio.gather(*(one(p) for p in islice(task.problems(), n_problems))))


Rule = Callable[[Sequence[Traced], random.Random], tuple[Answer, float]]
"""The answer and the tokens of a rule on thoughts in an order."""
View = Callable[[Traced], tuple[Answer, float]]


def elected(answers: Sequence[Answer]) -> Answer:
    """The most frequent answer, the first among equals."""
    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts, key=counts.__getitem__, default=None)


def whole(thought: Traced) -> tuple[Answer, float]:
    return thought.answer, thought.tokens


def vote(n: int) -> Rule:
    return lambda thoughts, _: (elected([t.answer for t in thoughts[:n]]), sum(t.tokens for t in thoughts[:n]))


def one_by_one(is_enough: Callable[[list[Answer]], bool], view: View = whole) -> Rule:
    """Thoughts are drawn one by one until their answers suffice."""

    def rule(thoughts: Sequence[Traced], _: random.Random) -> tuple[Answer, float]:
        answers, tokens = list[Answer](), 0.0
        for thought in thoughts:
            answer, n = view(thought)
            answers, tokens = [*answers, answer], tokens + n
            if is_enough(answers) or curtail(answers, len(thoughts)):
                break
        return elected(answers), tokens

    return rule


def width_then_depth(chunks: int, level: float) -> Rule:
    """Thoughts of so many chunks until their answers are sure; if they never are, the same thoughts whole."""

    def rule(thoughts: Sequence[Traced], rng: random.Random) -> tuple[Answer, float]:
        answers, tokens = list[Answer](), 0.0
        for thought in thoughts:
            answer, n = thought.cut(chunks)
            answers, tokens = [*answers, answer], tokens + n
            if beta(answers, level):
                return elected(answers), tokens
        probed = sum(t.probes[chunks - 1] for t in thoughts if len(t.interim) >= chunks)
        found, n = one_by_one(lambda answers: beta(answers, level))(thoughts, rng)
        begun = sum(min(t.tokens, chunks * CHUNK) for t in thoughts)
        # What a thought already has is not drawn again; it is all paid for where the vote of whole ones needs fewer.
        return found, max(begun, n) + probed

    return rule


def momentum(start: int, level: float, inertia: float, slack: float = 0.025) -> Rule:
    """Confidence momentum: thoughts grow together by a chunk, two where they agree with the leader, and are probed.

    The moving average of the leader's confidence ends all once it is at `level` and does not fall; two thoughts are
    added while it does not rise.
    """

    def rule(thoughts: Sequence[Traced], _: random.Random) -> tuple[Answer, float]:
        n, chunks, probed, average = start, [0] * len(thoughts), 0, 0.0
        told, answers = list[Answer]([None] * len(thoughts)), list[Answer]()
        while True:
            leader = elected(answers)
            for i in range(n):
                thought = thoughts[i]
                is_with = bool(answers) and i < len(answers) and leader is not None and answers[i] == leader
                if chunks[i] <= len(thought.interim):
                    chunks[i] += 2 if is_with else 1
                    told[i] = thought.cut(chunks[i])[0]
                    probed += thought.probes[chunks[i] - 1] if chunks[i] <= len(thought.interim) else 0
            answers = told[:n]
            before, sure = average, beta_lead(*top_two(answers)) if any(answers) else 0.0
            average = inertia * average + (1 - inertia) * sure
            is_over = all(chunks[i] > len(thoughts[i].interim) for i in range(n))
            if (average >= level and average >= before - slack) or (is_over and n == len(thoughts)):
                break
            if average - before <= slack or is_over:
                n = min(len(thoughts), n + 2)
        spent = sum(
            min(c * CHUNK, t.tokens) if c <= len(t.interim) else t.tokens for c, t in zip(chunks, thoughts, strict=True)
        )
        return elected(answers), spent + probed

    return rule


def learned(pools: Sequence[Pool], price: float) -> Rule:
    """The learned stop of whole thoughts, fitted on the answers of these problems."""
    n = len(pools[0].thoughts)
    known = prior.fit([prior.tally([t.answer for t in pool.thoughts]) for pool in pools])
    policy = optimal.policy(known, n, price)
    return one_by_one(
        lambda answers: (
            len(answers) < n and policy.is_enough(*top_two(answers), len(answers) - answers.count(None), len(answers))
        )
    )


def learned_over_depth(pools: Sequence[Pool], price: float, width: int) -> Rule:
    """The learned stop where `width` thoughts grow together: a state is the vote of the interim answers at a depth.

    A price a chunk of all thoughts, and the loss of another answer than that of all whole thoughts; backward induction
    over random orders of these problems' thoughts, as for votes of whole ones.
    """
    rng, votes = random.Random(7), []
    deepest = 1 + max(len(t.interim) for pool in pools for t in pool.thoughts)
    for pool in pools:
        full = elected([t.answer for t in pool.thoughts])
        for _ in range(ORDERS):
            chosen = rng.sample(pool.thoughts, width)
            votes.append(([[t.cut(d)[0] for t in chosen] for d in range(1, deepest + 1)], full))
    states, losses = np.zeros((deepest + 1, len(votes)), np.int64), np.ones((deepest + 1, len(votes)))
    for place, (depths, full) in enumerate(votes):
        for d, answers in enumerate(depths, 1):
            first, second, given = (np.array(n) for n in (*top_two(answers), width - answers.count(None)))
            states[d, place] = optimal.packed(first, second, given, deepest)
            losses[d, place] = float(elected(answers) != full)
    policy = optimal.induced(states, losses, price)

    def rule(thoughts: Sequence[Traced], _: random.Random) -> tuple[Answer, float]:
        chosen, probed = thoughts[:width], 0
        for d in range(1, deepest + 1):
            answers = [t.cut(d)[0] for t in chosen]
            probed += sum(t.probes[d - 1] for t in chosen if len(t.interim) >= d)
            if d == deepest or policy.is_enough(*top_two(answers), width - answers.count(None), d):
                break
        return elected(answers), probed + sum(min(d * CHUNK, t.tokens) for t in chosen)

    return rule


Fitted = Callable[[Sequence[Pool]], Rule]


def plain(rule: Rule) -> Fitted:
    return lambda _: rule


LEVELS_OF_BETA = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
BASES: dict[str, Fitted] = {
    "a thought": plain(vote(1)),
    **{f"Adaptive-Consistency, {at}": plain(one_by_one(lambda a, at=at: beta(a, at))) for at in LEVELS_OF_BETA},  # type: ignore[misc]
}
TRIED: dict[str, Fitted] = {
    "majority, 4": plain(vote(4)),
    "learned stop, price .0075": lambda pools: learned(pools, 0.0075),
    "learned stop, price .02": lambda pools: learned(pools, 0.02),
    "ended by two probes, then .8": plain(one_by_one(lambda a: beta(a, 0.8), Traced.agreed)),
    "cut at 96 tokens, .95": plain(one_by_one(lambda a: beta(a, 0.95), lambda t: t.cut(3))),
    "cut at 160 tokens, .95": plain(one_by_one(lambda a: beta(a, 0.95), lambda t: t.cut(5))),
    "96 tokens wide, then whole": plain(width_then_depth(3, 0.95)),
    "160 tokens wide, then whole": plain(width_then_depth(5, 0.95)),
    "momentum, 4 thoughts, .91": plain(momentum(4, 0.91, 0.5)),
    "momentum, 4 thoughts, .8": plain(momentum(4, 0.8, 0.3)),
    "learned over depth, 2 thoughts": lambda pools: learned_over_depth(pools, 0.01, 2),
    "learned over depth, 4 thoughts": lambda pools: learned_over_depth(pools, 0.01, 4),
}


def tried(fitted: Fitted, pools: Sequence[Pool]) -> tuple[Floats, Floats]:
    """By problem, the share of orders in which a rule is right, and its mean tokens; fitted on the other half."""
    right, tokens = np.zeros(len(pools)), np.zeros(len(pools))
    for half in (0, 1):
        rule = fitted(pools[1 - half :: 2])
        for place in range(half, len(pools), 2):
            rng, pool = random.Random(place), pools[place]
            for _ in range(ORDERS):
                answer, n = rule(rng.sample(pool.thoughts, len(pool.thoughts)), rng)
                right[place] += (answer is not None and answer == pool.gold) / ORDERS
                tokens[place] += n / ORDERS
    return right, tokens


def at_tokens(bases: Sequence[tuple[Floats, float]], tokens: float) -> Floats:
    """The base rules at so many mean tokens, of two neighbours by lot."""
    ordered = sorted(bases, key=lambda base: base[1])
    above = next((i for i, base in enumerate(ordered) if base[1] >= tokens), len(ordered) - 1)
    low, high = ordered[max(above - 1, 0)], ordered[above]
    part = 1.0 if low[1] == high[1] else min(max((tokens - low[1]) / (high[1] - low[1]), 0.0), 1.0)
    mixed: Floats = (1 - part) * low[0] + part * high[0]
    return mixed


def main() -> None:
    parser = argparse.ArgumentParser(description="Stopping over width and depth.")
    parser.add_argument("--problems", type=int, default=50)
    parser.add_argument("--thoughts", type=int, default=8)
    parser.add_argument("--bank", help="a file that keeps the thoughts")
    options = parser.parse_args()
    with open_bank(options.bank) if options.bank else nullcontext(MemoryBank()) as bank:
        found = asyncio.run(pools(LEVEL, options.problems, options.thoughts, bank))
    lengths = [t.tokens for pool in found for t in pool.thoughts]
    print(f"{len(found)} problems of {LEVEL} operations, {len(lengths)} thoughts of {np.mean(lengths):.0f} tokens")
    for chunks in range(1, 7):
        good = np.mean([t.cut(chunks)[0] == pool.gold for pool in found for t in pool.thoughts])
        over = np.mean([len(t.interim) < chunks for pool in found for t in pool.thoughts])
        told = f"{100 * over:.0f} % have ended, and {100 * good:.0f} % of the answers are right"
        print(f"after {chunks * CHUNK} tokens {told}")
    bases = [(right, float(tokens.mean())) for right, tokens in (tried(rule, found) for rule in BASES.values())]
    for name, base in zip(BASES, bases, strict=True):
        print(f"{name:32} {base[1]:6.0f} tokens {100 * base[0].mean():5.1f}%")
    for name, fitted in TRIED.items():
        right, tokens = tried(fitted, found)
        pair = paired(name, "base", right.tolist(), at_tokens(bases, float(tokens.mean())).tolist())
        assert pair is not None
        low, high = pair.ci95
        gap = f"{100 * pair.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        print(f"{name:32} {tokens.mean():6.0f} tokens {100 * right.mean():5.1f}%   {gap} at the same tokens")


if __name__ == "__main__":
    main()
