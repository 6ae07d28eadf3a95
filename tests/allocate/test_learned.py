"""The learned stop: its prior against independent computations, its policy against an exact one, and its files."""

import itertools
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln

from mull import UsageError
from mull.allocate import optimal, prior
from mull.allocate.prior import Atom, Prior, Tally
from mull.errors import FileFormatError


def test_a_negative_discount_is_a_dirichlet_law_over_few_answers() -> None:
    """Counts 5, 2, 1 among 4 answers with concentration .3 each, against the Dirichlet-multinomial and 4!/1! names."""
    counts, m, a = np.array([5, 2, 1]), 4, 0.3
    rising = gammaln(a + counts) - gammaln(a)
    expected = math.log(4 * 3 * 2) + rising.sum() - (gammaln(m * a + 8) - gammaln(m * a))
    got = prior.log_chance([Tally((5, 2, 1))], [(-a, m * a)])
    assert got[0, 0] == pytest.approx(expected)
    assert prior.log_chance([Tally((1, 1, 1, 1, 1))], [(-a, m * a)])[0, 0] == -math.inf, "a fifth of four answers"
    assert prior.log_chance([Tally(())], [(-a, m * a)])[0, 0] == 0


def test_the_chances_of_all_orders_of_answers_sum_to_one() -> None:
    """Five draws: over all 52 partitions, for each process of the grid."""
    partitions = [tuple(sorted(Counter(p).values(), reverse=True)) for p in growths(5) if -1 not in p]
    assert len(partitions) == 52
    chance = np.exp(prior.log_chance([Tally(p) for p in partitions], prior.processes())).sum(0)
    assert chance == pytest.approx(np.ones(len(chance)))


