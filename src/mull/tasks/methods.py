"""Problems that ask for a method, and compressed tests, in the format of LiveCodeBench (arXiv 2403.07974)."""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import re
import zlib
from collections.abc import Mapping
from typing import Any

MAX_UNPACKED = 256 << 20
"""Maximum size in bytes of unpacked tests."""

IMPORTS = """\
import bisect, collections, copy, functools, heapq, itertools, json, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from typing import *
from builtins import *
"""
"""The code that the benchmark's grader puts before a solution."""

_STRINGS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_AROUND = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}


def method_of(row: Mapping[str, Any]) -> str:
    """The method or function that a row asks for: `func_name` of its `metadata`, else the last one in its code."""
    metadata = row.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata or "{}")
        except json.JSONDecodeError:
            metadata = None
    name = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    found = re.findall(r"^[ \t]*def[ \t]+(\w+)", str(row.get("starter_code") or ""), re.MULTILINE)
    return str(name) if name else next((one for one in reversed(found) if not one.startswith("__")), "")


def header_of(row: Mapping[str, Any]) -> str:
    """The code that a reply completes."""
    return IMPORTS + "\n" + str(row.get("starter_code") or "").rstrip() + "\n"


def assertion(name: str, source: str, target: str) -> str:
    """A test of a method from its arguments (JSON, one per line) and its value (JSON); a tuple equals a list.

    Raises `ValueError` for invalid JSON.
    """
    arguments = ", ".join(repr(json.loads(line)) for line in source.split("\n") if line.strip())
    value = json.loads(target)
    if isinstance(value, list):
        return f"assert {name}({arguments}) in ({value!r}, {tuple(value)!r})"
    return f"assert {name}({arguments}) == {value!r}"


def unpacked(text: str) -> Any:
    """Unpacks tests as LiveCodeBench packs them: JSON in a pickled string, compressed, in base 64.

    It extracts the string without unpickling. Raises `ValueError` for anything else, and for more than `MAX_UNPACKED`
    bytes.
    """
    try:
        opened = zlib.decompressobj()
        data = opened.decompress(base64.b64decode(text, validate=True), MAX_UNPACKED)
    except (binascii.Error, zlib.error):
        raise ValueError("it is not packed tests") from None
    if opened.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB")
    strings = []
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in _STRINGS:
            strings.append(str(argument))
        elif operation.name not in _AROUND:
            raise ValueError("it holds more than a string")
    if len(strings) != 1:
        raise ValueError("it does not hold one string")
    return json.loads(strings[0])
