"""The page `/`: it runs by keyboard in a real browser, shows models' words as words, and keeps runs to their keys."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from browser import check_names, needs_browser, screen
from fault_server import FaultServer
from mull.run.trace import read
from mull.serve.keys import hash_of, new_key
from mull.serve.runs import Runs

Make = Callable[..., Any]
HOSTILE = "</pre><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\u202e"
SEEN = HOSTILE.replace("\u202e", r"\u202e")
TEXTS = (f"{HOSTILE} answer: 42", f"{HOSTILE} answer: 42", "answer: 7")
SECONDS = 60


def table(server: FaultServer, more: str = "") -> str:
    return f'[models.words]\nbase_url = "{server.url}"\n[presets.vote]\nstrategy = "majority:n=6"\n{more}'


def of_key(name: str, key: str) -> str:
    return f'[serve.keys.{name}]\nsha256 = "{hash_of(key)}"\n'


async def kept(served: Any, client: openai.AsyncOpenAI, path: str, **form: str) -> tuple[int, str, Any]:
    """The status, text and headers of a path, asked with a client's key, or as a form."""
    async with aiohttp.ClientSession() as session:
        headers = {} if form else {"Authorization": f"Bearer {client.api_key}"}
        method = session.post if form else session.get
        async with method(served.url + path, headers=headers, data=form or None) as response:
            return response.status, await response.text(), response.headers


async def test_runs_are_told_as_they_go_and_kept_for_their_key_alone(gateway: Make, tmp_path: Path) -> None:
    ann, bob = new_key(), new_key()
    async with FaultServer(texts=TEXTS) as upstream:
        text = table(upstream, "[serve]\nruns = 2\n" + of_key("ann", ann) + of_key("bob", bob))
        async with gateway(text) as served, served.client_of(ann) as first, served.client_of(bob) as second:
            served.client, unkeyed = first, served.client
            told: Any = {"mull": {"return": ["events", "trace"]}}
            async with await served.ask("words@vote", "q", seed=1, stream=True, extra_body=told) as stream:
                chunks = [chunk async for chunk in stream]
            events = [chunk.mull["event"] for chunk in chunks if "event" in (getattr(chunk, "mull", None) or {})]
            assert [event["draw"] for event in events] == list(range(6))
            assert {event["text"] for event in events} <= set(TEXTS)
            calls = [event["spent"]["calls"] for event in events]
            assert calls == sorted(calls)
            assert calls[-1] == 6
            (id,) = chunks[-1].mull["runs"]
            status, trace, _ = await kept(served, first, f"/runs/{id}")
            assert status == 200
            (tmp_path / "trace.json").write_text(trace)
            file = read(tmp_path / "trace.json")
            assert (file.answer, file.model) == (chunks[-1].mull["answers"][0]["answer"], "words")
            assert json.loads((await kept(served, second, "/runs"))[1])["data"] == []
            for client, key, status in ((second, bob, 404), (second, "", 401), (first, ann, 200)):
                path = f"/runs/{id}"
                assert (await kept(served, client, path, key=key))[0] == status
            assert (await kept(served, second, f"/runs/{id}"))[0] == 404
            page, headers = (await kept(served, first, f"/runs/{id}", key=ann))[1:]
            assert "<script>window" not in page
            assert headers["content-security-policy"].startswith("default-src 'none'")
            for i in range(2):
                await served.ask("words@vote", f"more {i}", extra_body=told)
            await served.ask("words@vote", "not kept")
            rows = json.loads((await kept(served, first, "/runs"))[1])["data"]
            assert [row["question"] for row in rows] == ["more 1", "more 0"]
            assert (await kept(served, first, f"/runs/{id}"))[0] == 404
            await unkeyed.close()


