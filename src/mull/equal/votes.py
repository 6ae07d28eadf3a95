"""Groups a vote's answers into classes of equal ones, independently of the order of the samples."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from mull.equal.answers import Answers
from mull.equal.fingerprints import fingerprints
from mull.equal.forms import CLOSE_DIGITS, Form, decimals
from mull.equal.pool import POOL, Allowance, Equality, is_installed
from mull.equal.reader import canonical, read
from mull.equal.sameness import arbitrary, integral, same, scaled, with_letters

VOTE_SECONDS = 4.0
"""Processor time of workers that one vote may use; comparisons open by then count as undecided."""
MAX_RIVALS = 16
"""Most answers of almost the same size that one answer is compared with."""
MAX_IN_LOOP = 400
"""Most characters of distinct answers that are compared in the event loop, which takes at most 20 ms."""
WINDOW = 2e-5
"""Relative difference up to which two answers may be equal by rounding."""


async def classes(texts: Sequence[str | None]) -> Answers:
    """`classes_now` without blocking the event loop: a thread compares many answers, and those that need workers."""
    if sum(map(len, {text for text in texts if text is not None})) > MAX_IN_LOOP:
        return await asyncio.to_thread(classes_now, texts)
    found, is_open = _classes(texts, None)
    return await asyncio.to_thread(classes_now, texts) if is_open else found


def classes_now(texts: Sequence[str | None]) -> Answers:
    """The classes of canonical answers; an answer that cannot be read does not vote.

    Equality that ignores names, units and rounding is not transitive (3 cm is 3 is 3 m), so a rule defines the classes:
    answers are taken in order of frequency, ties in order of their text; each joins the first class whose members all
    equal it, or else starts a new one.
    """
    found, is_open = _classes(texts, None)
    if not is_open:
        return found
    POOL.start()
    return _classes(texts, Allowance(VOTE_SECONDS))[0]


def _classes(texts: Sequence[str | None], allowance: Allowance | None) -> tuple[Answers, bool]:
    """The classes, and whether workers were needed; without an allowance no worker is asked."""
    counts = Counter(text for text in texts if text is not None)
    if len(counts) < 2 and not any(text.startswith("\\") for text in counts):
        return Answers(texts), False
    grouping = _Grouping(counts, allowance)
    grouping.run()
    names = grouping.names
    undecided = sum(counts[key] for key in grouping.undecided)
    return Answers([None if t is None else names.get(t) for t in texts], undecided), grouping.is_open


class _Grouping:
    """The distinct answers of one vote while they are being grouped."""

    def __init__(self, counts: Counter[str], allowance: Allowance | None) -> None:
        self.allowance = allowance
        self.is_open = False
        self.undecided: set[str] = set()
        self.names: dict[str, str] = {}
        ranked = sorted(counts, key=lambda key: (-counts[key], key))
        read_forms = ((key, read(key)) for key in ranked)
        self.forms: dict[str, Form] = {key: form for key, form in read_forms if form is not None}
        self.rank = {key: i for i, key in enumerate(self.forms)}
        self.members: dict[str, list[str]] = {}

    def run(self) -> None:
        plain: list[tuple[float, int]] = []
        odd: list[tuple[float, int]] = []
        sizes: dict[str, list[float]] = {}
        keys = list(self.forms)
        unread = []
        for i, (key, form) in enumerate(self.forms.items()):
            found = fingerprints(form)
            if -1.0 in found:
                size = self.size(key)
                if size is None and form.has_hard and is_installed() and self.allowance is not None:
                    unread.append(key)
                found = [x for x in found if x >= 0] + ([] if size is None else [size])
            sizes[key] = found
            (plain if is_plain(form) else odd).extend((x, i) for x in found)
        for key in unread:
            del self.forms[key]
        plain.sort()
        odd.sort()
        for key, form in self.forms.items():
            rivals = set(near(odd, sizes[key]))
            if not is_plain(form):
                rivals |= set(near(plain, sizes[key]))
            self.place(key, [keys[i] for i in sorted(rivals) if keys[i] in self.names][:MAX_RIVALS])

    def place(self, key: str, rivals: Sequence[str]) -> None:
        """Puts an answer into the first class all of whose members it equals."""
        for leader in dict.fromkeys(self.names[rival] for rival in rivals):
            verdicts = [same(self.forms[key], self.forms[m], self.ask) for m in self.members[leader][:MAX_RIVALS]]
            if all(verdicts):
                self.names[key] = leader
                self.members[leader].append(key)
                return
            if None in verdicts and False not in verdicts:
                self.undecided.add(key)
        self.names[key] = key
        self.members[key] = [key]

    def ask(self, a: str, b: str) -> bool | None:
        self.is_open = True
        return POOL.compare(a, b, self.allowance).is_equal if self.may_ask() else None

    def size(self, key: str) -> float | None:
        self.is_open = True
        if not is_installed():
            POOL.compare(key, key)  # warns once that math-verify is missing
            self.undecided.add(key)
        elif self.may_ask():
            return POOL.size(key, self.allowance)
        return None

    def may_ask(self) -> bool:
        return self.allowance is not None and self.allowance.seconds > 0


def is_plain(form: Form) -> bool:
    """Whether no other plain form equals it: an exact number or polynomial that is not a long decimal."""
    if form.kind != "value" or not form.is_exact or integral(form.value) is not None:
        return False
    if with_letters(form.value) or scaled(form.value) or arbitrary(form.value):
        return False
    number = form.value.number
    digits = None if number is None else decimals(number)
    return digits is None or digits[0] < CLOSE_DIGITS


def near(sizes: Sequence[tuple[float, int]], wanted: Sequence[float]) -> Iterable[int]:
    """The indices of the entries whose size is close to a wanted one."""
    for x in wanted:
        low = bisect_left(sizes, (x * (1 - WINDOW), -1))
        high = bisect_right(sizes, (x * (1 + WINDOW) + 1e-12, len(sizes) + 10**9))
        yield from (i for _, i in sizes[low : min(high, low + 8 * MAX_RIVALS)])


async def compare(a: str, b: str) -> Equality:
    """`compare_now` without blocking the event loop: a thread compares long answers, and those that need a worker."""
    if len(a) + len(b) > MAX_IN_LOOP:
        return await asyncio.to_thread(compare_now, a, b)
    quick = _quick(a, b)
    return quick if quick is not None else await asyncio.to_thread(compare_now, a, b)


def compare_now(a: str, b: str) -> Equality:
    """Whether two answers are mathematically equal: by exact arithmetic, else by math-verify in a worker."""
    quick = _quick(a, b)
    return quick if quick is not None else POOL.compare(canonical(a) or "", canonical(b) or "")


def _quick(a: str, b: str) -> Equality | None:
    """The verdict of exact arithmetic; `None` if a worker is needed."""
    one, other = read(a), read(b)
    if one is None or other is None:
        return Equality(False, f"{(a if one is None else b)[:60]!r} is not an answer")
    verdict = same(one, other, lambda x, y: None)
    return None if verdict is None else Equality(verdict)
