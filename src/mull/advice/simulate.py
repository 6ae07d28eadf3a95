"""Simulates further draws after a pilot: the answer and the score of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mull.advice.pilot import (
    N_CLASSES,
    RATES,
    Crowding,
    Floats,
    Ints,
    Pilot,
    Rates,
    crowding,
    likelihoods,
    likeness,
    rate_priors,
)
from mull.allocate.prior import Tally

REPLICATES = 200
"""Replicates: joint draws of the distributions and of the problem weights; intervals are quantiles over them."""
EACH = 160
"""Simulated problems per replicate."""
N_NEW = 12
"""Wrong answers, not seen in the pilot, that are tracked individually."""
RIGHT, UNANSWERED = 0, 1
N_NAMES = 2 + N_CLASSES + N_NEW
"""Names of answers: right, none, seen wrong ones, unseen wrong ones; names from there on are unique answers."""
UNANSWERED_PULL = 2.0
"""Pseudo-draws with which the pilot's overall share of unanswered draws enters each problem's own."""


@dataclass(frozen=True, slots=True)
class Imagined:
    """Sequences of draws, [replicates * each, draws], of problems like those of the pilot.

    `answers` are names: `RIGHT` is the right one, `N_NAMES` one that occurs once. `scores` are empty without a
    verifier, and nan for draws it could not score. `problem` is the pilot problem that each sequence simulates,
    `weights` the weights of the problems in each replicate [replicates, problems]. No draw of the pilot is reused.
    """

    weights: Floats
    problem: Ints
    answers: Ints
    scores: Floats

    @property
    def draws(self) -> int:
        return int(self.answers.shape[1])

    @property
    def replicates(self) -> int:
        return len(self.weights)

    def means(self, values: Floats) -> Floats:
        """The mean of a value per sequence in each replicate, without the noise of the finite number of sequences.

        The effect of the problem weights is computed exactly, from each problem's mean over all replicates. The effect
        of the replicate's distributions is kept as far as it varies more than sampling noise would.
        """
        n = self.weights.shape[1]
        seen = np.bincount(self.problem, minlength=n)
        sums = np.bincount(self.problem, weights=values, minlength=n)
        each = np.where(seen > 0, sums / np.maximum(seen, 1), values.mean())
        rest = values - each[self.problem]
        by_law = rest.reshape(self.replicates, -1)
        shift = by_law.mean(axis=1)
        noise, spread = float(rest.var() / by_law.shape[1]), float(shift.var())
        kept = math.sqrt(max(0.0, 1 - noise / spread)) if spread > 0 else 0.0
        told: Floats = self.weights @ each + kept * shift
        return told


def imagine(pilot: Pilot, draws: int, seed: int = 0, replicates: int = REPLICATES, each: int = EACH) -> Imagined:
    """Simulates draws that continue the pilot's.

    In each replicate the pilot's problems get random weights (the Bayesian bootstrap, Rubin 1981), for how much another
    sample of problems might differ; and the distributions of rates and of wrong answers are drawn by how well they
    explain the pilot, for the uncertainty of few draws per problem.
    """
    rng = np.random.default_rng(seed)
    n, c = np.array(pilot.counts).T
    weights = rng.dirichlet(np.ones(len(n)), replicates)
    # Stratified sampling by each replicate's weights, so that the remaining noise is that of the problems.
    marks = (np.arange(each) + rng.random((replicates, 1))) / each
    problem = np.array([np.searchsorted(np.cumsum(w)[:-1], mark) for w, mark in zip(weights, marks, strict=True)])
    law = np.repeat(np.arange(replicates), each)
    problem = problem.ravel()
    rate = _rates(rate_priors(n, c), n, c, law, problem, replicates, rng)
    if pilot.has_answers:
        shares = _shares(pilot.wrong, crowding(pilot.wrong), problem, rng)
    else:
        shares = np.zeros((len(problem), N_NAMES))
        shares[:, -1] = 1.0
    chances = np.concatenate([rate[:, None], (1 - rate)[:, None] * shares], axis=1)
    answers = np.empty((len(problem), draws), dtype=np.int64, order="F")  # one draw of all is used at a time
    up_to = np.ascontiguousarray(np.cumsum(chances, axis=1)[:, :-1].T)
    for k in range(draws):
        answers[:, k] = np.add.reduce((up_to < rng.random(len(problem))).view(np.int8), axis=0, dtype=np.int8)
    scores = _scores(pilot, problem, answers == RIGHT, rng) if pilot.has_scores else np.empty((len(problem), 0))
    return Imagined(weights, problem, answers, scores)


def _rates(
    rates: Rates, n: Ints, c: Ints, law: Ints, problem: Ints, replicates: int, rng: np.random.Generator
) -> Floats:
    """A rate of right draws for each sequence, given its distribution and its problem's own draws."""
    chosen = rates.priors[rng.choice(len(rates.weight), replicates, p=rates.weight)]
    pairs, pair = np.unique(np.stack([n, c]), axis=1, return_inverse=True)
    chances = np.cumsum(chosen[:, None, :] * likelihoods(pairs[0], pairs[1]), axis=2)
    chances /= np.maximum(chances[:, :, -1:], 1e-300)
    row = law * pairs.shape[1] + pair.ravel()[problem]
    # All rows in one ascending array, so that one search finds every sequence in its own row.
    rising = (chances.reshape(-1, len(RATES)) + np.arange(replicates * pairs.shape[1])[:, None]).ravel()
    at = np.searchsorted(rising, row + rng.random(len(problem))) - row * len(RATES)
    drawn: Floats = RATES[np.clip(at, 0, len(RATES) - 1)]
    return drawn


