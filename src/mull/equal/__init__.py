"""Mathematical equality of two answers, and the grouping of a vote's answers into classes of equal ones.

mull's own parser reads what a model wrote into exact arithmetic (`polynomial`), which decides nearly all pairs in
microseconds. math-verify decides the rest, in a process that can be killed (`pool`, `worker`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mull.equal.answers import Answers as Answers
    from mull.equal.pool import Equality as Equality
    from mull.equal.reader import canonical as canonical
    from mull.equal.reader import read as read
    from mull.equal.votes import classes as classes
    from mull.equal.votes import classes_now as classes_now
    from mull.equal.votes import compare as compare
    from mull.equal.votes import compare_now as compare_now

_HOME = {
    "Answers": "mull.equal.answers",
    "Equality": "mull.equal.pool",
    "canonical": "mull.equal.reader",
    "read": "mull.equal.reader",
    **dict.fromkeys(("classes", "classes_now", "compare", "compare_now"), "mull.equal.votes"),
}


def __getattr__(name: str) -> Any:
    """Imports a function on first use: most answers are not mathematics."""
    if name not in _HOME:
        raise AttributeError(f"module 'mull.equal' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found
