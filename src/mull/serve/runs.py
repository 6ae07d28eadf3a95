"""Past runs, kept in memory for the page: the last ones of each key, as traces."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mull.run.trace import DrawEvent, TraceFile
from mull.serve.faults import ApiError

MOST_CHARACTERS = 32 << 20
"""The most characters of texts in all traces together; the oldest go first."""
MOST_QUESTION = 300


@dataclass(frozen=True)
class Kept:
    """A run that is over. `owner` is the name of its key; `None`: there are no keys."""

    owner: str | None
    model: str
    at: datetime
    trace: TraceFile
    n_characters: int


class Runs:
    """The last `most` runs of each key; 0 keeps none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._n_characters = 0

    def keep(self, owner: str | None, model: str, trace: TraceFile) -> str:
        """Keeps a run, and forgets older ones beyond the limits. Its id says nothing of it."""
        id = f"run_{secrets.token_hex(12)}"
        texts = [event.prefix + event.text for event in trace.events if isinstance(event, DrawEvent)]
        n = sum(map(len, texts)) + sum(len(turn["content"]) for prompt in trace.prompts for turn in prompt)
        self._kept[id] = Kept(owner, model, datetime.now(UTC), trace, n)
        self._n_characters += n
        mine = [one for one, kept in self._kept.items() if kept.owner == owner]
        for old in mine[: max(0, len(mine) - self._most)]:
            self._forget(old)
        while self._n_characters > MOST_CHARACTERS:
            self._forget(next(iter(self._kept)))
        return id

    def _forget(self, id: str) -> None:
        self._n_characters -= self._kept.pop(id).n_characters

    def listed(self, owner: str | None) -> list[dict[str, Any]]:
        """The runs of a key in short, the newest first."""
        return [_short(id, kept) for id, kept in reversed(self._kept.items()) if kept.owner == owner]

    def find(self, owner: str | None, id: str) -> Kept:
        """A run of a key. Raises `ApiError` (404)."""
        kept = self._kept.get(id)
        if kept is None or kept.owner != owner:
            raise ApiError(404, f"no run {id[:100]!r}: it was forgotten, or is another key's", code="not_found")
        return kept


def _short(id: str, kept: Kept) -> dict[str, Any]:
    trace = kept.trace
    asked = [turn["content"] for turn in trace.prompts[0] if turn["role"] == "user"] if trace.prompts else []
    return {
        "id": id,
        "object": "run",
        "created": int(kept.at.timestamp()),
        "model": kept.model,
        "question": asked[-1][:MOST_QUESTION] if asked else "",
        "answer": None if trace.answer is None else trace.answer[:MOST_QUESTION],
        "confidence": trace.confidence,
        "stopped": trace.stopped,
        "draws": sum(isinstance(event, DrawEvent) for event in trace.events),
        "tokens": trace.spent.tokens,
        "usd": trace.spent.usd,
        "seconds": trace.seconds,
    }
