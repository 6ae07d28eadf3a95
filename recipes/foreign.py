"""The command line of the recipes that make logs of other tools: `python RECIPE.py PART [FOLDER]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

LOGS = Path(__file__).parents[1] / "tests" / "data" / "logs"


def make(parts: Mapping[str, tuple[str, Callable[[Path], None]]], *, apart: bool = True) -> None:
    """Makes the logs of the part that is named, in a folder of its own (`apart`) under the tests' data by default."""
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        sys.exit("name one of:\n" + "\n".join(f"  {name} (with {tool})" for name, (tool, _) in parts.items()))
    part = sys.argv[1]
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else LOGS / part if apart else LOGS).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    parts[part][1](folder)
