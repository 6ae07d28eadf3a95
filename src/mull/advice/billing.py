"""What the draws of a question cost as one request: its prompt once, and each reply.

A pilot's draws may have shared requests or not, depending on its server and bank. Advice must not depend on that, so
both are priced alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mull import cost
from mull.files.recording import Recording
from mull.types import Cost

EXACT = 1e-6
"""The relative error up to which costs count as sums of prices of tokens."""


def as_one_request(draws: Sequence[Sequence[Cost]]) -> list[tuple[Cost, Cost]]:
    """The cost of each problem's first draw, with the prompt, and of each further one; `draws` are [problems][draws].

    Dollars and FLOPs are split by the prices of tokens that these costs add up from. Where the costs are no such sums,
    or where tokens are unknown, they stay as they were charged.
    """
    usd, flops = _PriceTable("usd"), _PriceTable("flops")
    for problem in draws:
        for one in problem:
            usd.add(one)
            flops.add(one)
    rates = usd.rates(), flops.rates()
    return [_split(problem, *rates) for problem in draws]


def of_results(problems: Sequence[Recording]) -> list[tuple[Cost, Cost]] | None:
    """`as_one_request` for the problems of a sweep, whose strategies' costs are known as wholes.

    The cost of a single draw tells the length of its prompt. `None` where a problem has none, or where tokens have no
    prices that explain the costs.
    """
    usd, flops = _PriceTable("usd"), _PriceTable("flops")
    for one in problems:
        unscored = [result for result in one.results.values() if result.cost.verifier_tokens == 0]
        if not any(result.draws == 1 for result in unscored):
            return None
        for result in unscored:
            usd.add(result.cost)
            flops.add(result.cost)
    rates = usd.rates(), flops.rates()
    if rates == (None, None):
        return None
    prices = []
    for one in problems:
        alone = next(r.cost for r in one.results.values() if r.cost.verifier_tokens == 0 and r.draws == 1)
        tokens = [t for t in one.tokens if t is not None]
        if len(tokens) < one.n or not tokens:
            return None
        prices.append(_split([replace(alone, output_tokens=t, retries=0) for t in tokens], *rates))
    return prices


def _split(
    draws: Sequence[Cost], usd: tuple[float, float] | None, flops: tuple[float, float] | None
) -> tuple[Cost, Cost]:
    first, further = draws[0], cost.mean(draws[1:] if len(draws) > 1 else draws)
    prompts = [one.prompt_tokens for one in draws if one.prompt_tokens is not None]
    output = cost.mean(draws).output_tokens
    if output is None or len(prompts) < len(draws) or (usd is None and flops is None):
        return first, further
    prompt = max(prompts)
    first = replace(first, prompt_tokens=prompt, output_tokens=output)
    further = replace(further, prompt_tokens=0, output_tokens=output)
    for part, rates in (("usd", usd), ("flops", flops)):
        if rates is not None:
            read, written = rates
            whole: dict[str, Any] = {part: read * prompt + written * output}
            reply: dict[str, Any] = {part: written * output}
            first, further = replace(first, **whole), replace(further, **reply)
    return first, further


class _PriceTable:
    """What costs were for how many tokens, and the prices that explain them."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._rows: array[float] | None = array("d")

    def add(self, one: Cost) -> None:
        paid: float | None = getattr(one, self._part)
        if one.prompt_tokens is None or one.output_tokens is None or paid is None:
            self._rows = None
        elif self._rows is not None:
            self._rows.extend((one.prompt_tokens, one.output_tokens, paid))

    def rates(self) -> tuple[float, float] | None:
        """The price of a prompt token and of a generated one; `None` if unknown, or if none explains the costs."""
        if not self._rows:
            return None
        table = np.array(self._rows).reshape(-1, 3)
        tokens, paid = table[:, :2], table[:, 2]
        if not paid.any() or np.linalg.matrix_rank(tokens) < 2:
            return None
        rates = np.linalg.lstsq(tokens, paid, rcond=None)[0]
        if np.abs(tokens @ rates - paid).max() > EXACT * np.abs(paid).max() or (rates < 0).any():
            return None
        return float(rates[0]), float(rates[1])
