"""Reading the short replies of a probe: where to cut one, whether another goes on there, how much was thought."""

from __future__ import annotations

from collections.abc import Sequence

from mull.wire.replies import Reply, ReplyChoice


def only(reply: Reply | None) -> ReplyChoice:
    return reply.choices[0] if reply is not None and reply.choices else ReplyChoice(0)


def text_of(reply: Reply | None) -> str:
    return only(reply).text


def both(choice: ReplyChoice) -> str:
    return (choice.reasoning or "") + choice.text


def said(reply: Reply | None) -> str:
    """The thinking and the text of a reply."""
    return both(only(reply))


def thought_tokens(reply: Reply) -> float:
    """The thinking tokens of a reply, as the server reports them, or estimated from the share of characters."""
    if reply.usage.reasoning:
        return reply.usage.reasoning
    choice = only(reply)
    thought, answer = choice.reasoning or "", choice.text
    if not thought and answer.lstrip().startswith("<think>"):
        thought, _, answer = answer.partition("</think>")
    whole = len(thought) + len(answer)
    return (reply.usage.output or 0) * len(thought) / whole if whole else 0.0


def cuts(text: str) -> list[int]:
    """Two positions at which to cut a greedy reply, so that its rest differs from its beginning.

    Prefers positions before a space, where most tokens begin.
    """
    places = range(max(len(text) // 4, 2), len(text) - 2)
    fit = [i for i in places if not text.startswith(text[i:].lstrip()[:8]) and not text[i - 1].isspace()]
    fit.sort(key=lambda i: (not text[i].isspace(), abs(i - len(text) // 2)))
    return fit[:2]


def goes_on(said: str, greedy: str, cut: int) -> bool:
    """Whether a reply continues where the greedy reply was cut; it may be longer than the greedy reply."""
    rest = greedy[cut:]
    n = min(len(said), len(rest))
    return n >= min(3, len(rest)) and said[:n] == rest[:n]


def piece(text: str) -> str | None:
    """A substring of a greedy reply whose first occurrence is in the middle."""
    for i in range(len(text) // 3, len(text) - 3):
        piece = text[i : i + 3]
        if text.find(piece) == i and piece.strip() == piece and i > 0:
            return piece
    return None


def is_counted(texts: Sequence[str], singles: Sequence[str]) -> bool:
    """Whether the replies of one request are those of single requests, in order: the same or nearly so.

    Rounding may make two texts of the same seed part late; each must then be closer to its own than to the others.
    """
    if len(set(singles)) < 2:
        return False
    for i, (text, single) in enumerate(zip(texts, singles, strict=False)):
        shared = [_n_shared(text, one) for one in singles]
        if text != single and (shared[i] < max(shared) or 2 * shared[i] < len(single)):
            return False
    return True


def _n_shared(one: str, other: str) -> int:
    """The number of characters that two texts have in common at their beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
