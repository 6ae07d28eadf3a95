"""The one place in which a reply states its answer, for kinds of answers that are read whole or not at all."""

from __future__ import annotations

from mull.replies import regions, visible
from mull.replies.text import MAX_REGION, flat
from mull.types import Finish, Sample

N_TAKEN_BACK = 4
"""Most answers of one reply that are followed by a retraction and another answer."""


def stated(sample: Sample) -> str | None:
    """The text of the last box, answer tags, answer line or answering phrase outside the thought, else the last line.

    The last line counts only in a reply that ended by itself. `None`: the reply states no answer, takes it back, or
    was cut off within it.
    """
    said = visible.said(sample.reply)
    if said is None:
        return None
    text = regions.own(said.text)
    found, is_marked = None, False
    for _ in range(N_TAKEN_BACK):
        region = next(regions.regions(text), None)
        if region is None:
            break
        is_open = sample.finish is not Finish.STOP and region.sort != "box" and region.end >= len(text.rstrip())
        is_long = len(region.text) >= MAX_REGION and region.sort not in ("box", "tag")  # the region was truncated
        found, is_marked = None if is_open or is_long else ", ".join(region.parts) or region.text, True
        retracted = regions.taken_back(text, region.end)
        if retracted is None:
            break
        at, holds = retracted
        found, text = None if holds else found, text[at:]
    if is_marked or said.is_open or sample.finish is not Finish.STOP:
        return found
    return text.strip().rpartition("\n")[2]


def plain(text: str) -> str:
    """The text in lower case with plain signs and single spaces, without markup; empty if it is too long to answer."""
    if len(text) > 2 * MAX_REGION:
        return ""
    return " ".join(flat(text.replace("\\{", " ").replace("\\}", " ")).casefold().split()).rstrip(".!").rstrip()
