"""Test-time scaling made practical: spend inference compute where it pays."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mull.bank import Bank as Bank
    from mull.bank import MemoryBank as MemoryBank
    from mull.errors import MullError as MullError
    from mull.errors import UsageError as UsageError
    from mull.run import Run as Run
    from mull.run import Strategy as Strategy
    from mull.types import AnswerKind as AnswerKind
    from mull.types import Behaviour as Behaviour
    from mull.types import Budget as Budget
    from mull.types import Cost as Cost
    from mull.types import Draw as Draw
    from mull.types import Executor as Executor
    from mull.types import Finish as Finish
    from mull.types import Grade as Grade
    from mull.types import Judge as Judge
    from mull.types import Message as Message
    from mull.types import Model as Model
    from mull.types import Outcome as Outcome
    from mull.types import Pair as Pair
    from mull.types import Params as Params
    from mull.types import Preference as Preference
    from mull.types import Problem as Problem
    from mull.types import Prompt as Prompt
    from mull.types import Sample as Sample
    from mull.types import Score as Score
    from mull.types import Stopped as Stopped
    from mull.types import Task as Task
    from mull.types import Trial as Trial
    from mull.types import Verifier as Verifier

__version__ = "0.2.0"

_EXPORTS = {
    "mull.bank": ["Bank", "MemoryBank"],
    "mull.errors": ["MullError", "UsageError"],
    "mull.run": ["Run", "Strategy"],
    "mull.types": [
        "AnswerKind",
        "Behaviour",
        "Budget",
        "Cost",
        "Draw",
        "Executor",
        "Finish",
        "Grade",
        "Judge",
        "Message",
        "Model",
        "Outcome",
        "Pair",
        "Params",
        "Preference",
        "Problem",
        "Prompt",
        "Sample",
        "Score",
        "Stopped",
        "Task",
        "Trial",
        "Verifier",
    ],
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Imports an export when it is first used, so that `import mull` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'mull' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