def growths(n: int) -> list[tuple[int, ...]]:
    """All ways in which n draws can answer, answers numbered as they appear, -1 for none."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(n):
        found = [(*g, a) for g in found for a in range(-1, max(g, default=-1) + 2)]
    return found


def chance(atoms: list[Atom], answers: tuple[int, ...]) -> float:
    """The probability of such draws under a mixture, from the closed form."""
    tally = prior.tally([None if a < 0 else str(a) for a in answers])
    logs = prior.log_chance([tally], [(a.discount, a.strength) for a in atoms])[0]
    spoke = np.array([a.no_answer**tally.no_answer * (1 - a.no_answer) ** sum(tally.counts) for a in atoms])
    weights = np.array([a.weight for a in atoms])
    return float((weights / weights.sum()) @ (np.exp(logs) * spoke))


COIN = Prior((Atom(-30.0, 60.0, 0.1, 0.4), Atom(0.0, 0.1, 0.0, 0.6)))


def everything(fitted: Prior) -> list[Atom]:
    """The kinds that a simulation is from: those of the prior, and a part that is spread over the grid."""
    total = sum(atom.weight for atom in fitted.atoms)
    grid = [(*process, u) for process in prior.processes() for u in prior.NO_ANSWER]
    return [
        *(a._replace(weight=(1 - prior.ELSEWHERE) * a.weight / total) for a in fitted.atoms),
        *(Atom(*kind, prior.ELSEWHERE / len(grid)) for kind in grid),
    ]


def test_simulated_draws_come_as_often_as_the_closed_form_says() -> None:
    """Four draws, 40,000 problems: each of the 52 outcomes within five standard errors."""
    draws = prior.simulate(COIN, 4, 40_000, seed=3)
    seen = Counter(map(tuple, draws.tolist()))
    atoms = everything(COIN)
    for answers in growths(4):
        p = chance(atoms, answers)
        assert seen[answers] / 40_000 == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 40_000) + 1e-9)


def exact(atoms: list[Atom], n: int, price: float) -> tuple[dict[tuple[int, ...], float], float, float]:
    """By enumeration: what stopping is worth over going on in each state, mean draws and disagreement of the best."""
    paths = {g: chance(atoms, g) for g in growths(n)}

    def state(g: tuple[int, ...]) -> tuple[int, int, int, int]:
        top = sorted(Counter(a for a in g if a >= 0).values(), reverse=True)
        return (*[*top, 0, 0][:2], sum(top), len(g))  # type: ignore[return-value]

    def winners(g: tuple[int, ...]) -> set[int]:
        counts = Counter(a for a in g if a >= 0)
        return {a for a, k in counts.items() if k == max(counts.values())}

    def loss(g: tuple[int, ...], full: tuple[int, ...]) -> float:
        early = winners(g)
        if not winners(full):
            return 0.0
        return 1 - len(early & winners(full)) / len(early) if early else 1.0

    value = dict.fromkeys(paths, 0.0)
    draws = dict.fromkeys(paths, float(n))
    worth: dict[tuple[int, ...], float] = {}
    for k in range(n - 1, 0, -1):
        gain: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for g, p in paths.items():
            gain[state(g[:k])] += p * (value[g] + price - loss(g[:k], g))
        for g in paths:
            if gain[state(g[:k])] >= 0:
                value[g], draws[g] = loss(g[:k], g), float(k)
            else:
                value[g] += price
        worth.update(gain)
    mean = sum(p * draws[g] for g, p in paths.items())
    return worth, mean, sum(p * (value[g] - price * (draws[g] - 1)) for g, p in paths.items())


@pytest.mark.parametrize("price", [0.01, 0.05])
def test_the_policy_is_the_best_one(price: float) -> None:
    """Against backward induction over all ways six draws can go; states where it hardly matters are left out."""
    worth, draws, different = exact(everything(COIN), 6, price)
    found = optimal.policy(COIN, 6, price)
    assert found.draws == pytest.approx(draws, abs=0.05)
    assert found.disagreement == pytest.approx(different, abs=0.005)
    checked = 0
    for (first, second, votes, k), gain in worth.items():
        if abs(gain) > 5e-4:
            assert found.is_enough(first, second, votes, k) == (gain > 0), (first, second, votes, k)
            checked += 1
    assert checked > 15


def test_a_dearer_draw_stops_earlier_and_differs_more_often() -> None:
    policies = [optimal.policy(COIN, 24, price) for price in (0.002, 0.01, 0.05)]
    assert policies[0].draws > policies[1].draws > policies[2].draws
    assert policies[0].disagreement < policies[1].disagreement < policies[2].disagreement


def test_fitting_finds_the_kinds_of_problems_that_there_are() -> None:
    """Half of the problems near unanimous, half coins, 400 problems of 30 draws: the weight lands on such kinds."""
    rng = np.random.default_rng(7)
    coins = [Tally((max(k, 30 - k), min(k, 30 - k))) for k in rng.binomial(30, 0.5, 200).tolist()]
    fitted = prior.fit([*coins, *[Tally((30,))] * 200])
    sure = sum(atom.weight for atom in fitted.atoms if atom.discount >= 0 and atom.strength <= 0.05)
    tied = sum(atom.weight for atom in fitted.atoms if atom.strength == -2 * atom.discount and atom.strength >= 8)
    assert sure == pytest.approx(0.5, abs=0.05)
    assert tied == pytest.approx(0.5, abs=0.1)
    assert all(atom.no_answer == 0 for atom in fitted.atoms)


def test_fitting_needs_two_draws_of_a_problem() -> None:
    with pytest.raises(UsageError, match="no problem here has two"):
        prior.fit([Tally((1,)), Tally((), 1)])


def test_a_prior_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    fitted = prior.fit([Tally((5, 3), 1), Tally((9,))], {"problems": 2, "sources": ['a "b"', "c"]})
    path = tmp_path / "stop.toml"
    path.write_text(prior.text_of(fitted), encoding="utf-8")
    assert prior.read(path) == fitted
    assert prior.read(path).about == fitted.about


def test_the_prior_that_ships_says_where_it_is_from() -> None:
    shipped = prior.read(prior.DEFAULT)
    assert shipped.about["problems"] == 869
    assert len(shipped.about["sources"]) == 6
    assert sum(atom.weight for atom in shipped.atoms) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "format is None"),
        ("nonsense", "not TOML"),
        (f'format = "{prior.FORMAT}"\nkinds = []', "no kinds"),
        (f'format = "{prior.FORMAT}"\nkinds = [[0.0, 1.0, 0.0]]', "not as `mull train stop` writes it"),
        (
            f'format = "{prior.FORMAT}"\nkinds = [[-0.3, 1.0, 0.0, 1.0]]',
            "kind 1 is not a valid distribution of answers",
        ),
        (f'format = "{prior.FORMAT}"\nkinds = [[0.0, 1.0, 0.0, 0.0]]', "kind 1 is not a valid distribution of answers"),
    ],
)
def test_what_is_no_prior_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "stop.toml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=why):
        prior.read(path)
    with pytest.raises(FileFormatError, match="there is no such file"):
        prior.read(tmp_path / "missing.toml")


def test_a_stop_may_come_after_any_draw_but_never_before_the_next_stop() -> None:
    """`next_stop` looks at every way the next draws can go, not only at those for the leader."""
    found = optimal.policy(COIN, 8, 0.02)
    for answers in itertools.chain.from_iterable(growths(k) for k in range(1, 6)):
        counts = sorted(Counter(a for a in answers if a >= 0).values(), reverse=True)
        first, second = [*counts, 0, 0][:2]
        here = (first, second, sum(counts), len(answers))
        for k in range(1, found.next_stop(*here)):
            for more in itertools.product((-1, 0, 1, 9), repeat=k):
                tally = Counter(a for a in (*answers, *more) if a >= 0)
                top = [*sorted(tally.values(), reverse=True), 0, 0][:2]
                assert not found.is_enough(*top, sum(tally.values()), len(answers) + k)
