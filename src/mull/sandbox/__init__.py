"""Sandboxes: untrusted programs run in boxes, or not at all.

Example::

    async with sandbox.best() as box:
        result = await box.run(Script("print(1 + 1)"))
"""

from mull.sandbox.base import (
    Call,
    Calls,
    Command,
    Job,
    Level,
    Limits,
    Opaque,
    Result,
    Return,
    Sandbox,
    Script,
    Status,
)

__all__ = [
    "Call",
    "Calls",
    "Command",
    "Job",
    "Level",
    "Limits",
    "Opaque",
    "Result",
    "Return",
    "Sandbox",
    "Script",
    "Status",
]
