"""What the tests of pages share: a real Chromium, its screen, and what must hold of any page."""

import itertools
import shutil
from typing import Any

import pytest

needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="no chromium and chromedriver on this machine: apt-get install chromium chromium-driver",
)


def screen(driver: Any, width: int, is_dark: bool) -> None:
    """Gives the browser a screen of this width."""
    import screenshots

    screenshots.screen(driver, width, 800, is_dark)


def check_names(driver: Any, selector: str) -> None:
    """What is selected has a name for those who cannot see it, no id is there twice, and no heading skips a level."""
    nameless = driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter(n => !(n.textContent.trim() || n.ariaLabel || n.labels?.length)).map(n => n.outerHTML)",
        selector,
    )
    assert nameless == []
    twice = driver.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map(n => n.id);"
        "return ids.filter((id, i) => ids.indexOf(id) < i)"
    )
    assert twice == []
    heads = driver.execute_script("return [...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))")
    assert heads[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(heads))
