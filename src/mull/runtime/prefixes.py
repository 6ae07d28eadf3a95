"""A prefix cache of recently computed keys and values, which stores shared prefixes once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from mull.runtime.session import Floats


@dataclass(eq=False, slots=True)
class _Stretch:
    """A run of tokens without a branch, and their keys and values [2 * layers, kv_heads, n, head]."""

    tokens: tuple[int, ...]
    keys_values: Floats
    parent: _Stretch | None
    children: dict[int, _Stretch] = field(default_factory=dict)


def _n_alike(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """The length of the common prefix of two sequences."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next(i for i in range(n) if a[i] != b[i])


class Prefixes:
    """A radix tree of token sequences that holds at most `capacity` bytes; evicts the least recently used first.

    Thread-safe: returned arrays are never written to.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.n_bytes = 0
        self._root = _Stretch((), np.zeros((0, 0, 0, 0), dtype=np.float32), None)
        # From least to most recently used; a node is touched after all below it, so the first is a leaf.
        self._used: OrderedDict[_Stretch, None] = OrderedDict()
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Removes everything."""
        with self._lock:
            self._root.children.clear()
            self._used.clear()
            self.n_bytes = 0

    def longest(self, tokens: tuple[int, ...]) -> tuple[int, list[Floats]]:
        """The length of the longest cached prefix of these tokens, and its keys and values in consecutive pieces."""
        with self._lock:
            path, n, n_last = self._walk(tokens)
            self._touch(path)
            pieces = [stretch.keys_values for stretch in path]
            if path and n_last < len(path[-1].tokens):
                pieces[-1] = pieces[-1][:, :, :n_last]
            return n, pieces

    def add(self, tokens: tuple[int, ...], keys_values: Floats) -> None:
        """Caches the keys and values of these tokens, `keys_values[:, :, i]` being token i's; copies what is new."""
        with self._lock:
            path, n, n_last = self._walk(tokens)
            if n == len(tokens):
                self._touch(path)
                return
            if path and n_last < len(path[-1].tokens):
                path[-1] = self._split(path[-1], n_last)
            parent = path[-1] if path else self._root
            new = _Stretch(tokens[n:], keys_values[:, :, n : len(tokens)].copy(), parent)
            parent.children[tokens[n]] = new
            self.n_bytes += new.keys_values.nbytes
            self._touch([*path, new])
            self._evict()

    def _walk(self, tokens: tuple[int, ...]) -> tuple[list[_Stretch], int, int]:
        """The nodes on the path of these tokens, how many tokens match, and how many of the last node's tokens do."""
        path: list[_Stretch] = []
        stretch, n, n_last = self._root, 0, 0
        while n < len(tokens) and n_last == len(stretch.tokens):
            child = stretch.children.get(tokens[n])
            if child is None:
                break
            n_last = _n_alike(child.tokens, tokens[n : n + len(child.tokens)])
            n += n_last
            stretch = child
            path.append(child)
        return path, n, n_last

    def _split(self, stretch: _Stretch, n: int) -> _Stretch:
        """Splits a node after its n-th token; returns the upper part, which is new."""
        assert stretch.parent is not None
        upper = _Stretch(stretch.tokens[:n], stretch.keys_values[:, :, :n].copy(), stretch.parent)
        stretch.parent.children[upper.tokens[0]] = upper
        stretch.tokens, stretch.keys_values = stretch.tokens[n:], stretch.keys_values[:, :, n:].copy()
        stretch.parent = upper
        upper.children[stretch.tokens[0]] = stretch
        self._used[upper] = None
        return upper

    def _touch(self, path: list[_Stretch]) -> None:
        for stretch in reversed(path):
            self._used[stretch] = None
            self._used.move_to_end(stretch)

    def _evict(self) -> None:
        while self.n_bytes > self.capacity and self._used:
            stretch, _ = self._used.popitem(last=False)
            assert stretch.parent is not None
            del stretch.parent.children[stretch.tokens[0]]
            self.n_bytes -= stretch.keys_values.nbytes
