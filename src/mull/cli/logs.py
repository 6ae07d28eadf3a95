"""`--log-level`: what mull logs, on standard error, for every command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from mull.errors import UnknownNameError

LEVELS = ("warning", "info", "debug")
LogLevelOption = Annotated[
    str | None,
    typer.Option(
        "--log-level",
        help="Log on standard error: warning, info (waits, retries, ends of runs) or debug (requests, the bank).",
    ),
]


def with_log_level(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the option `--log-level`, added once."""
    signature = inspect.signature(command, eval_str=True)
    if "log_level" in signature.parameters:
        return command
    own = [one.replace(kind=one.KEYWORD_ONLY) for one in signature.parameters.values()]
    option = inspect.Parameter("log_level", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LogLevelOption)

    @functools.wraps(command)
    def logged(*, log_level: str | None = None, **options: Any) -> Any:
        with logs(log_level):
            return command(**options)

    logged.__signature__ = signature.replace(parameters=[*own, option])  # type: ignore[attr-defined]
    logged.__annotations__ = {one.name: one.annotation for one in [*own, option]}
    return logged


@contextmanager
def logs(level: str | None) -> Iterator[None]:
    """Logs to standard error inside the block; `None`: as logging is set up. Raises `UnknownNameError` for a level."""
    if level is None:
        yield
        return
    if level.lower() not in LEVELS:
        raise UnknownNameError("log level", level, LEVELS)
    import logging

    from mull.cli.output import visible

    class Visible(logging.Formatter):
        """Writes a record so that no text in it has power over the terminal, or tells a key."""

        def format(self, record: logging.LogRecord) -> str:
            return visible(super().format(record))

    log, handler = logging.getLogger("mull"), logging.StreamHandler()
    before = log.level
    handler.setFormatter(Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(level.upper())
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
