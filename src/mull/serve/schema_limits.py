"""What a JSON schema may be, so that it is made ready at once, and how many steps a check of a reply may take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mull.errors import UsageError

MOST_BYTES = 1 << 16
MOST_DEPTH = 64
MOST_REFS = 256
MOST_STEPS = 10_000
"""Subschemas that a check may go through where each reference is followed."""
MOST_PATTERNS = 256
QUICK = 20_000
"""The most steps of a check that is made at once: some milliseconds."""


def validator_of(schema: Any) -> Any:
    """What checks values against a schema: no other schema is fetched for it, and its patterns run in linear time.

    Raises what jsonschema-rs raises.
    """
    import jsonschema_rs as rs

    return rs.validator_for(schema, pattern_options=rs.RegexOptions(size_limit=1 << 20), offline=True)


def steps_of(schema: Any) -> int | None:
    """The most steps that a check takes for each value of a reply; `None`: not known, since it leads back to itself.

    Raises `UsageError` for a schema that is too large or too deep, or that grows too much where its references are
    followed.
    """
    if len(json.dumps(schema)) > MOST_BYTES:
        raise UsageError(f"is larger than {MOST_BYTES:,} bytes")
    nodes = list(_walked(schema))
    if depth_of(schema) > MOST_DEPTH:
        raise UsageError(f"is deeper than {MOST_DEPTH} levels")
    if sum("$ref" in node or "$dynamicRef" in node for node, _ in nodes if isinstance(node, dict)) > MOST_REFS:
        raise UsageError(f"has more than {MOST_REFS} references")
    n_patterns = [node.get("patternProperties", ()) for node, _ in nodes if isinstance(node, dict)]
    n_texts = sum("pattern" in node for node, _ in nodes if isinstance(node, dict))
    if n_texts + sum(len(told) for told in n_patterns if isinstance(told, dict)) > MOST_PATTERNS:
        raise UsageError(f"has more than {MOST_PATTERNS} patterns")
    known: dict[str, tuple[int, int]] = {}
    n_steps, _ = _steps(schema, schema, known, set())
    if n_steps > MOST_STEPS:
        raise UsageError(f"takes more than {MOST_STEPS:,} steps to check, with each reference followed")
    return None if any(n for _, n in known.values()) else n_steps


def depth_of(value: Any) -> int:
    """How many values are inside each other."""
    return max(depth for _, depth in _walked(value))


def _walked(schema: Any) -> Iterator[tuple[Any, int]]:
    waiting = [(schema, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting += [(one, depth + 1) for one in inner]


def _steps(node: Any, root: Any, known: dict[str, tuple[int, int]], begun: set[str]) -> tuple[int, int]:
    """Subschemas and other values under a node, and references that lead back to where they are."""
    found = [(1, 0)]
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref" and isinstance(value, str):
                found.append(_followed(value, root, known, begun))
            elif name in ("$dynamicRef", "$recursiveRef") and isinstance(value, str):
                raise UsageError(f"has a {name}, which is not here: use $ref")
            elif name == "$id" and isinstance(value, str) and node is not root:
                raise UsageError("has an $id inside, which is not here")
            else:
                found.append(_steps(value, root, known, begun))
    elif isinstance(node, list):
        found += [_steps(one, root, known, begun) for one in node]
    return sum(n for n, _ in found), sum(n for _, n in found)


def _followed(reference: str, root: Any, known: dict[str, tuple[int, int]], begun: set[str]) -> tuple[int, int]:
    if reference in begun:
        return 1, 1
    if reference not in known:
        begun.add(reference)
        known[reference] = _steps(_target(reference, root), root, known, begun)
        begun.remove(reference)
    return known[reference]


def _target(reference: str, root: Any) -> Any:
    """What a reference points at. Raises `UsageError` for one that is no JSON pointer into the schema."""
    head, *parts = unquote(reference).split("/")
    node = root
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        is_place = isinstance(node, list) and name.isascii() and name.isdigit() and int(name) < len(node)
        if not is_place and not (isinstance(node, dict) and name in node):
            raise UsageError(f"has the reference {reference[:100]!r}, which points at nothing")
        node = node[int(name)] if is_place else node[name]
    if head != "#":
        raise UsageError(
            f"has the reference {reference[:100]!r}: it must be a pointer into the schema, as #/$defs/NAME"
        )
    return node
