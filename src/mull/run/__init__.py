"""Runs: a strategy's only access to models, verifiers, judges and programs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mull.run.run import Run as Run
    from mull.run.run import Strategy as Strategy

__all__ = ["Run", "Strategy"]


def __getattr__(name: str) -> Any:
    """Imports the run when it is first used: what a strategy declares (`mull.run.needs`) is read without it."""
    if name not in __all__:
        raise AttributeError(f"module 'mull.run' has no attribute {name!r}")
    from mull.run import run

    return getattr(run, name)
