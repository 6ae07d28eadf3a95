"""The page `/`: files that hold no secret, and the pages of past runs."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from urllib.parse import parse_qs

from starlette.responses import Response

from mull.run.trace import TraceFile

FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
"""What the page is made of, by path."""
MOST_FORM_BYTES = 4096
SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}
NOWHERE = "base-uri 'none'; frame-ancestors 'none'"
OWN = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; {NOWHERE}"
"""The page runs its own script alone, and talks to this gateway alone."""
INERT = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; {NOWHERE}"
"""The page of a run has no script at all."""


def page_file(path: str) -> Response:
    """A file of the page."""
    name, media_type = FILES[path]
    headers = {**SAFE, "content-security-policy": f"{OWN}; img-src data:"}
    return Response(_text(name), headers=headers, media_type=media_type)


@cache
def _text(name: str) -> str:
    """The text of a file beside this one; its style goes on from that of reports."""
    from mull.report import html

    text = files("mull.serve").joinpath(name).read_text(encoding="utf-8")
    return html.text("page.css") + html.text("trace.css") + text if name.endswith(".css") else text


async def run_page(trace: TraceFile, title: str) -> Response:
    """The page of a run."""
    from mull.report.trace import render

    headers = {**SAFE, "content-security-policy": INERT}
    text = await asyncio.to_thread(render, trace, title)  # large traces take a while
    return Response(text, headers=headers, media_type="text/html; charset=utf-8")


def key_of_form(raw: bytes) -> dict[str, str]:
    """The key in a form, as the header that a client of the API would send."""
    told = parse_qs(raw.decode(errors="replace")).get("key", [""])[0]
    return {"x-api-key": told}
