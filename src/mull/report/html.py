"""How pages are rendered: every value is escaped for HTML, and what could control the page is made visible."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from mull.shown import shown


def environment() -> Any:
    """The environment of the templates beside this file."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def _visible(value: Any) -> Any:
    """Texts as `shown` makes them; markup of mull's own, a subclass of `str`, as it is."""
    return shown(value, lines=True) if type(value) is str else value


def text(name: str) -> str:
    """The text of a file beside this one."""
    return files("mull.report").joinpath(name).read_text(encoding="utf-8")
