"""Logs that inspect_ai and lm-evaluation-harness wrote themselves (`recipes/foreign_logs.py` made them)."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mull.errors import FileFormatError
from mull.files.recording import Recording
from mull.lab import sources
from mull.lab.recorded import Source
from mull.stats.estimators import pass_at_k

DATA = Path(__file__).parents[1] / "data"
SAMPLES = next(DATA.glob("samples_sums_2*.jsonl"))
ONCE = next(DATA.glob("samples_sums_once_*.jsonl"))
CHOICE = next(DATA.glob("samples_sums_choice_*.jsonl"))


def only(source: Source) -> list[Recording]:
    (group,) = source.groups.values()
    return group.recordings


@pytest.mark.parametrize("name", ["inspect.eval", "inspect.json"])
def test_inspect_epochs_are_draws(name: str) -> None:
    source = sources.read_source(DATA / name)
    assert list(source.groups) == ["mockllm/model"]
    assert source.groups["mockllm/model"].task == "sums"
    cases = only(source)
    assert [case.id for case in cases] == ["sum/0", "sum/1", "sum/2"]
    assert [case.prompt for case in cases] == ["2+2?", "2+3?", "</script><b>1+3?"]
    for case, gold in zip(cases, ("4", "5", "4"), strict=True):
        assert case.gold == gold
        assert case.correct == (True, False, True, False, False)
        wrong = str(int(gold) + 1), str(int(gold) + 2)
        assert case.answers == (gold, wrong[0], gold, None, wrong[1])
        assert case.samples[2].text == f"<img src=x onerror=alert(1)>\nANSWER: {gold}"
        assert case.samples[0].output_tokens == len(f"I count.\nANSWER: {gold}")


def test_curves_take_them() -> None:
    (pools,) = sources.read_draws(DATA / "inspect.eval").values()
    assert [pass_at_k(pool.n, pool.n_correct, 2) for pool in pools] == [pytest.approx(0.7)] * 3


def altered(tmp_path: Path, change: Any) -> Path:
    log = json.loads((DATA / "inspect.json").read_text())
    change(log)
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    return path


def test_an_inspect_log_of_an_unknown_version_is_refused(tmp_path: Path) -> None:
    path = altered(tmp_path, lambda log: log.update(version=3))
    with pytest.raises(FileFormatError, match=r"log.json: an inspect_ai log of version 3 is unknown; known: 2"):
        sources.read_source(path)
    path.write_text('{"results": {}}')
    with pytest.raises(FileFormatError, match=r"is not a known log \(it has results;"):
        sources.read_source(path)


def test_a_score_beyond_full_credit_is_refused(tmp_path: Path) -> None:
    def seven(log: Any) -> None:
        log["samples"][0]["scores"]["match"]["value"] = 7

    with pytest.raises(FileFormatError, match="the score 7 of 'match' is neither right nor wrong, nor a credit"):
        sources.read_source(altered(tmp_path, seven))


def test_failed_samples_are_left_out_and_counted(tmp_path: Path) -> None:
    def fail(log: Any) -> None:
        log["samples"][0]["scores"] = {}

    source = sources.read_source(altered(tmp_path, fail))
    assert sorted(case.n for case in only(source)) == [4, 5, 5]
    assert source.notes[:1] == ["log.json: 1 samples were not graded and are left out"]


def test_texts_kept_aside_are_put_back(tmp_path: Path) -> None:
    def aside(log: Any) -> None:
        first = log["samples"][0]
        first["attachments"] = {"abc": "the long question"}
        first["input"] = "attachment://abc"

    assert "the long question" in [case.prompt for case in only(sources.read_source(altered(tmp_path, aside)))]


def test_a_log_that_lacks_a_field_names_it(tmp_path: Path) -> None:
    def strip(log: Any) -> None:
        del log["samples"][0]["epoch"]

    with pytest.raises(FileFormatError, match="without the field 'epoch'"):
        sources.read_source(altered(tmp_path, strip))


def test_what_is_no_log_is_refused_in_a_line(tmp_path: Path) -> None:
    torn = tmp_path / "torn.eval"
    torn.write_bytes((DATA / "inspect.eval").read_bytes()[:2000])
    with pytest.raises(FileFormatError, match="cannot be read as an inspect_ai log"):
        sources.read_source(torn)
    with zipfile.ZipFile(torn, "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(FileFormatError, match=r"no header\.json in it"):
        sources.read_source(torn)


def test_harness_repeats_are_draws() -> None:
    source = sources.read_source(SAMPLES)
    (group,) = source.groups.values()
    assert group.task == "sums"
    for case, gold in zip(group.recordings, ("4", "5", "4"), strict=True):
        assert case.gold == gold
        assert case.correct == (True, False, True, False, False)
        assert case.answers == (gold, str(int(gold) + 1), gold, None, str(int(gold) + 2))
        assert case.samples[2].text == f"<img src=x onerror=alert(1)>\nANSWER: {gold}"
    assert group.recordings[2].prompt == "</script><b>1+3?"
    assert any("compared with its target" in note for note in source.notes)


def test_one_reply_a_question_is_graded_by_the_logs_own_metric(tmp_path: Path) -> None:
    source = sources.read_source(ONCE)
    assert [case.correct for case in only(source)] == [(True,)] * 3
    assert any("the filter read reads them; not used: raw" in note for note in source.notes)
    copy = tmp_path / ONCE.name
    copy.write_text(ONCE.read_text().replace('"exact_match": 1.0', '"exact_match": 0.0'))
    for results in DATA.glob("results_*.json"):
        shutil.copy(results, tmp_path)
    assert [case.correct for case in only(sources.read_source(copy))] == [(False,)] * 3


def test_a_task_that_draws_nothing_is_refused() -> None:
    with pytest.raises(FileFormatError, match="a multiple_choice task draws no samples"):
        sources.read_source(CHOICE)


def test_harness_samples_without_or_with_unknown_results_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / SAMPLES.name
    shutil.copy(SAMPLES, copy)
    with pytest.raises(FileFormatError, match="which holds the version and the model, cannot be read"):
        sources.read_source(copy)
    for results in DATA.glob("results_*.json"):
        told = json.loads(results.read_text())
        (tmp_path / results.name).write_text(json.dumps(told | {"lm_eval_version": "1.2.0"}))
    with pytest.raises(FileFormatError, match=r"of version '1\.2\.0' is unknown; known: 0\.4"):
        sources.read_source(copy)


def test_a_malformed_row_is_named_by_its_line(tmp_path: Path) -> None:
    copy = tmp_path / SAMPLES.name
    for results in DATA.glob("results_*.json"):
        shutil.copy(results, tmp_path)
    first, *rest = SAMPLES.read_text().split("\n")
    bad = {key: value for key, value in json.loads(rest[0]).items() if key != "target"}
    copy.write_text("\n".join([first, json.dumps(bad)]))
    with pytest.raises(FileFormatError, match="line 2: no field 'target'"):
        sources.read_source(copy)
    copy.write_text(f"{first}\n{first}\n")
    with pytest.raises(FileFormatError, match="line 2: doc_id 0 was already on line 1"):
        sources.read_source(copy)
