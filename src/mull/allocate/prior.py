"""A prior over a model's answer distributions, fitted without labels to draws on other problems.

A problem's draws are assumed exchangeable: only the counts of each answer, and of draws without one, matter. The prior
is a mixture of Pitman-Yor processes, whose probability of a set of counts has a closed form. A negative discount is a
symmetric Dirichlet distribution over finitely many answers: two answers with large concentration are a tie, with small
concentration near unanimity. A discount of zero or more allows infinitely many answers.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mull.allocate.toml import toml_text
from mull.errors import FileFormatError, UsageError, cannot_read

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FORMAT = "mull-stop-prior-1"
DEFAULT = Path(__file__).with_name("stop_prior.toml")

FEW = (2, 3, 4, 5, 6, 8, 12)
CONCENTRATIONS = (0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 4.0, 10.0, 30.0, 100.0)
DISCOUNTS = (0.0, 0.25, 0.5, 0.75)
STRENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
NO_ANSWER = (0.0, 0.003, 0.01, 0.03, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 0.99)

ELSEWHERE = 0.2
"""Weight of the prior that is uniform over the grid, for problems unlike those it was fitted on."""
N_STEPS = 600
LEAST_WEIGHT = 1e-3
"""Atoms of less weight are dropped: fewer than one problem in a thousand."""
MOST_ANSWERS = 8
"""Simulated problems distinguish this many answers; each later one counts as a unique answer."""


class Tally(NamedTuple):
    """One problem's draws: the count of each answer, and the number of draws without one."""

    counts: tuple[int, ...]
    no_answer: int = 0

    @property
    def n(self) -> int:
        return sum(self.counts) + self.no_answer


class Atom(NamedTuple):
    """One kind of problem: a Pitman-Yor process, the probability of no answer, and the kind's share of problems."""

    discount: float
    strength: float
    no_answer: float
    weight: float


@dataclass(frozen=True)
class Prior:
    """Kinds of problems with their shares; `about` describes the data that it was fitted to."""

    atoms: tuple[Atom, ...]
    about: Mapping[str, Any] = field(default_factory=dict, compare=False)


def tally(answers: Sequence[str | None]) -> Tally:
    """The counts of a problem's answers, most frequent first."""
    counts: dict[str, int] = {}
    for answer in answers:
        if answer is not None:
            counts[answer] = counts.get(answer, 0) + 1
    return Tally(tuple(sorted(counts.values(), reverse=True)), answers.count(None))


def processes() -> list[tuple[float, float]]:
    """The grid of Pitman-Yor processes: discount and strength."""
    few = [(-a, round(m * a, 6)) for m in FEW for a in CONCENTRATIONS]
    many = [(d, s) for d in DISCOUNTS for s in STRENGTHS]
    return [*few, *many, (0.0, 0.001)]


def log_chance(tallies: Sequence[Tally], grid: Sequence[tuple[float, float]]) -> Floats:
    """The log-probability of each problem's counts, in the order of their draws, under each process.

    Draws one by one: an answer that came n times comes again with probability (n - discount) / (strength + votes),
    a new one, where there are k, with (strength + k discount) / (strength + votes).
    """
    discount, strength = np.array(grid).T
    most = max((sum(t.counts) for t in tallies), default=0) + 1
    i = np.arange(1, most)
    with np.errstate(divide="ignore"):
        # A Dirichlet distribution over m answers gives no further one: log-probability minus infinity, up to rounding.
        new = np.maximum(strength[:, None] + i * discount[:, None], 0.0)
        news = _sums(np.log(np.where(new < 1e-9, 0.0, new)))
    agains = _sums(np.log(i - discount[:, None]))
    draws = _sums(np.log(i + strength[:, None]))
    found = np.zeros((len(tallies), len(grid)))
    for row, (counts, _) in enumerate(tallies):
        if counts:
            again = agains[:, [n - 1 for n in counts]].sum(1)
            found[row] = news[:, len(counts) - 1] + again - draws[:, sum(counts) - 1]
    return found


def _sums(terms: Floats) -> Floats:
    """Sums of the first 0, 1, 2 ... terms of each row."""
    return np.concatenate([np.zeros((len(terms), 1)), terms.cumsum(1)], axis=1)


