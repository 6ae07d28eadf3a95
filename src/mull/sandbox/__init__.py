"""Sandboxes: untrusted programs run isolated, or not at all.

Example::

    async with sandbox.best() as box:
        result = await box.run(Script("print(1 + 1)"))
"""

from mull.sandbox.base import (
    Call,
    Command,
    Job,
    JobLimits,
    JobResult,
    Level,
    LevelName,
    PythonCalls,
    Return,
    Sandbox,
    Script,
    Status,
)
from mull.sandbox.choice import Availability, available, best
from mull.sandbox.values import Opaque

__all__ = [
    "Availability",
    "Call",
    "Command",
    "Job",
    "JobLimits",
    "JobResult",
    "Level",
    "LevelName",
    "Opaque",
    "PythonCalls",
    "Return",
    "Sandbox",
    "Script",
    "Status",
    "available",
    "best",
]
