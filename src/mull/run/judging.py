"""Having things judged: no ceiling is passed, and what the bank has is not asked again."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from mull.bank import Bank, patient
from mull.cost import check_quoted, fits, total
from mull.run.wallet import Wallet
from mull.types import Behaviour, Cost, Preference, Score, Stopped, Verdict

V = TypeVar("V", Score, Preference, Behaviour)


@dataclass(frozen=True)
class Asking(Generic[V]):
    """Who judges, at what price, and under which key a verdict is kept (`None`: it is not)."""

    name: str
    identity: str | None
    quote: Callable[[Sequence[Any]], Cost]
    call: Callable[[Sequence[Any]], Awaitable[Sequence[V]]]
    unknown: Callable[[str], V]
    key_of: Callable[[str, Any], str | None]


async def judged(
    items: Sequence[Any], asking: Asking[V], wallet: Wallet, bank: Bank | None
) -> tuple[list[V], Stopped | None]:
    """A verdict on each item, and why some are unknown: the first ones that the ceilings allow are asked about.

    What is here twice is asked once. What the bank has is not asked again; its cost counts as spent all the same.
    """
    quote = asking.quote
    check_quoted(wallet.budget, quote(items), asking.name)
    left = wallet.left
    n = bisect_right(range(1, len(items) + 1), 0, key=lambda k: not fits(left, quote(items[:k])))
    stopped = Stopped.BUDGET if n < len(items) else None
    beyond = [asking.unknown("the budget is spent")] * (len(items) - n)
    if n == 0:
        return beyond, stopped
    keys = [None if asking.identity is None else asking.key_of(asking.identity, item) for item in items[:n]]
    names = [str(i) if key is None else key for i, key in enumerate(keys)]
    hold = wallet.hold(quote(items[:n]))
    try:
        verdicts: dict[str, V] = await _known(bank, [key for key in keys if key is not None])
        missing = {name: item for name, item in zip(names, items, strict=False) if name not in verdicts}
        new: Sequence[V] = ()
        if missing:
            async with asyncio.timeout(left.seconds):
                new = await asking.call(list(missing.values()))
    except TimeoutError:
        if wallet.left.seconds != 0.0:
            raise
        lost = quote(list(missing.values()))
        wallet.pay(lost + total(v.cost for v in verdicts.values()), hold.quote, lost)
        late = asking.unknown("the deadline passed")
        return [verdicts.get(name, late) for name in names] + beyond, Stopped.DEADLINE
    finally:
        wallet.drop(hold)
    for name, verdict in zip(missing, new, strict=True):
        verdicts[name] = verdict
        if bank is not None and name in keys and is_lasting(verdict):
            bank.keep(name, str(asking.identity), verdict)
    given: list[V] = []
    seen: set[str] = set()
    for name in names:  # what is here twice was asked about once, and costs once
        given.append(replace(verdicts[name], cost=Cost()) if name in seen else verdicts[name])
        seen.add(name)
    wallet.pay(total(v.cost for v in given), hold.quote, total(v.cost for v in new) if new else None)
    return given + beyond, stopped


def is_lasting(verdict: Verdict) -> bool:
    """Whether asking again would say the same."""
    if isinstance(verdict, Behaviour):
        return verdict.is_known
    value = verdict.value if isinstance(verdict, Score) else verdict.first
    return value is not None or verdict.is_lasting


async def _known(bank: Bank | None, keys: Sequence[str]) -> dict[str, Any]:
    """The verdicts that the bank has, by key."""
    return await patient(lambda: bank.verdicts(keys)) if bank is not None and keys else {}
