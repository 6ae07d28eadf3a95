"""Sampling from large vocabularies takes short cuts; each must find what the whole computation finds."""

import numpy as np
import pytest

from mull.runtime.sampling import FRONT, filtered, inverted, likeliest

WIDE = 3 * FRONT + 17


def whole(wide: np.ndarray, temperature: float, top_p: float, top_k: int) -> np.ndarray:
    """The likeliest tokens by a full sort, token by token."""
    chances = np.exp(wide / temperature)
    kept, mass = np.zeros_like(chances), 0.0
    for n, token in enumerate(sorted(range(len(wide)), key=lambda i: (-chances[i], i))):
        if (top_k and n >= top_k) or (n and mass / chances.sum() >= top_p):
            break
        kept[token] = chances[token]
        mass += chances[token]
    return kept


@pytest.mark.parametrize(("top_p", "top_k"), [(0.5, 0), (0.95, 0), (1.0, 20), (0.8, 20), (0.999999, 0), (1.0, 5000)])
@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_filters_keep_what_a_full_sort_keeps(top_p: float, top_k: int, spread: float) -> None:
    wide = np.round(np.random.default_rng(3).normal(0, spread, WIDE), 2)  # rounded, so that there are ties
    wide -= wide.max()
    np.testing.assert_array_equal(filtered(wide, 0.7, top_p, top_k), whole(wide, 0.7, top_p, top_k))


def test_the_likeliest_are_those_of_a_full_sort() -> None:
    row = np.round(np.random.default_rng(4).normal(0, 1, WIDE), 1).astype(np.float32)
    want = sorted(range(WIDE), key=lambda i: (-row[i], i))[:50]
    assert [top.token for top in likeliest(row, 50)] == want


def test_inversion_finds_the_token_at_a_share_of_the_mass() -> None:
    rng = np.random.default_rng(5)
    chances = np.exp(rng.normal(0, 4, (40, WIDE)))
    chances[:, rng.integers(0, WIDE, WIDE // 2)] = 0
    for uniform in (rng.random(40), np.zeros(40), np.full(40, np.nextafter(1, 0))):
        tokens = inverted(chances, uniform)
        for row, token, u in zip(chances, tokens, uniform, strict=True):
            up_to = row.cumsum()
            before = up_to[token] - row[token]
            assert row[token] > 0
            assert before - 1e-9 * up_to[-1] <= u * up_to[-1] <= up_to[token] * (1 + 1e-9)
