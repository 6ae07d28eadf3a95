"""The page of a trace: who came from whom, what became of it, and the picture in a real browser."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mull import AnswerKind, Finish, Message, Params, Problem, Prompt, Run, Sample, Strategy, spec
from mull.replies.answers import answer_of
from mull.report.trace import GAP, draw, grow, reason, render, vote
from mull.run.trace import Trace, TraceFile
from mull.strategies.tree import Beam, Lookahead
from mull.testing import LineModel, StubVerifier, solve

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.keys import Keys

from browser import check_names, needs_browser, screen

HOSTILE = "</style></script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\u2028<!--"
PROBLEM = Problem("p", Prompt.user(f"q {HOSTILE}"), AnswerKind.TEXT)


def last_digit(reply: str) -> float:
    return int(reply[-1]) / 10 if reply[-1].isdigit() else 0.5


def traced(strategy: Strategy, model: LineModel, verifier: StubVerifier, name: str = "search") -> TraceFile:
    trace = Trace(PROBLEM)
    run = Run(model, verifier=verifier, params=Params(max_tokens=100), trace=trace)
    outcome = solve(strategy, run, PROBLEM)
    return trace.file(
        outcome, answers=[answer_of(PROBLEM, s) for s in outcome.candidates], model=f"m {HOSTILE}", strategy=name,
        verifier="v", judge=None, seed=0, params=run.params, budget=asdict(run.budget), spent=run.spent,
        fresh=run.fresh, made_by={"command": f"mull solve {HOSTILE}", "mull": "0"},
    )  # fmt: skip


def beam() -> TraceFile:
    return traced(Beam(n=4, width=2), LineModel(length=3), StubVerifier(last_digit))


def test_every_draw_hangs_below_the_one_it_goes_on_from() -> None:
    file = beam()
    nodes = grow(file)
    assert len(nodes) == 12
    for node in nodes:
        before = node.parent.event.prefix + node.parent.event.text + "\n" if node.parent else ""
        assert node.event.prefix == before
    assert [node.fate for node in nodes[:4]] == ["pruned", "pruned", "kept", "kept"]
    assert [node.kind for node in nodes[-4:]] == ["whole"] * 4
    path = [node for node in nodes if node.is_winning]
    assert [node.parent for node in path] == [None, *path[:-1]]
    assert path[-1].event.id == file.best


def test_equal_texts_hang_where_they_were_drawn() -> None:
    """Two first lines are alike: each has its own two continuations."""
    model = LineModel(line=lambda i, prefix, draw: "same" if i == 0 else f"{draw.number}", length=2)
    nodes = grow(traced(Beam(n=4, width=2), model, StubVerifier(lambda reply: 0.5)))
    assert [len(node.children) for node in nodes if node.children] == [2, 2]


def test_a_look_ahead_is_told_from_the_search() -> None:
    nodes = grow(traced(Lookahead(n=4, width=2, k=1, depth=2), LineModel(length=6), StubVerifier(last_digit)))
    probes = [node for node in nodes if node.kind == "probe"]
    assert len(probes) == 8
    assert not any(node.fate for node in probes)
    valued = [node for node in nodes if "valued by a look ahead" in node.notes]
    assert all(any(child.kind == "probe" for child in node.children) for node in valued)
    assert all(node.value == node.children[0].value for node in valued if node.children[0].kind == "probe")


def test_a_chain_of_turns_is_found_without_being_told() -> None:
    trace = Trace(PROBLEM)
    first = Sample(PROBLEM.prompt, "answer: 1", Finish.STOP)
    talk = Prompt((*PROBLEM.prompt.messages, Message("assistant", "answer: 1"), Message("user", "again")))
    second = Sample(talk, "answer: 2", Finish.STOP)
    other = Sample(PROBLEM.prompt, "answer: 3", Finish.STOP, draw=1)
    longer = Sample(PROBLEM.prompt.extend("answer: 3"), "00", Finish.STOP)
    for sample in (first, second, other, longer):
        trace.draw(sample, False)
    file = beam()
    file.events, file.best, file.candidates = trace.events, None, []
    file.prompts = [[asdict(m) for m in prompt.messages] for prompt in trace.prompts]
    assert [node.parent and node.parent.event.id for node in grow(file)] == [None, 0, None, 2]


def test_a_file_that_names_a_child_as_a_parent_makes_no_circle() -> None:
    file = beam()
    for event in file.events:
        if event.event == "note" and event.what == "step":
            event.details["parent"] = 11
    assert all(node.parent is None for node in grow(file))
    assert render(file)


def test_boxes_never_overlap_and_the_winner_is_the_first_row() -> None:
    nodes = grow(traced(Beam(n=12, width=3), LineModel(length=4), StubVerifier(last_digit)))
    picture = draw(nodes)
    columns: dict[float, list[Any]] = {}
    for node in picture.nodes:
        columns.setdefault(node.x, []).append(node)
    for column in columns.values():
        column.sort(key=lambda node: node.y)
        assert all(b.y - a.y - a.height >= GAP for a, b in itertools.pairwise(column))
    assert {node.y for node in picture.nodes if node.is_winning} == {0.0}
    assert picture.height >= max(node.y + node.height for node in picture.nodes)
    for node in picture.nodes:
        assert node.parent is None or node.y >= node.parent.y


def test_why_it_won_is_said() -> None:
    file = beam()
    said = " ".join(reason(file, grow(file)))
    assert "The vote weighted by scores over 4 whole replies gave" in said
    assert "Its reply grew in 3 draws; their scores along the way: 0.30 → 0.10 → 0.10." in said
    assert "4 of 12 draws were pruned on the way." in said
    best = traced(Beam(n=4, width=2, pick="best"), LineModel(length=1), StubVerifier(last_digit))
    assert reason(best, grow(best))[0] == "It is the best scored of 4 whole replies, with a score of 0.300."
    two = LineModel(line=lambda i, prefix, draw: f"answer: {draw.number % 2}", length=1)
    plain = traced(spec.strategy("majority:n=3"), two, StubVerifier(last_digit))
    assert reason(plain, grow(plain))[0].startswith("The plain vote over 3 whole replies gave “0” 67 % of the votes")
    assert [(row.answer, row.n, row.is_winner) for row in vote(plain)] == [("0", 2, True), ("1", 1, False)]


def test_a_run_without_an_answer_says_so() -> None:
    file = beam()
    file.best, file.answer, file.text, file.stopped = None, None, None, "deadline"
    assert reason(file, grow(file)) == ["Nothing was chosen: no reply was complete when the run stopped (deadline)."]
    assert "no answer" in render(file)


def test_hostile_text_is_escaped_in_the_source() -> None:
    model = LineModel(line=lambda i, prefix, draw: f"{HOSTILE} {draw.number}".replace("\u2028", " "), length=2)
    html = render(traced(Beam(n=4, width=2), model, StubVerifier(last_digit)), title=HOSTILE)
    assert "<script" not in html
    assert "<img" not in html
    assert "<!--" not in html
    assert html.count("</style>") == 1
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "https://" not in html


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A beam whose every text is hostile."""
    model = LineModel(line=lambda i, prefix, draw: f"{i}.{HOSTILE.replace(chr(0x2028), '')} {draw.number}", length=4)
    out = tmp_path_factory.mktemp("page") / "page.html"
    out.write_text(render(traced(Beam(n=9, width=3), model, StubVerifier(last_digit)), title=f"Title {HOSTILE}"))
    return out


