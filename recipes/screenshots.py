"""The pictures of pages in `docs/`: `python recipes/screenshots.py [report|search|gateway|study]`.

Sweeps the built-in model, makes the report and photographs it on a wide screen, on a phone and in the dark; traces a
search and photographs its tree; asks the gateway's page; and photographs the page that `recipes/study/again.py study`
wrote. Needs the extras `lab` and `serve`, selenium and Chromium.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DOCS = Path(__file__).parents[1] / "docs"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
STRATEGIES = ("single", "majority:n=4", "majority:n=16", "majority:n=64", "adaptive:n=64,rule=beta")


class Shot(NamedTuple):
    """A screen: width and height in pixels, and whether the system is dark."""

    width: int
    height: int
    is_dark: bool


SHOTS = {
    "report.png": Shot(1200, 1500, False),
    "report-phone.png": Shot(390, 1500, False),
    "report-dark.png": Shot(1200, 1500, True),
}
SEARCHES = {
    "search.png": (
        "reach 40 with 2 4 6 10",
        "--kind",
        "expression",
        "-s",
        "mcts:n=24,width=3,pick=best",
        "--verifier",
        "countdown",
    ),
    "search-steps.png": (
        "n:e+15;x:b*7;c:z-24;e:90;b:n-30;f:o+37;o:x-16;z:85;f?",
        "-s",
        "beam:n=4,width=2",
        "--verifier",
        "nano-prm",
    ),
}
QUESTION = "e:b-30;b:a+45;a:9;c:8;d:c*7;f:e*6;g:f-17;g?"
HEIGHTS = {"search.png": 820, "search-steps.png": 430}


def mull(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "mull", *arguments], check=True)


def chromium(profile: Path) -> webdriver.Chrome:
    """A browser without a window, a cache or a wish to update itself; its logs are kept for whoever asks."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or "chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def screen(driver: webdriver.Chrome, width: int, height: int, is_dark: bool) -> None:
    """Gives the browser a screen of this size, a phone's where it is narrow, light or dark."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})


def shoot(page: Path, folder: Path, shots: Mapping[str, Shot], where: str) -> None:
    """Takes every picture of a page, from the element that `where` names on."""
    with tempfile.TemporaryDirectory() as profile:
        driver = chromium(Path(profile))
        try:
            for name, shot in shots.items():
                screen(driver, *shot)
                driver.get(page.as_uri())
                driver.execute_script("document.querySelector(arguments[0]).scrollIntoView()", where)
                taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                (folder / name).write_bytes(base64.b64decode(taken["data"]))
        finally:
            driver.quit()


def report(scratch: Path) -> None:
    draws, page = scratch / "draws.jsonl", scratch / "report.html"
    strategies = [part for strategy in STRATEGIES for part in ("-s", strategy)]
    bank = f"{scratch}/bank.db"
    mull("sweep", "chain:ops=4", *strategies, "--problems", "200", "--bank", bank, "--out", str(draws))
    mull("report", str(draws), "--out", str(page), "--title", "Four operations: is it worth drawing more?")
    shoot(page, DOCS, SHOTS, "body")


def search(scratch: Path) -> None:
    trace, page = scratch / "trace.json", scratch / "search.html"
    for name, asked in SEARCHES.items():
        mull("solve", *asked, "--bank", "none", "--trace", str(trace))
        mull("report", str(trace), "--out", str(page))
        shoot(page, DOCS, {name: Shot(1200, HEIGHTS[name], False)}, "#picture")


def gateway(scratch: Path) -> None:
    command = [sys.executable, "-m", "mull", "serve", "--port", "0", "--model", "nano"]
    with subprocess.Popen(command, cwd=scratch, stdout=subprocess.PIPE, text=True) as process:
        driver = chromium(scratch / "profile")
        try:
            assert process.stdout is not None
            screen(driver, 1140, 1080, is_dark=False)
            driver.get(process.stdout.readline().partition("/v1")[0])
            wait = WebDriverWait(driver, 60)
            wait.until(lambda _: driver.find_element(By.ID, "question").is_displayed())
            for name, words in (("question", QUESTION), ("model", "nano@majority-16"), ("seed", "4")):
                driver.find_element(By.ID, name).send_keys(words)
            driver.find_element(By.ID, "go").click()
            wait.until(lambda _: driver.find_element(By.ID, "status").text.startswith("Done"))
            taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            (DOCS / "gateway-page.png").write_bytes(base64.b64decode(taken["data"]))
        finally:
            driver.quit()
            process.terminate()


def study(scratch: Path) -> None:
    shoot(Path("study", "study.html").resolve(), DOCS, {"study.png": Shot(1200, 1360, False)}, "#where")


def main() -> None:
    wanted = sys.argv[1:] or list(PICTURES)
    with tempfile.TemporaryDirectory() as scratch:
        for name in wanted:
            PICTURES[name](Path(scratch))


PICTURES = {"report": report, "search": search, "gateway": gateway, "study": study}


if __name__ == "__main__":
    main()
