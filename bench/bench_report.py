"""How long the report of 200,000 draws takes to build, and to open in Chromium: `python bench/bench_report.py`.

Builds the page of 2,000 problems x 100 scored draws, as `bench_speed.py` does, and opens it (selenium, Chromium), each
several times. Tells processor seconds and seconds of the build, and milliseconds from the navigation to the first
contentful paint and to the end of `load`, as the browser has them. With a page as its argument it only opens that.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_speed import draws, used

ROOT = Path(__file__).parents[1]
TURNS = 5
TIMES = """
const load = performance.getEntriesByType('navigation')[0].loadEventEnd;
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return load > 0 && paint ? [paint.startTime, load] : null;
"""


def opened(driver: Any, page: Path) -> list[float]:
    """Milliseconds to the first contentful paint and to the end of `load`."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get("about:blank")
    driver.get(page.resolve().as_uri())
    found: list[float] = WebDriverWait(driver, 60).until(lambda _: driver.execute_script(TIMES))
    return found


def told(what: str, values: list[float], unit: str) -> None:
    print(f"{what:32} median {statistics.median(values):7,.2f} {unit}, all {[round(v, 2) for v in values]}", flush=True)


def main() -> None:
    sys.path.insert(0, str(ROOT / "recipes"))
    import screenshots

    with tempfile.TemporaryDirectory() as folder:
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "page.html")
        if len(sys.argv) == 1:
            wide = draws(Path(folder, "wide.jsonl"), 2000, 100)
            spent, waited = [], []
            for _ in range(TURNS):
                start = time.perf_counter()
                spent.append(used(("report", str(wide), "--out", "page.html"), ROOT / "src", Path(folder))[0])
                waited.append(time.perf_counter() - start)
            told("build, processor time", spent, "s")
            told("build, waiting", waited, "s")
        print(f"the page has {page.stat().st_size / 1e6:.1f} MB")
        driver = screenshots.chromium(Path(folder, "profile"))
        try:
            for width, name in ((1200, "wide"), (390, "phone")):
                screenshots.screen(driver, width, 800, is_dark=False)
                times = [opened(driver, page) for _ in range(TURNS + 1)][1:]
                told(f"{name}: first contentful paint", [paint for paint, _ in times], "ms")
                told(f"{name}: load", [load for _, load in times], "ms")
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