@pytest.fixture
def opened(chromium: Any, page: Path) -> Any:
    screen(chromium, 1280, is_dark=False)
    chromium.get("about:blank")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    chromium.get(page.as_uri())
    return chromium


@needs_browser
def test_it_asks_for_nothing_runs_nothing_and_reports_no_error(opened: Any, page: Path) -> None:
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url not in (page.as_uri(), "about:blank") and not url.startswith("data:")] == []
    assert opened.execute_script("return window.hacked") is None
    assert opened.execute_script("return document.scripts.length + document.images.length") == 0
    first = opened.execute_script("return document.querySelector('#draw-0 pre').textContent")
    assert first.startswith("0.</style></script><script>window.hacked = 1</script><img")


@needs_browser
def test_a_box_leads_to_its_draw_by_keyboard(opened: Any) -> None:
    """The winner's last box: Enter shows its whole text, marked, inside the window."""
    opened.execute_script("document.querySelector('.tree a.winning.whole').focus()")
    target = opened.execute_script("return document.activeElement.getAttribute('href')")
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert opened.execute_script("return location.hash") == target
    seen = opened.execute_script(
        "const box = document.querySelector(':target').getBoundingClientRect(); return box.top >= 0 && box.top < 800"
    )
    assert seen
    assert "winner's" in opened.execute_script("return document.querySelector(':target').textContent")


@needs_browser
def test_the_picture_is_drawn_where_the_page_says(opened: Any) -> None:
    """Every box is inside the picture, and no text is wider than its box."""
    outside = opened.execute_script("""
        const picture = document.querySelector('.tree svg').getBoundingClientRect(), found = [];
        for (const box of document.querySelectorAll('.tree a')) {
          const rect = box.querySelector('rect').getBoundingClientRect();
          if (rect.right > picture.right || rect.bottom > picture.bottom || rect.left < picture.left) found.push('out');
          for (const text of box.querySelectorAll('text'))
            if (text.getBoundingClientRect().right > rect.right + 1) found.push(text.textContent);
        }
        return found;
    """)
    assert outside == []


@needs_browser
@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_is_wider_than_the_screen(opened: Any, width: int) -> None:
    screen(opened, width, is_dark=False)
    opened.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


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
  const box = node.matches('svg text') && node.closest('a').querySelector('rect');
  if (box && getComputedStyle(box).fill !== 'none') return parse(getComputedStyle(box).fill);
  for (let n = node; n; n = n.parentElement) {
    const colour = parse(getComputedStyle(n).backgroundColor);
    if (colour[3] === 255) return colour;
  }
};
const found = [];
for (const node of document.querySelectorAll('body *')) {
  const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!isText || node.closest('style, .skip') || !node.getClientRects().length) continue;
  const style = getComputedStyle(node);
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
    opened.execute_script("location.hash = '#draw-3'; document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.execute_script(CONTRAST) == []


@needs_browser
def test_everything_has_a_name(opened: Any) -> None:
    check_names(opened, "a, summary, svg, [role=region]")
