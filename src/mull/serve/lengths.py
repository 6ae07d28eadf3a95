"""How many tokens a reply has that was written in several draws, each going on from the one before."""

from __future__ import annotations

from collections.abc import Callable

from mull.run.events import DrawArrived, RunEvent
from mull.types import Finish, Sample


class Steps:
    """The draws of a run, as they arrive; `watch` is told of all events as well."""

    def __init__(self, watch: Callable[[RunEvent], None] | None) -> None:
        self._watch = watch
        self._drawn: list[Sample] = []

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, DrawArrived) and event.sample.text and event.sample.finish is not Finish.ERROR:
            self._drawn.append(event.sample)
        if self._watch is not None:
            self._watch(event)

    def n_before(self, last: Sample) -> int | None:
        """The tokens of the draws that `last` goes on from; `None`: not known. What no draw wrote has none."""
        n, prefix = 0, last.prompt.prefix
        while prefix:
            whole = [one for one in self._drawn if prefix.startswith(one.reply)]
            found = [one for one in whole if one.prompt.messages == last.prompt.messages]
            if not found:
                break
            step = max(found, key=lambda one: len(one.reply))
            if step.cost.output_tokens is None:
                return None
            n, prefix = n + step.cost.output_tokens, step.prompt.prefix
        return n