def fit(tallies: Sequence[Tally], about: Mapping[str, Any] | None = None) -> Prior:
    """Fits the prior by maximum likelihood: weights of the grid's kinds by expectation-maximisation.

    The log-likelihood is concave in the weights, so any start converges to its maximum. Raises `UsageError` if no
    problem has two draws: one draw does not show how answers repeat.
    """
    if not any(t.n > 1 for t in tallies):
        raise UsageError("learning a stopping rule needs several draws per problem, and no problem here has two")
    grid, no_answer = processes(), np.array(NO_ANSWER)
    without = np.array([[t.no_answer] for t in tallies])
    votes = np.array([[sum(t.counts)] for t in tallies])
    with np.errstate(divide="ignore", invalid="ignore"):
        silent = np.where(without > 0, without * np.log(no_answer), 0.0) + votes * np.log1p(-no_answer)
    log = (log_chance(tallies, grid)[:, :, None] + silent[:, None, :]).reshape(len(tallies), -1)
    chance = np.exp(log - log.max(1, keepdims=True))
    weights = np.full(chance.shape[1], 1 / chance.shape[1])
    for _ in range(N_STEPS):
        weights *= (chance / (chance @ weights)[:, None]).mean(0)
    kinds = [(*process, u) for process in grid for u in NO_ANSWER]
    kept = [Atom(*kind, float(w)) for kind, w in zip(kinds, weights, strict=True) if w >= LEAST_WEIGHT]
    kept.sort(key=lambda atom: -atom.weight)
    total = sum(atom.weight for atom in kept)
    return Prior(tuple(atom._replace(weight=float(f"{atom.weight / total:.6g}")) for atom in kept), about or {})


def simulate(prior: Prior, n: int, n_problems: int, seed: int = 0) -> NDArray[np.int16]:
    """Simulates draws of problems from the prior: the index of each draw's answer in order of appearance.

    -1 is no answer; -2 is an answer that no other draw gives.
    """
    rng = np.random.default_rng(seed)
    everything = [Atom(*process, u, 1.0) for process in processes() for u in NO_ANSWER]
    fitted, even = np.array(prior.atoms), np.array(everything)
    fitted[:, 3] *= (1 - ELSEWHERE) / fitted[:, 3].sum()
    even[:, 3] *= ELSEWHERE / even[:, 3].sum()
    atoms = np.concatenate([fitted, even])
    # The number of problems of each kind is proportional to its weight, not random.
    places = np.searchsorted(atoms[:, 3].cumsum(), (np.arange(n_problems) + rng.random()) / n_problems)
    discount, strength, no_answer, _ = atoms[np.minimum(places, len(atoms) - 1)].T
    counts = np.zeros((n_problems, MOST_ANSWERS), np.int16)
    votes = np.zeros(n_problems)
    draws = np.empty((n_problems, n), np.int16)
    every = np.arange(n_problems)
    for step in range(n):
        at = rng.random(n_problems) * (strength + votes)
        up_to = np.where(counts > 0, counts - discount[:, None], 0.0).cumsum(1)
        answer = (up_to <= at[:, None]).sum(1)
        n_seen = (counts > 0).sum(1)
        answer = np.where(answer < MOST_ANSWERS, answer, np.where(n_seen < MOST_ANSWERS, n_seen, -2))
        answer = np.where(rng.random(n_problems) < no_answer, -1, answer)
        draws[:, step] = answer
        known = answer >= 0
        counts[every[known], answer[known]] += 1
        votes += answer != -1
    return draws


def text_of(prior: Prior) -> str:
    """The prior as a human-readable TOML file."""
    return "\n".join(
        [
            "# Answer distributions of a model on other problems: `mull train stop` wrote this file, and",
            "# `adaptive:rule=learned,prior=FILE` reads it. A kind of problem is a Pitman-Yor process: a discount",
            "# of -a with strength m a is a symmetric Dirichlet distribution over m answers. See docs/stopping.md.",
            f'format = "{FORMAT}"',
            "kinds = [",
            f"  # {', '.join(Atom._fields)}",
            *(f"  [{', '.join(f'{value:.6g}' for value in atom)}]," for atom in prior.atoms),
            "]",
            "",
            "[about]",
            *(f"{name} = {_toml(value)}" for name, value in prior.about.items()),
            "",
        ]
    )


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, list | tuple):
        return "[\n" + "".join(f"  {_toml(one)},\n" for one in value) + "]"
    return str(value)


def read(path: Path) -> Prior:
    """Reads a prior from a file. Raises `FileFormatError`."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(path, None, f"not TOML: {error}") from error
    if told.get("format") != FORMAT:
        raise FileFormatError(path, None, f"format is {told.get('format')!r}, not {FORMAT!r}: see `mull train stop`")
    try:
        atoms = tuple(Atom(*map(float, kind)) for kind in told["kinds"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(
            path, None, f"a kind of problem is not as `mull train stop` writes it: {error!r}"
        ) from error
    for place, atom in enumerate(atoms, 1):
        if not _makes_sense(atom):
            raise FileFormatError(path, None, f"kind {place} is not a valid distribution of answers: {atom}")
    if not atoms:
        raise FileFormatError(path, None, "it has no kinds of problems")
    return Prior(atoms, told.get("about", {}))


def _makes_sense(atom: Atom) -> bool:
    """Whether the numbers are a valid Pitman-Yor process, probability and weight."""
    if not all(map(math.isfinite, atom)) or not (0 <= atom.no_answer <= 1 and atom.weight > 0):
        return False
    if atom.discount < 0:
        answers = atom.strength / -atom.discount
        return answers > 0.5 and abs(answers - round(answers)) < 1e-4
    return atom.discount < 1 and atom.strength > 0
