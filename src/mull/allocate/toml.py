"""Texts as TOML writes them."""

from __future__ import annotations

import json


def toml_text(text: str) -> str:
    """A text in quotes; a lone surrogate, which TOML cannot hold, becomes a question mark."""
    whole = text.encode(errors="replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
