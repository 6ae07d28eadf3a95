"""What a server was found to be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from mull.models.served.template import ChatTemplate
from mull.types import Cost


@dataclass(frozen=True)
class Capabilities:
    """What a server can do with a model, as it was found out.

    `n`: several independent replies to one request. `seed`: the same seed gives the same text (`None`: the model's
    replies do not vary enough to tell), which has `seed_bits` bits at most. `varies`: replies differ at all.
    `logprobs`: tells log-probabilities.
    `stop`: what it does at a stop string: `told` (says which), `kept` (leaves it in the text), `dropped` (cuts it
    off and does not say so) or `ignored`. `stream`, `stream_usage`: sends events, with token counts at their end.
    `continues`: how a partial reply is continued (`None`: not at all, and `why` says why). `length` is what it
    calls the most tokens of a reply, `rejects` are fields that it refuses, `overhead` tokens that it adds to a
    short prompt at most. `biases`: how logits are added to, by `ids` of tokens that the server tells, or by `texts`
    (`None`: not at all). `limits`: the field that limits a thought and is kept to (`None`: none was found), `ignores`
    such fields that it takes and does not keep to. `cost` is what finding out took.
    """

    backend: str = "unknown"
    version: str = ""
    n: bool = False
    seed: bool | None = False
    seed_bits: int = 53
    varies: bool = True
    logprobs: bool = False
    stop: str = "dropped"
    stream: bool = False
    stream_usage: bool = False
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
    cost: Cost = field(default_factory=lambda: Cost(calls=0))
