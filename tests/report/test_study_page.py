"""The page of a study: its first screen is the answer, every finding has its sentence, and no text has power."""

from pathlib import Path
from typing import Any

import pytest

from mull.files.recording import RecordedSample, Recording, Result
from mull.lab.recorded import Source
from mull.lab.studied import MissingCell
from mull.report import page as pages
from mull.report.study_page import page
from mull.types import Cost

pytest.importorskip("selenium.webdriver")

from browser import check_names, needs_browser, screen

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
MADE_BY = {"command": f"mull study {HOSTILE}", "mull": "0", "python": "3", "numpy": "2"}


def drawn(shift: int) -> list[Recording]:
    """12 problems of falling difficulty with 4 draws, a vote and one draw run on each; all texts are hostile."""
    made = []
    for i in range(12):
        samples = tuple(
            RecordedSample(
                f"{HOSTILE} {k}", HOSTILE if k > i % 4 - shift else str(k), k > i % 4 - shift, None, 20 + k + i
            )
            for k in range(4)
        )
        result = Result(samples[0].answer, samples[0].correct, samples[0].correct, 1, "done", Cost(1, 5, 20))
        answers = tuple(s.answer for s in samples)
        results = {"single": result, "majority:n=4": Result(HOSTILE, True, True, 4, "done", Cost(4, 5, 80))}
        made.append(Recording(f"p{i} {HOSTILE}", HOSTILE, samples=samples, answers=answers, results=results))
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = {f"chain:ops={n}": {f"m {HOSTILE}": drawn(0), "other": drawn(n)} for n in (1, 2)}
    holes = [MissingCell(f"dead {HOSTILE}", "chain:ops=1", 0, 12, f"the server said {HOSTILE}")]
    out = tmp_path_factory.mktemp("study") / "study.html"
    pages.write(out, page(groups, [Source(Path("draws.jsonl"), {})], holes, f"Study {HOSTILE}", MADE_BY))
    return out


def test_the_answer_is_three_sentences_and_what_is_missing_is_told(made: Path) -> None:
    html = made.read_text()
    answer = html[html.index('<section id="answer"') : html.index('<section id="where"')]
    assert "is right most often: on" in answer
    assert "2 models on 1 task at 2 levels" in answer
    assert "mull advise" not in answer
    assert html.count('<section id="finding-') == 10
    assert "the server said" in html
    assert '<section id="when"' in html
    assert HOSTILE not in html
    assert "default-src 'none'" in html, "it may load nothing"


def test_what_a_model_cannot_read_is_a_cross_and_one_sentence() -> None:
    """Ten levels of two models: tasks go down the page, and the rows of holes are folded."""
    levels = [f"maze:side={n}" for n in range(4, 14)]
    groups = {text: {"able": drawn(0)} for text in levels}
    holes = [MissingCell("blind", text, 0, 12, "no letters", is_unreadable=True) for text in levels]
    holes += [MissingCell("dead", text, 0, 12, "gone") for text in levels]
    html = page(groups, [Source(Path("draws.jsonl"), {})], holes, "Study", MADE_BY)
    where, missing = (
        html.partition(f'<section id="{name}"')[2].partition("</section>")[0] for name in ("where", "missing")
    )
    assert where.count(">cannot read<") == where.count(">not run<") == 2 * len(levels), "two maps have a table each"
    assert "a cross is a model that cannot read" in where
    assert where.index(">maze:side=4</th>") < where.index(">maze:side=13</th>")
    assert missing.count("blind cannot read the prompts of maze, and is not asked there: no letters") == 1
    assert missing.count(">gone<") == 1
    assert "0 of 120" in missing


def test_models_with_the_most_tasks_are_compared_apart_from_all() -> None:
    groups = {"maze:side=4": {"able": drawn(0)}, "chain:ops=1": {"able": drawn(1), "nano": drawn(0)}}
    html = page(groups, [Source(Path("draws.jsonl"), {})], [], "Study", MADE_BY)
    answer = html.partition('<section id="answer"')[2].partition("</section>")[0]
    assert "of the 24 problems of able, which has the most tasks" in answer
    assert "of the 12 problems that all models have" in answer


@needs_browser
def test_it_works_in_a_browser_on_a_phone_in_the_dark(chromium: Any, made: Path) -> None:
    chromium.get_log("browser")
    screen(chromium, 390, is_dark=True)
    chromium.get(made.as_uri())
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return window.hacked") is None
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
    check_names(chromium, "a, button, input, select, summary")
