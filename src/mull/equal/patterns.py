"""Regular expressions that are compiled when they are first used: most replies meet only a few of them."""

from __future__ import annotations

import re
from typing import Any, cast


class _Pattern:
    """Stands for a regular expression; from its first use on its methods are the compiled one's own."""

    def __init__(self, text: str, flags: int) -> None:
        self._told = text, flags

    def __getattr__(self, name: str) -> Any:
        if name == "_told" or name.startswith("__"):  # of a copy that has no state yet, or of Python's own protocols
            raise AttributeError(name)
        compiled = re.compile(*self._told)
        found = getattr(compiled, name)
        self.__dict__[name] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return regex, self._told


def regex(text: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, but compiled when it is first used, which raises `re.error` for a faulty one."""
    return cast("re.Pattern[str]", _Pattern(text, flags))
