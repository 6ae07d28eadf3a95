"""The meaning of a list of items: values of one name or of several, a set that inequalities give, or a set of items."""

from __future__ import annotations

from dataclasses import replace

from mull.equal import spans
from mull.equal.forms import Form
from mull.equal.meaning import as_set, meet, ray


def listed(items: list[Form], joints: list[str]) -> Form:
    """The meaning of a list: values of one name, values of several, a set given by inequalities, or a set of items.

    `joints` are the commas, semicolons, `and` and `or` between the items.
    """
    if len(items) == 1:
        return items[0]
    for joint in (";", "or"):
        if joint in joints and len(set(joints)) > 1:
            groups, left = [[items[0]]], [[]]  # type: list[list[Form]], list[list[str]]
            for item, sign in zip(items[1:], joints, strict=True):
                if sign == joint:
                    groups.append([item])
                    left.append([])
                else:
                    groups[-1].append(item)
                    left[-1].append(sign)
            parts = [listed(group, inner) for group, inner in zip(groups, left, strict=True)]
            if all(part.kind in ("range", "named") for part in parts):
                return listed(parts, [joint] * (len(parts) - 1))
    if found := _of_one_name(items, joints):
        return found
    if "or" in joints and all(x.kind in ("range", "named") for x in items) and len({x.head for x in items}) > 1:
        return replace(as_set(items), head="or")
    return _of_many_names(items) or as_set(items)


def _of_one_name(items: list[Form], joints: list[str]) -> Form | None:
    """The meaning of items that are all about the first item's name, or unnamed."""
    first = items[0]
    if first.kind not in ("range", "named") or first.is_choice:
        return None
    own = [item for item in items if item.kind in ("range", "named") and item.head == first.head]
    bare = [item for item in items[1:] if item.kind in ("value", "seq", "quantity")]
    if len(own) + len(bare) != len(items) or (bare and len(own) > 1 and first.kind == "range"):
        return None
    if all(item.kind == "named" for item in own):
        if bare and not first.head.startswith("(") and any(item.kind == "seq" for item in (first.parts[0], *bare)):
            return None
        return Form("named", first.head, (as_set([item.parts[0] for item in own] + bare),))
    if bare and (len(own) > 1 or any(item.kind != "value" for item in bare)):
        return None
    sets = [item.parts[0] if item.parts[0].kind in ("seq", "union", "set") else as_set([item.parts[0]]) for item in own]
    sets = [
        Form("set", parts=(item.parts[0],)) if item.parts[0].kind == "value" else x
        for item, x in zip(own, sets, strict=True)
    ]
    if bare:  # x is neither 1 nor 2
        if spans.spans(sets[0]) is None or any(s.low != s.high for s in spans.complement(spans.spans(sets[0]) or [])):
            return None
        sets += [ray("!=", item.value) for item in bare]
        return Form("range", first.head, (meet(sets),))
    if "or" in joints and len(set(joints)) == 1:
        return Form("range", first.head, (spans.union(sets),))
    shared = meet(sets)
    is_empty = shared.kind == "set" and not shared.parts
    return Form("range", first.head, (spans.union(sets) if is_empty and "and" not in joints else shared,))


def _of_many_names(items: list[Form]) -> Form | None:
    """`x = 1, y = 2` as the pair (x, y) with its value."""
    if any(item.kind != "named" or item.is_choice or item.head.startswith("(") for item in items):
        return None
    if any(item.parts[0].kind not in ("value", "quantity") for item in items) or len({x.head for x in items}) < len(
        items
    ):
        return None
    ordered = sorted(items, key=lambda item: (item.head.strip("\\").casefold(), item.head))
    return Form(
        "named", f"({', '.join(x.head for x in ordered)})", (Form("seq", "()", tuple(x.parts[0] for x in ordered)),)
    )