async def test_the_page_may_run_and_reach_nothing_but_its_own(gateway: Make) -> None:
    async with gateway("", "nano") as served:
        for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
            status, text, headers = await kept(served, served.client, path)
            assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")
            rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
            assert rules["default-src"] == "'none'"
            assert {rules[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
            assert headers["x-content-type-options"] == "nosniff"
            assert "://" not in text


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from mull.run.trace import Trace
    from mull.serve import runs as module
    from mull.types import Cost, Outcome, Params, Problem, Prompt

    def trace(text: str) -> Any:
        outcome = Outcome(None, None)
        return Trace(Problem("p", Prompt.user(text))).file(
            outcome, answers=[], model="m", strategy="s", verifier=None, judge=None, seed=0, params=Params(),
            budget={}, spent=Cost(), fresh=Cost(), made_by={},
        )  # fmt: skip

    monkeypatch.setattr(module, "MOST_CHARACTERS", 1000)
    kept = Runs(3)
    for i in range(5):
        kept.keep("ann", "m", trace(f"{i}"))
    kept.keep("bob", "m", trace("b"))
    assert [row["question"] for row in kept.listed("ann")] == ["4", "3", "2"]
    kept.keep("bob", "m", trace("c" * 998))
    assert [row["question"] for row in kept.listed("ann")] == ["4"]
    kept.keep("bob", "m", trace("d" * 2000))
    assert (kept.listed("ann"), kept.listed("bob")) == ([], [])


@needs_browser
async def test_by_keyboard_with_hostile_replies(gateway: Make, chromium: Any) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    key = new_key()

    def script(words: str, *more: Any) -> Any:
        return chromium.execute_script(f"return {words}", *more)

    def press(*keys: str) -> None:
        chromium.switch_to.active_element.send_keys(*keys)

    def wait(words: str) -> None:
        WebDriverWait(chromium, SECONDS, 0.05).until(lambda _: script(words))

    def drive(url: str) -> None:
        screen(chromium, 360, is_dark=False)
        chromium.get_log("browser")
        chromium.get(f"{url}/")
        wait("document.activeElement.id === 'key'")
        press("mull-wrong", Keys.ENTER)
        wait("document.getElementById('error').textContent === 'the key is not known'")
        press(key, Keys.ENTER)
        wait("document.activeElement.id === 'question'")
        assert script("[...document.querySelectorAll('option')].map(o => o.value)") == ["words@vote", "words"]
        press("What is it?", Keys.TAB)
        assert script("document.activeElement.id") == "model"
        press(Keys.TAB)
        press("6", Keys.TAB)
        press("5000", Keys.TAB)
        press(Keys.TAB)
        press("4", Keys.TAB)
        assert script("document.activeElement.id") == "go"
        press(Keys.ENTER)
        wait("document.getElementById('status').textContent.startsWith('Done after 6 draws')")
        wait("document.querySelectorAll('#runs tbody tr').length === 1")
        assert script("document.activeElement.id") == "go"
        assert script("[window.hacked ?? null, document.images.length, document.scripts.length]") == [None, 0, 1]
        texts = script("[...document.querySelectorAll('#draws pre')].map(p => p.textContent)")
        assert len(texts) == 6
        assert set(texts) == {text.replace("\u202e", r"\u202e") for text in TEXTS}
        assert script("document.getElementById('answer').textContent") == "42"
        names = script("[...document.querySelectorAll('#votes dt')].map(d => d.textContent)")
        assert names == ["42", "7"]
        widths = script("[...document.querySelectorAll('#votes .bar')].map(b => b.getBoundingClientRect().width)")
        assert widths[0] == pytest.approx(2 * widths[1], rel=0.05)
        assert script("document.documentElement.scrollWidth") <= 360
        assert "6 calls" in script("document.getElementById('n-calls').textContent")
        check_names(chromium, "button, input:not([type=hidden]), select, textarea, pre, dt, section")
        assert key not in script(
            "location.href + document.body.outerHTML + document.cookie + JSON.stringify(localStorage)"
        )
        script("document.querySelector('#runs button').focus()")
        own = chromium.current_window_handle
        press(Keys.ENTER)
        WebDriverWait(chromium, SECONDS, 0.05).until(lambda driver: len(driver.window_handles) == 2)
        chromium.switch_to.window(next(handle for handle in chromium.window_handles if handle != own))
        wait("document.querySelector('h1')?.textContent === 'A run of words@vote'")
        assert SEEN in script("document.body.textContent")
        assert script("[window.hacked ?? null, document.images.length, document.scripts.length]") == [None, 0, 0]
        assert key not in script("location.href + document.body.outerHTML")
        chromium.close()
        chromium.switch_to.window(own)
        errors = [entry["message"] for entry in chromium.get_log("browser")]
        assert [message for message in errors if "401" not in message] == []  # a refused key is logged as one

    async with FaultServer(texts=TEXTS) as upstream, gateway(table(upstream, of_key("ann", key))) as served:
        await asyncio.to_thread(drive, served.url)
