"""Regular expressions compiled on first use: most replies need only a few of them."""

from __future__ import annotations

import re
from typing import Any, cast


class _Pattern:
    """A lazily compiled regular expression; after its first use it has the compiled pattern's own methods."""

    def __init__(self, text: str, flags: int) -> None:
        self._source = text, flags

    def __getattr__(self, name: str) -> Any:
        if name == "_source" or name.startswith("__"):  # of a copy that has no state yet, or of Python's own protocols
            raise AttributeError(name)
        compiled = re.compile(*self._source)
        found = getattr(compiled, name)
        self.__dict__[name] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return regex, self._source


def regex(text: str, flags: int = 0) -> re.Pattern[str]:
    """Like `re.compile`, but the pattern is compiled on first use, which raises `re.error` if it is invalid."""
    return cast("re.Pattern[str]", _Pattern(text, flags))
