"""Mathematical equality: of two answers, and of the answers in a vote.

What a model wrote is read by a parser of our own into exact arithmetic (`polynomial`), which decides nearly all of
what there is in microseconds. The rest goes to math-verify in a process that can be killed (`pool`, `worker`).
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
    """Imports a function when it is first used: most answers are no mathematics."""
    if name not in _HOME:
        raise AttributeError(f"module 'mull.equal' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found
