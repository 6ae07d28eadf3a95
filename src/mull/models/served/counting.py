"""The output tokens of each reply of a request, never fewer than were generated, and the likeliest ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mull.wire.finishes import is_cut, is_ended
from mull.wire.replies import ReplyChoice, Usage, share

Place = tuple[tuple[str, float], ...]
"""Tokens that could stand at one place of a reply, with their log-probabilities."""
SLACK = 8
"""Tokens that a server may count beside those of a reply, such as its end."""
LONGEST = 512
"""Bytes that no token of any vocabulary has."""


def believed(
    usage: Usage, n_prompt_bytes: int, choices: Sequence[ReplyChoice | None], most: int, *, counts_all: bool
) -> tuple[Usage, str | None]:
    """The counts of a request that can be true, and what is wrong with them (`None`: nothing).

    Fewer tokens than the texts can have are unknown, so that ceilings count the most there can be. More tokens than
    were allowed are believed: the server may not keep to the limit.
    """
    wrong: list[str] = []
    covered = [choice for choice in (choices if counts_all else choices[:1]) if choice is not None]
    n_bytes = sum(len(f"{one.text}{one.reasoning or ''}".encode(errors="replace")) for one in covered)
    if usage.output is not None and n_bytes > LONGEST * usage.output:
        wrong.append(f"{usage.output:,} tokens for a text of {n_bytes:,} bytes")
        usage = replace(usage, output=None, reasoning=None)
    if usage.prompt is not None and n_prompt_bytes > LONGEST * usage.prompt:
        wrong.append(f"{usage.prompt:,} tokens for a prompt of {n_prompt_bytes:,} bytes")
        usage = replace(usage, prompt=None, cached=None)
    if wrong:
        return usage, f"its server reports {' and '.join(wrong)}: they count as unknown"
    whole = [choice for choice in choices if choice is not None]  # some servers count one reply, and all in a stream
    thinks = usage.reasoning or any(one.reasoning for one in whole)
    if usage.output is not None and not thinks and usage.output > len(whole) * (most + SLACK):
        return usage, f"its server reports {usage.output:,} tokens where {len(whole) * most:,} were allowed"
    return usage, None


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
    n_ends = sum(choice is not None and is_ended(choice.finish) for choice in choices)
    if None not in known and sum(count or 0 for count in known) == total:
        return known
    if None not in told and n_ends and sum(count or 0 for count in told) == total:
        return told
    if total < sum(choice is not None and bool(choice.text or choice.reasoning) for choice in choices):
        return [None] * len(choices)  # fewer than there are replies: it is not true
    return list(split(total, choices, most))


def likeliest(places: Sequence[Place], n: int) -> tuple[Place, ...] | None:
    """The `n` likeliest tokens at each place, of which a server may list more; `None`: there are none.

    vLLM's completions list the chosen token beside them, and its chats in place of the last.
    """
    if not any(places):
        return None
    return tuple(tuple(sorted(place, key=lambda one: -one[1])[:n]) if len(place) > n > 0 else place for place in places)


def _told(choice: ReplyChoice | None, most: int) -> int | None:
    """The tokens of a reply with log-probabilities; the end of the reply is one more, which not all servers list."""
    if choice is None or choice.logprobs is None:
        return None
    return min(len(choice.logprobs) + is_ended(choice.finish), max(most, len(choice.logprobs)))


def split(total: int, choices: Sequence[ReplyChoice | None], most: int) -> list[int]:
    """Parts of `total`: `most` for each reply that was cut by its limit, the rest in proportion to length.

    If the total leaves less than a token for each of the others, replies were cut by the context instead: then all
    share alike.
    """
    sizes = [0 if choice is None else len(choice.text) + len(choice.reasoning or "") for choice in choices]
    cuts = [choice is not None and is_cut(choice.finish) for choice in choices]
    others = [i for i, cut in enumerate(cuts) if not cut]
    rest = total - most * (len(choices) - len(others))
    if not sum(size > 0 for size, cut in zip(sizes, cuts, strict=True) if not cut) <= rest <= most * len(others):
        return share(total, sizes if others else [1] * len(sizes), most)
    parts = [most] * len(choices)
    for i, part in zip(others, share(rest, [sizes[i] for i in others], most), strict=True):
        parts[i] = part
    return parts
