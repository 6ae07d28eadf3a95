"""The output tokens of each reply of a request, never fewer than were generated."""

from __future__ import annotations

from collections.abc import Sequence

from mull.wire.replies import ReplyChoice, share

ENDED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_string"}
CUT = {"length", "max_tokens", "max_output_tokens"}


def outputs(
    choices: Sequence[ReplyChoice | None], total: int | None, most: int, *, counts_all: bool
) -> list[int | None]:
    """The output tokens of each reply; `None`: unknown. `most` is the limit of one reply.

    `total` is what the server reports for the request, which covers all replies if `counts_all`, or the first alone.
    Counts of each reply are exact; so are log-probabilities, one per token, if they add up to the total. Otherwise a
    reply that was cut by its limit has `most` tokens, and the others share the rest in proportion to their length.
    """
    each = [None if choice is None else choice.n_tokens for choice in choices]
    if len(choices) == 1:
        (choice,) = choices
        if choice is None or choice.logprobs is None:
            return [total]
        return [_told(choice, most) if total is None else max(total, len(choice.logprobs))]
    if any(count is not None for count in each):
        return each
    told = [None if choice is None else _told(choice, most) for choice in choices]
    if total is None or not counts_all:
        return told
    known = [None if choice is None or choice.logprobs is None else len(choice.logprobs) for choice in choices]
    n_ends = sum(choice is not None and choice.finish in ENDED for choice in choices)
    if None not in known and sum(count or 0 for count in known) == total:
        return known
    if None not in told and n_ends and sum(count or 0 for count in told) == total:
        return told
    if total < sum(choice is not None and bool(choice.text or choice.reasoning) for choice in choices):
        return [None] * len(choices)  # fewer than there are replies: it is not true
    return list(split(total, choices, most))


def _told(choice: ReplyChoice | None, most: int) -> int | None:
    """The tokens of a reply with log-probabilities; the end of the reply is one more, which not all servers list."""
    if choice is None or choice.logprobs is None:
        return None
    return min(len(choice.logprobs) + (choice.finish in ENDED), max(most, len(choice.logprobs)))


def split(total: int, choices: Sequence[ReplyChoice | None], most: int) -> list[int]:
    """Parts of `total`: `most` for each reply that was cut by its limit, the rest in proportion to length.

    If the total leaves less than a token for each of the others, replies were cut by the context instead: then all
    share alike.
    """
    sizes = [0 if choice is None else len(choice.text) + len(choice.reasoning or "") for choice in choices]
    is_cut = [choice is not None and choice.finish in CUT for choice in choices]
    others = [i for i, cut in enumerate(is_cut) if not cut]
    rest = total - most * (len(choices) - len(others))
    if not sum(size > 0 for size, cut in zip(sizes, is_cut, strict=True) if not cut) <= rest <= most * len(others):
        return share(total, sizes if others else [1] * len(sizes), most)
    parts = [most] * len(choices)
    for i, part in zip(others, share(rest, [sizes[i] for i in others], most), strict=True):
        parts[i] = part
    return parts
