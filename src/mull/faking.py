"""What the fakes of `mull.testing` make up about their tokens."""

from __future__ import annotations

import random
from dataclasses import replace

from mull.types import Sample


def with_logprobs(sample: Sample, n_tops: int | None) -> Sample:
    """A fake draw with made-up log-probabilities and `n_tops` likeliest tokens at each place; `None`: as it was."""
    if n_tops is None:
        return sample
    n, rng = sample.cost.output_tokens or 0, random.Random(f"logprobs/{sample.prompt}/{sample.seed}")
    chosen = tuple(-rng.expovariate(2.0) for _ in range(n))
    tops = tuple(tuple((str(j), -rng.expovariate(0.5)) for j in range(n_tops)) for _ in range(n))
    return replace(sample, logprobs=chosen, alternatives=tops if n_tops else None)
