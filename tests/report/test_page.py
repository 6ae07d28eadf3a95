"""The page in a real browser: it runs without a network or an error, by keyboard, on a phone, in the dark."""

import json
from pathlib import Path
from typing import Any

import pytest

from mull.lab.measured import Tile
from mull.lab.recorded import read_recorded
from mull.report import page as pages
from mull.report.heat import heat

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.keys import Keys

from browser import check_names, needs_browser, screen

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\u2028<!-- ${`$x$`}"
MADE_BY = {"command": f"mull report {HOSTILE}", "mull": "0", "python": "3", "numpy": "2"}


def source(folder: Path) -> Path:
    """12 problems of falling difficulty with 10 draws each, hostile in every text that a page shows."""
    path = folder / "draws.jsonl"
    rows = []
    for i in range(12):
        samples = [
            {
                "text": f"{HOSTILE} {i}/{k}",
                "final_answer": HOSTILE if k >= i else str(k),
                "correct": k >= i,
                "score": k / 10,
            }
            for k in range(10)
        ]
        rows.append(
            {"problem_id": f"p{i} {HOSTILE}", "prompt": f"{HOSTILE} {i}", "model": f"m {HOSTILE}", "samples": samples}
        )
    about = {"sweep": {"command": f"mull sweep {HOSTILE}", "seed": 5}}
    path.write_text("".join(json.dumps(row) + "\n" for row in [about, *rows]))
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    out = folder / "page.html"
    report = pages.make([read_recorded(source(folder))], MADE_BY, title=f"Title {HOSTILE}")
    pages.write(out, pages.render(report, pages.sections(report)))
    return out


@pytest.fixture
def opened(chromium: Any, page: Path) -> Any:
    """The page as opened from a file, on a wide light screen."""
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    screen(chromium, 1280, is_dark=False)
    chromium.get(page.as_uri())
    return chromium


def rows(driver: Any) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('#table .open')].map(b => b.textContent.split(' ')[0])"
    )


def press(driver: Any, *keys: str) -> None:
    driver.switch_to.active_element.send_keys(*keys)


def focus(driver: Any, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).focus()", selector)


@needs_browser
def test_it_asks_for_nothing_and_reports_no_error(opened: Any, page: Path) -> None:
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked
    assert [url for url in asked if url != page.as_uri() and not url.startswith("data:")] == []


@needs_browser
def test_what_a_model_wrote_is_inert_text(opened: Any) -> None:
    focus(opened, "#table .open")
    press(opened, Keys.ENTER)
    assert opened.execute_script("return window.hacked") is None
    assert opened.execute_script("return document.images.length") == 0
    assert opened.execute_script("return document.scripts.length") == 2
    texts = opened.execute_script("return [...document.querySelectorAll('.detail pre')].map(p => p.textContent)")
    assert texts[0] == f"{HOSTILE} 0".replace("\u2028", r"\u2028")  # a line break in force, and so told
    assert texts[1] == f"{HOSTILE} 0/0".replace("\u2028", r"\u2028")
    shown = opened.execute_script("return document.body.innerText")
    assert HOSTILE.partition("\u2028")[0] in shown
    assert opened.get_log("browser") == []


@needs_browser
def test_sorting_by_keyboard(opened: Any) -> None:
    assert rows(opened) == [f"p{i}" for i in range(12)]
    focus(opened, "#table thead th:nth-child(2) button")
    press(opened, Keys.ENTER)
    assert rows(opened)[-1] == "p0"
    assert opened.execute_script("return document.querySelector('#table th:nth-child(2)').ariaSort") == "ascending"
    press(opened, Keys.SPACE)
    assert rows(opened)[0] == "p0"
    assert opened.execute_script("return document.querySelector('#table th:nth-child(2)').ariaSort") == "descending"
    focus(opened, "#table thead th:nth-child(1) button")
    press(opened, Keys.ENTER)
    assert rows(opened) == [f"p{i}" for i in range(12)]  # p2 before p10


