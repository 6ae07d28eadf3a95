"""Base URLs and API keys as users configure them."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from mull.errors import SetupError, UsageError

NAME = re.compile(r"[A-Za-z_]\w*")
"""Of an environment variable."""


def clean_url(url: str) -> str:
    """The normalised base URL. Raises `UsageError` if it is not a URL or contains credentials."""
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
    if not port_is_right or parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"base_url must be like http://localhost:8000/v1, not {_shown(text)!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            "base_url contains more than an address: name the environment variable of the key with api_key_env"
        )
    for end in ("/chat/completions", "/completions"):
        text = text.removesuffix(end)
    return text


def _shown(url: str) -> str:
    """A URL for an error message, without the parts that may contain a key."""
    return url.partition("?")[0].partition("#")[0].rpartition("@")[2][:80]


def read_key(whose: str, variable: str | None) -> str | None:
    """The API key in an environment variable; `None` if `variable` is `None`. Raises `SetupError` if it has no key.

    The error message begins with `whose` and never contains the key.
    """
    if variable is None:
        return None
    if not NAME.fullmatch(variable) or variable.startswith(("sk-", "sk_")):  # it may be the key, and is not repeated
        raise SetupError(f"{whose}: api_key_env takes the name of an environment variable, such as MY_KEY, not the key")
    key = os.environ.get(variable, "").strip()
    if not key:
        what = f"the environment variable {variable} (api_key_env) is not set"
        raise SetupError(f"{whose}: {what}: export {variable}=... with the server's key in it")
    if not key.isascii() or not key.isprintable():
        raise SetupError(f"{whose}: the environment variable {variable} (api_key_env) holds no valid key")
    return key
