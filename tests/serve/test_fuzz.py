"""Requests that no client means: whatever a body holds, the reply is an answer or an error that says what is wrong."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from odd_requests import calm_server, fuzzed

Make = Callable[..., Any]


async def test_no_body_is_too_odd(gateway: Make) -> None:
    async with calm_server() as upstream:
        text = f'[models.words]\nbase_url = "{upstream}"\n[presets.vote]\nstrategy = "majority:n=3"\n'
        text += '[presets.one]\nstrategy = "single"\n'
        ceilings = '[serve]\ncalls = 4\ntokens = 200\nmodels = ["nano", "words"]\n'
        async with gateway(text + ceilings) as served:
            counts = await asyncio.gather(*(fuzzed(served.url, seed, 60) for seed in range(5)))
            statuses = sum(counts, Counter[int]())
            assert set(statuses) >= {200, 400, 404}
            assert (await served.ask("nano")).choices  # and it goes on
