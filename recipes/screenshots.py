"""The pictures in `docs/report.md`: `python recipes/screenshots.py` (needs `mull[lab]`, selenium and Chromium).

Sweeps the built-in model, makes the report and photographs it on a wide screen, on a phone and in the dark.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

DOCS = Path(__file__).parents[1] / "docs"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
STRATEGIES = ("single", "majority:n=4", "majority:n=16", "majority:n=64", "adaptive:n=64,rule=beta")
SHOTS = {
    "report.png": (1200, 1500, False),
    "report-phone.png": (390, 1500, False),
    "report-dark.png": (1200, 1500, True),
}
"""Width and height in pixels, and whether the system is dark."""


def mull(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "mull", *arguments], check=True)


def shoot(page: Path, folder: Path) -> None:
    """Takes every picture of a page."""
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or "chromium"
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            for name, (width, height, is_dark) in SHOTS.items():
                metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
                scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
                driver.get(page.as_uri())
                shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                (folder / name).write_bytes(base64.b64decode(shot["data"]))
        finally:
            driver.quit()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        draws, page = Path(scratch, "draws.jsonl"), Path(scratch, "report.html")
        strategies = [part for strategy in STRATEGIES for part in ("-s", strategy)]
        mull(
            "sweep",
            "chain:ops=4",
            *strategies,
            "--problems",
            "200",
            "--bank",
            f"{scratch}/bank.db",
            "--out",
            str(draws),
        )
        mull("report", str(draws), "--out", str(page), "--title", "Four operations: is it worth drawing more?")
        shoot(page, DOCS)


if __name__ == "__main__":
    main()
