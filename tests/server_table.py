"""The tables of servers in `docs/servers.md`, which the tests of real servers check, and write if asked to.

With `MULL_WRITE_DOCS` set a row or a cell that differs is written there; otherwise it fails the test.
"""

import os
import re
from pathlib import Path

from mull.models.served.capabilities import Capabilities

PAGE = Path(__file__).parents[1] / "docs" / "servers.md"
KINDS = ("llama.cpp", "vLLM", "`transformers serve`", "LiteLLM")
"""The columns of the table of what servers are held to."""


def told(can: Capabilities, kind: str) -> str:
    """What the probe found on a server, as a row of the table in the docs."""
    is_counted = can.counts_all or can.stream_n
    shared = (
        "no"
        if not can.n
        else "no: not all are counted"
        if not is_counted
        else "up to its slots"
        if can.slots
        else "yes"
    )
    seeds = {"counted": "reply i has seed + i", "mixed": "of the request", "copied": "copies"}[can.batch_seeds]
    counts = (
        "of all replies" if can.counts_all else f"of the first reply{'; of each in a stream' if can.stream_n else ''}"
    )
    cells = [
        kind,
        shared,
        seeds if can.seed and can.n else "kept" if can.seed else "none",
        counts if can.n else "of the reply",
        can.stop,
        "yes" if can.logprobs else "no",
        can.continues or "no",
        f"by {can.biases}" if can.biases else "no",
    ]
    return f"| {' | '.join(cells)} |"


def check_row(can: Capabilities, kind: str) -> None:
    """The page has this row of what the probe found."""
    row = told(can, kind)
    _check(rf"\| {re.escape(kind)} \|(?: [^|]+\|){{7}}", row, row)


def check_cell(check: str, kind: str, outcome: str) -> None:
    """The page says of this check that it found this on this server."""
    page, place = PAGE.read_text(encoding="utf-8"), KINDS.index(kind) + 2
    found = re.search(rf"^\| {re.escape(check)} \|(?: [^|]+\|){{{len(KINDS)}}}$", page, re.MULTILINE)
    assert found is not None, f"the table of docs/servers.md has no row of {check}"
    cells = found[0].split(" | ")
    cells[place - 1] = outcome if place <= len(KINDS) else f"{outcome} |"
    _check(re.escape(found[0]), " | ".join(cells), f"{check}, {kind}: {outcome}")


def _check(pattern: str, line: str, what: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    if "MULL_WRITE_DOCS" in os.environ:
        page = re.sub(rf"^{pattern}$", lambda _: line, page, count=1, flags=re.MULTILINE)
        PAGE.write_text(page, encoding="utf-8")
    assert line in page.splitlines(), f"docs/servers.md does not say this: {what}"