def _shares(wrong: Sequence[Tally], laws: Crowding, problem: Ints, rng: np.random.Generator) -> Floats:
    """The shares of wrong draws of each sequence: no answer, seen answers, unseen answers, and unique ones."""
    up_to = laws.own.cumsum(axis=1)[problem][:, :-1]
    which = (up_to < rng.random((len(problem), 1))).sum(axis=1)
    d, a = laws.discount[which], laws.concentration[which]
    seen = np.zeros((len(wrong), N_CLASSES))
    rare = np.zeros(len(wrong))
    for row, one in enumerate(wrong):
        seen[row, : len(one.counts)] = one.counts[:N_CLASSES]
        rare[row] = sum(one.counts[N_CLASSES:])
    kinds = np.array([len(one.counts) for one in wrong])[problem]
    here = seen[problem]
    shapes = np.where(here > 0, here - d[:, None], 0.0)
    new = np.maximum(a + d * kinds, 0.0) + np.maximum(rare[problem] - d * np.maximum(kinds - N_CLASSES, 0), 0.0)
    parts = rng.standard_gamma(np.concatenate([shapes, new[:, None]], axis=1))
    parts /= np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)
    left = parts[:, -1]
    sticks = np.zeros((len(problem), N_NEW))
    for i in range(N_NEW):
        # A negative discount has finitely many answers: once they are used up, the rest of the stick is the last one.
        rest = a + d * (kinds + i + 1)
        cut = np.where(rest > 0, rng.beta(1 - d, np.maximum(rest, 1e-9)), 1.0)
        sticks[:, i] = left * cut
        left = left * (1 - cut)
    n_wrong = np.array([sum(one.counts) + one.no_answer for one in wrong])
    unanswered = np.array([one.no_answer for one in wrong])
    usual = unanswered.sum() / max(1, n_wrong.sum())
    none = np.zeros(len(problem))
    if usual > 0:
        told = (n_wrong - unanswered)[problem] + UNANSWERED_PULL * (1 - usual)
        none = rng.beta(unanswered[problem] + UNANSWERED_PULL * usual, np.maximum(told, 1e-9))
    named = np.concatenate([parts[:, :-1], sticks, left[:, None]], axis=1) * (1 - none)[:, None]
    return np.concatenate([none[:, None], named], axis=1)


def _scores(pilot: Pilot, problem: Ints, right: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    """A score for each draw: either one of the problem's own draws of the same correctness, or one of any problem's.

    The intraclass correlation decides how often: a verifier that errs on one draw of a problem errs on others like it.
    The urn is that of a Dirichlet process (Blackwell and MacQueen 1973). On a problem without any score the verifier
    has none for further draws either.
    """
    n_rows, draws = right.shape
    scores = np.empty((n_rows, draws), order="F")
    groups: dict[bool, list[Floats]] = {True: [], False: []}
    is_scored = np.array([one.is_scored for one in pilot.problems])
    for one, known in zip(pilot.problems, is_scored, strict=True):
        for kind, own in groups.items():
            pairs = zip(one.scores, one.correct, strict=True) if known else ()
            told = [math.nan if s is None else s for s, right_draw in pairs if right_draw is kind]
            own.append(np.array(told, dtype=np.float64))
    for kind, other in ((True, False), (False, True)):
        given, sizes = np.concatenate([*groups[kind], [math.nan]]), np.array([len(own) for own in groups[kind]])
        first, n_given = (np.cumsum(sizes) - sizes)[problem], sizes[problem]
        pool = given[:-1] if sizes.any() else _known(np.concatenate(groups[other]))
        alike = likeness([_known(own) for own in groups[kind]])
        made, n_made = np.empty((n_rows, draws)), np.zeros(n_rows, dtype=np.int64)
        for k in range(draws):
            rows = np.flatnonzero(right[:, k] == kind)
            known = n_given[rows] + n_made[rows]
            again = rng.random(len(rows)) * (known + (1 - alike) / alike) < known
            pick = np.minimum((rng.random(len(rows)) * np.maximum(known, 1)).astype(np.int64), known - 1)
            later = pick - n_given[rows]  # the urn holds the scores that are given, and then those drawn here
            old_given = given[first[rows] + np.where(later < 0, np.maximum(pick, 0), 0)]
            old = np.where(later < 0, old_given, made[rows, np.maximum(later, 0)])
            drawn = np.where(again, old, pool[rng.integers(0, len(pool), len(rows))])
            scores[rows, k] = drawn
            made[rows, n_made[rows]] = drawn
            n_made[rows] += 1
    scores[~is_scored[problem]] = math.nan
    return scores


def _known(scores: Floats) -> Floats:
    return scores[~np.isnan(scores)]
