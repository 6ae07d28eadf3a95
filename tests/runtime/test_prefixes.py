"""The radix tree of keys and values: it finds the longest beginning, keeps each token once and forgets the oldest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mull.runtime.prefixes import Prefixes
from mull.runtime.session import Floats

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), max_size=20)


def computed(tokens: tuple[int, ...]) -> Floats:
    """Stands for keys and values: those of a token depend on all tokens up to it."""
    values = [hash(tokens[: i + 1]) % 1_000_003 for i in range(len(tokens))]
    return np.array(values, dtype=np.float32).reshape(1, 1, -1, 1)


def alike(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@given(sequences, sequences)
def test_it_finds_the_longest_beginning_and_its_values(
    added: list[tuple[int, ...]], asked: list[tuple[int, ...]]
) -> None:
    known = Prefixes(10**9)
    for tokens in added:
        known.add(tokens, computed(tokens))
    for tokens in asked:
        n, pieces = known.longest(tokens)
        assert n == max((alike(tokens, other) for other in added), default=0)
        assert sum(piece.shape[2] for piece in pieces) == n
        if n:
            assert np.array_equal(np.concatenate(pieces, axis=2), computed(tokens)[:, :, :n])


@given(sequences)
def test_each_token_is_kept_once(added: list[tuple[int, ...]]) -> None:
    known = Prefixes(10**9)
    for tokens in added:
        known.add(tokens, computed(tokens))
    assert known.n_bytes == 4 * len({tokens[: i + 1] for tokens in added for i in range(len(tokens))})
    known.clear()
    assert known.n_bytes == 0
    assert known.longest((0,)) == (0, [])


@given(sequences, st.integers(0, 20))
def test_it_never_holds_more_than_its_capacity_and_what_it_says_is_true(added: list[tuple[int, ...]], n: int) -> None:
    known = Prefixes(4 * n)
    for tokens in added:
        known.add(tokens, computed(tokens))
        assert known.n_bytes <= 4 * n
        found, pieces = known.longest(tokens)
        if found:
            assert np.array_equal(np.concatenate(pieces, axis=2), computed(tokens)[:, :, :found])


def test_what_was_used_longest_ago_goes_first() -> None:
    known = Prefixes(4 * 6)
    for tokens in ((1, 1, 1), (2, 2, 2)):
        known.add(tokens, computed(tokens))
    known.longest((1, 1, 1))
    known.add((3, 3, 3), computed((3, 3, 3)))
    assert [known.longest((i, i, i))[0] for i in (1, 2, 3)] == [3, 0, 3]


def test_arrays_that_were_handed_out_outlive_what_happens_later() -> None:
    known = Prefixes(4 * 4)
    known.add((1, 2, 3, 4), computed((1, 2, 3, 4)))
    _, pieces = known.longest((1, 2, 3, 4))
    before = [piece.copy() for piece in pieces]
    known.add((1, 2, 9), computed((1, 2, 9)))
    known.add((7, 7, 7, 7), computed((7, 7, 7, 7)))
    assert all(np.array_equal(a, b) for a, b in zip(before, pieces, strict=True))
