"""Whether an engine draws from the law that it reports: its first tokens against their own log-probabilities.

Of six engines that run a model file in a process, one changed 4-bit weights on reading, so that a token of probability
.93 was drawn at .3: what is drawn is then not what is reported, and no vote, bias or curve can be trusted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mull.types import Finish, Params, Prompt, Sample

QUESTION = Prompt.user("Name one thing that you like.")
N_DRAWS, N_TOPS = 64, 10
FALSE_ALARM = 1e-9
"""The chance at most that an engine that draws rightly is taken for one that does not."""
FIRST = Params(1.0, 1, logprobs=N_TOPS)


def departs(draws: Sequence[Sample]) -> str | None:
    """How the first tokens of draws depart from their log-probabilities; `None`: they do not, or it cannot be told.

    The share of each of the likeliest tokens, and of all others together, is held against its probability by the
    Chernoff bound P(share is as far from p) <= 2 exp(-n KL(share, p)), for all of them within `FALSE_ALARM`.
    """
    usable = [draw for draw in draws if draw.finish is not Finish.ERROR and draw.alternatives]
    if len(usable) < N_DRAWS // 2:
        return None
    tops = {token: min(1.0, math.exp(logprob)) for token, logprob in (usable[0].alternatives or ((),))[0]}
    # The end of the reply has no text, and part of a character none of its own: they are among the others.
    shares = Counter(draw.text if draw.text in tops else "" for draw in usable)
    law = {token: p for token, p in tops.items() if token and token in {*shares, *_texts(tops)}}
    law[""] = max(0.0, 1.0 - math.fsum(law.values()))
    most = math.log(2 * len(law) / FALSE_ALARM) / len(usable)
    for token, p in law.items():
        share = shares[token] / len(usable)
        if _divergence(share, min(max(p, 1e-4), 1 - 1e-4)) > most:
            name = repr(token) if token else "any other token"
            return f"{name} has the probability {p:.2f} and was drawn in {share:.2f} of {len(usable)} draws"
    return None


def _texts(tops: dict[str, float]) -> list[str]:
    """The tokens that are text: special ones, such as the end of the reply, are drawn without one."""
    return [token for token in tops if not (token.startswith("<") and token.endswith(">"))]


def _divergence(share: float, p: float) -> float:
    """The Kullback-Leibler divergence of two probabilities of an event, in nats."""
    parts = ((share, p), (1 - share, 1 - p))
    return sum(q * math.log(q / r) for q, r in parts if q > 0)
