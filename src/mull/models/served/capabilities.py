"""The capabilities of a server, as probed."""

from __future__ import annotations

from dataclasses import dataclass, field

from mull.models.served.template import ChatTemplate
from mull.types import Cost


@dataclass(frozen=True)
class Capabilities:
    """What a server can do with a model, as probed.

    `n`: returns several independent replies to one request. `seed`: the same seed gives the same text (`None`: replies
    do not vary enough to tell); a seed has at most `seed_bits` bits. `varies`: replies differ at all. `logprobs`:
    returns log-probabilities; `tops`: of at most so many likeliest tokens at each position (`None`: not known).
    `stop`: what it does at a stop string: `told` (reports which), `kept` (leaves it in the text), `dropped` (removes it
    and does not report it) or `ignored`. `stream`, `stream_usage`: streams events, with token counts at the end;
    `stream_n`: also several replies to one request.
    `most_n`: the most replies to one request (`None`: not known). `slots`: how many replies it generates at once
    (`None`: it does not say). `counts_all`: the token counts of a request are those of all its replies, not of the
    first alone. `batch_seeds`: what the seed of a request for several replies does: `counted` (reply i is that of the
    seed plus i), `mixed` (the replies differ) or `copied` (all are the same). `rate`: tokens per second of one reply.
    `tells_cut`: it says so if a reply reached its limit on tokens, rather than that it ended.
    `context`: the most tokens of prompt and reply together (`None`: it does not say). `echoes`: a reply to a partial
    reply repeats it.
    `continues`: how to continue a partial reply (`None`: not possible; `why` is the reason). `length` is its name for
    the maximum number of output tokens, `rejects` the fields that it refuses, `overhead` the most tokens that it adds
    to a short prompt. `biases`: how `logit_bias` names tokens, by `ids` that the server reports or by `texts` (`None`:
    no bias). `limits`: the field that limits thinking and is enforced (`None`: none found); `ignores`: such fields that
    it accepts but does not enforce; `no_limit` is what it says of such a field that it refuses, `least_limit` the
    smallest budget that it accepts. `cost` is the cost of the probe.
    """

    backend: str = "unknown"
    version: str = ""
    n: bool = False
    seed: bool | None = False
    seed_bits: int = 53
    varies: bool = True
    logprobs: bool = False
    tops: int | None = None
    stop: str = "dropped"
    stream: bool = False
    stream_usage: bool = False
    stream_n: bool = False
    most_n: int | None = None
    slots: int | None = None
    counts_all: bool = True
    batch_seeds: str = "mixed"
    rate: float | None = None
    tells_cut: bool = True
    context: int | None = None
    echoes: bool = False
    continues: str | None = None
    why: str = ""
    length: str = "max_tokens"
    rejects: tuple[str, ...] = ()
    overhead: int | None = None
    template: ChatTemplate | None = None
    has_bos: bool = True
    biases: str | None = None
    limits: str | None = None
    ignores: tuple[str, ...] = ()
    no_limit: str = ""
    least_limit: int = 0
    cost: Cost = field(default_factory=lambda: Cost(calls=0))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know before drawing, each as a predicate of the model."""
        said = []
        refused = [name for name in self.rejects if name in ("temperature", "top_p")]
        if refused:
            said.append(f"its server accepts no {' and no '.join(refused)}: draws are made at its own")
        return tuple(said)
