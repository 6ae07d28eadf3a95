"""`mull solve --trace` and `mull report TRACE`, as a user would."""

import json
from pathlib import Path

from mull.run.trace import read

PROMPT = "reach 11 with 3 10 2"
SEARCH = ("solve", PROMPT, "--kind", "expression", "-s", "mcts:n=6,width=3", "--verifier", "countdown")


def test_a_search_is_traced_and_drawn(mull, mull_json, tmp_path: Path) -> None:
    trace, page = tmp_path / "trace.json", tmp_path / "page.html"
    solved = mull_json(*SEARCH, "--trace", trace)
    file = read(trace)
    assert file.answer == solved["answer"]
    assert file.strategy == solved["strategy"]
    assert file.spent.output_tokens == solved["cost"]["output_tokens"]
    assert file.made_by["command"].startswith("mull solve 'reach 11")
    assert [candidate.answer for candidate in file.candidates] == [sample["answer"] for sample in solved["samples"]]
    drawn = mull_json("report", trace, "--out", page)
    assert drawn["answer"] == solved["answer"]
    assert drawn["bytes"] == page.stat().st_size
    assert "whole replies" in drawn["why"][0]
    # A traced run is the same as one without, and what it drew is in the bank.
    assert mull_json(*SEARCH)["samples"] == solved["samples"]
    mull_json(*SEARCH, "--trace", trace)
    assert all(event.is_banked for event in read(trace).events if event.event == "draw")


def test_the_text_of_a_sample_is_the_whole_reply(mull_json) -> None:
    solved = mull_json(*SEARCH)
    assert all(sample["text"].startswith("<think>") for sample in solved["samples"])


def test_a_trace_of_another_version_is_refused(mull, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"format": "mull-trace", "version": 7, "made_by": {"mull": "9.9"}}))
    done = mull("report", trace, "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert "version 7" in done.stderr
    assert "9.9" in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_two_traces_on_one_page_are_refused(mull, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text('{"format": "mull-trace", "version": 1}')
    done = mull("report", trace, trace, "--out", tmp_path / "page.html")
    assert done.returncode == 2
    assert "one trace" in done.stderr


def test_a_trace_that_cannot_be_written_is_refused_before_anything_is_drawn(mull, tmp_path: Path) -> None:
    done = mull(*SEARCH, "--trace", tmp_path / "nowhere" / "trace.json")
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
    assert not (tmp_path / "bank.db").exists()


def test_a_search_without_a_verifier_of_steps_says_what_to_do(mull) -> None:
    done = mull("solve", PROMPT, "-s", "beam:n=8", "--verifier", "countdown")
    assert done.returncode == 2
    assert "countdown scores whole replies only" in done.stderr
    done = mull("solve", PROMPT, "-s", "beam:n=10")
    assert done.returncode == 2
    assert "multiple of the width 4, not 10: take 8 or 12" in done.stderr
