"""The one place in which a reply states its answer, for kinds of answers that are read whole or not at all."""

from __future__ import annotations

from collections.abc import Callable

from mull.equal.patterns import regex
from mull.replies import regions, visible
from mull.replies.text import MAX_REGION, flat
from mull.types import Finish, Sample

N_TAKEN_BACK = 4
"""Most answers of one reply that are followed by a retraction and another answer."""
_LEFT_OUT = regex(r"\.\.\.|…|\\[lcv]?dots")


def stated(sample: Sample, canonical: Callable[[str], str | None]) -> str | None:
    """The canonical form of what the last box, answer tags, answer line or answering phrase outside the thought holds.

    An answer line may go on to the end of its paragraph. Without any of them it is the last paragraph, or else the last
    line, of a reply that ended by itself. `None`: the reply states no answer, takes it back, or was cut off within it.
    """
    said = visible.said(sample.reply)
    if said is None:
        return None
    text = regions.own(said.text)
    is_ended = sample.finish is Finish.STOP
    found, is_marked = None, False
    for _ in range(N_TAKEN_BACK):
        region = next(regions.regions(text), None)
        if region is None:
            break
        is_marked = True
        is_delimited = region.sort in ("box", "tag")
        if not is_ended and region.sort != "box" and region.end >= len(text.rstrip()):
            return None
        more = "" if is_delimited else _paragraph(text[region.end : region.end + 2 * MAX_REGION])
        told = ", ".join(region.parts) or region.text
        is_long = len(told) >= MAX_REGION and not is_delimited  # the region was truncated
        found = (canonical(told + more) if more else None) or (None if is_long else canonical(told))
        retracted = regions.taken_back(text, region.end)
        if retracted is None:
            break
        at, holds = retracted
        found, text = None if holds else found, text[at:]
    if is_marked or said.is_open or not is_ended:
        return found
    end = text.strip()[-2 * MAX_REGION :]
    return canonical(end.rpartition("\n\n")[2]) or canonical(end.rpartition("\n")[2])


def _paragraph(text: str) -> str:
    """The text up to its first empty line."""
    return text.partition("\n\n")[0].rstrip()


def plain(text: str) -> str:
    """The text in lower case with plain signs and single spaces, without markup.

    Empty where the text is too long to be an answer, or leaves a part of it out (`A, B, ...`).
    """
    if len(text) > 2 * MAX_REGION or _LEFT_OUT.search(text) is not None:
        return ""
    return " ".join(flat(text.replace("\\{", " ").replace("\\}", " ")).casefold().split()).rstrip(".!").rstrip()