@needs_browser
def test_drill_down_by_keyboard(opened: Any) -> None:
    focus(opened, "#table tbody tr:nth-child(4) .open")
    press(opened, Keys.ENTER)
    state = "return document.querySelector('#table tbody tr:nth-child(4) .open').ariaExpanded"
    assert opened.execute_script(state) == "true"
    inside = opened.execute_script("return document.querySelector('.detail').innerText")
    assert "7 of 10" in inside
    assert "score 0.7" in inside
    assert "Draws (the first 8 of 10)" in inside
    press(opened, Keys.ENTER)
    assert opened.execute_script(state) == "false"
    assert opened.execute_script("return document.querySelectorAll('.detail').length") == 0
    press(opened, Keys.TAB)
    assert opened.execute_script("return document.activeElement.textContent").startswith("p4")


@needs_browser
def test_filters(opened: Any) -> None:
    focus(opened, "#search")
    press(opened, "p11")
    assert rows(opened) == ["p11"]
    assert opened.execute_script("return document.getElementById('count').textContent") == "1 of 1 shown"
    press(opened, *[Keys.BACKSPACE] * 3)
    focus(opened, "#kind")
    press(opened, "no right")
    assert rows(opened) == ["p10", "p11"]


@needs_browser
@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_is_wider_than_the_screen(opened: Any, width: int) -> None:
    screen(opened, width, is_dark=False)
    focus(opened, "#table .open")
    press(opened, Keys.ENTER)
    opened.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert opened.execute_script("return [...document.querySelectorAll('figure svg')].every(s => s.clientWidth > 250)")


CONTRAST = """
const parse = (text) => {
  const c = document.createElement('canvas').getContext('2d');
  c.fillStyle = text; c.fillRect(0, 0, 1, 1);
  return [...c.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  for (let n = node; n; n = n.parentElement) {
    const colour = parse(getComputedStyle(n).backgroundColor);
    if (colour[3] === 255) return colour;
  }
};
const found = [];
for (const node of document.querySelectorAll('body *')) {
  const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!isText || node.closest('script, style, noscript, .hidden, .skip, desc, title')) continue;
  if (!node.getClientRects().length) continue;
  const style = getComputedStyle(node);
  // The numbers of a heat map stand on tiles of their own, whose colours Python has chosen the ink for.
  if (node.matches('svg text') && /^rgb\\((0, 0, 0|255, 255, 255)\\)$/.test(style.fill)) continue;
  const ink = light(parse(node.matches('svg text') ? style.fill : style.color)), paper = light(behind(node));
  const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  if (ratio < 4.5) found.push([node.outerHTML.slice(0, 120), ratio]);
}
return found;
"""


@needs_browser
@pytest.mark.parametrize("is_dark", [False, True])
def test_contrast(opened: Any, is_dark: bool) -> None:
    screen(opened, 1280, is_dark)
    focus(opened, "#table tbody tr:nth-child(5) .open")
    press(opened, Keys.ENTER)
    background = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(17, 21, 27)" if is_dark else "rgb(246, 247, 249)")
    curve = opened.execute_script("return getComputedStyle(document.querySelector('#curves path[style*=best]')).stroke")
    assert curve == ("rgb(255, 154, 92)" if is_dark else "rgb(194, 65, 12)")
    assert opened.execute_script(CONTRAST) == []


@needs_browser
def test_everything_has_a_name(opened: Any) -> None:
    check_names(opened, "button, a, input, select, summary, svg, [role=region]")


def test_hostile_text_is_escaped_in_the_source(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert html.count("<script") == 2
    assert "<img" not in html
    assert "\u2028" not in html.partition('id="data">')[2].partition("</script>")[0]
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "https://" not in html


def test_a_long_name_leaves_room_for_the_figure() -> None:
    name = "adaptive:" + ",".join(f"option{i}=value{i}" for i in range(12))
    drawn = heat("x", "", {name: [Tile(0.5, 10)]}, ["easy"], "difficulty")
    assert name in drawn.csv().decode()
    assert name not in drawn.svg().decode()  # matplotlib warns, and warnings are errors here, where nothing is left


def test_half_a_surrogate_pair_does_not_stop_the_page(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    samples = [{"text": "\ud83d", "final_answer": "1", "correct": True}] * 2
    path.write_text(json.dumps({"problem_id": "p", "prompt": "q \ud83d", "samples": samples}))
    report = pages.make([read_recorded(path)], MADE_BY)
    pages.write(tmp_path / "page.html", pages.render(report, pages.sections(report)))
    assert json.dumps(r"q \ud83d") in (tmp_path / "page.html").read_text(encoding="utf-8")
