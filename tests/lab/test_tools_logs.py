"""Logs that other tools wrote (`recipes/foreign_logs.py`, `recipes/foreign_rollouts.py`), against their own totals."""

import contextlib
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mull.bank.sql import SqlBank
from mull.errors import FileFormatError
from mull.files.logs import formats
from mull.files.recording import Recording
from mull.lab import exchange, sources
from mull.lab.recorded import Source
from mull.models.recorded import RecordedModel
from mull.stats.estimators import pass_at_k
from mull.types import Draw, Message, Params, Prompt

LOGS = Path(__file__).parents[1] / "data" / "logs"
SUMS = [("2+2?", "4"), ("2+3?", "5"), ("</script><b>1+3?", "4")]
FIVE = (True, False, True, False, False)
"""Which of the five replies to a sum are right."""


def one(folder: str, pattern: str) -> Path:
    (path,) = (LOGS / folder).glob(pattern)
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().rstrip("\n").split("\n")


def cases_of(source: Source) -> list[Recording]:
    (group,) = source.groups.values()
    return group.recordings


def coverage(source: Source, k: int) -> float:
    pools = cases_of(source)
    return sum(pass_at_k(pool.n, pool.n_correct, k) for pool in pools) / len(pools)


def settings(path: Path) -> tuple[float | None, int | None]:
    log = formats.read(path)
    assert log is not None
    (told,) = {recording.settings for recording in log.recordings}
    return told.temperature, told.max_tokens


def accuracy(path: Path) -> float:
    """What inspect_ai itself says of the share that is right, by its first scorer."""
    return float(json.loads(path.read_text())["results"]["scores"][0]["metrics"]["accuracy"]["value"])


@pytest.mark.parametrize(
    "name", ["inspect_0.3.41.json", "inspect_0.3.120.eval", "inspect_includes.eval", "inspect_pattern.eval"]
)
def test_right_answers_of_inspect_are_one_class_however_they_are_written(name: str) -> None:
    source = sources.read_source(LOGS / name)
    for case, gold in zip(cases_of(source), ("paris", "lima"), strict=True):
        assert case.correct == (True, True, False, True)
        assert case.answers == (gold, gold, "berlin", gold)
        assert case.tokens == tuple(len(sample.text) for sample in case.samples)
        assert case.samples[0].text == f"ANSWER: {case.gold}"


def test_the_first_release_of_the_format_counts_as_it_says_itself() -> None:
    path = LOGS / "inspect_0.3.41.json"
    assert "completion" not in json.loads(path.read_text())["samples"][0]["output"]
    assert coverage(sources.read_source(path), 1) == pytest.approx(accuracy(path))


def test_an_inspect_log_tells_temperature_length_and_system_message() -> None:
    log = formats.read(LOGS / "inspect_includes.eval")
    assert log is not None
    assert settings(LOGS / "inspect_includes.eval") == (0.7, 99)
    assert log.recordings[0].messages == (Message("system", "Be brief."), Message("user", "Capital of France?"))


def test_partial_credit_is_not_right_and_nan_and_failures_are_left_out() -> None:
    source = sources.read_source(LOGS / "inspect_credit.eval")
    paris, lima = cases_of(source)
    # C, P, (NaN), 0 and C, 0.25, (NaN), (failed)
    assert paris.correct == (True, False, False)
    assert lima.correct == (True, False)
    said = "\n".join(source.notes)
    assert "1 samples failed and are left out; the first because: ValueError('no grader for this one')" in said
    assert "2 samples are not scored by credit (NaN or null)" in said
    assert "2 draws have partial credit" in said
    assert "the mean credit of all draws is 0.550" in said  # (1 + 0.5 + 0 + 1 + 0.25) / 5
    assert paris.scores == (None, None, None), "a credit knows the gold answer: it chooses no draw, as a score does"


def test_of_several_values_the_one_that_says_correct_is_meant() -> None:
    source = sources.read_source(LOGS / "inspect_values.eval")
    assert [case.n_correct for case in cases_of(source)] == [3, 3]
    assert any("'correct' is the verdict; not used: brief" in note for note in source.notes)


def test_a_list_of_values_is_taken_by_its_first(tmp_path: Path) -> None:
    log = json.loads((LOGS / "inspect_0.3.41.json").read_text())
    for sample in log["samples"]:
        sample["scores"]["match"]["value"] = [sample["scores"]["match"]["value"], 1]
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    assert [case.n_correct for case in cases_of(sources.read_source(path))] == [3, 3]


def test_a_sample_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    log = json.loads((LOGS / "inspect_0.3.41.json").read_text())
    log["samples"].append(log["samples"][0])
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    source = sources.read_source(path)
    assert [case.n for case in cases_of(source)] == [4, 4]
    assert any("1 samples are there twice" in note for note in source.notes)


def repacked(tmp_path: Path, change: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """The log of 0.3.120 with some members' bytes changed."""
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(LOGS / "inspect_0.3.120.eval") as old, zipfile.ZipFile(path, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, change.get(info.filename, old.read(info)))
    return path


def member(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return next(name for name in archive.namelist() if name.startswith("samples/"))


@pytest.mark.parametrize("broken", [b"{", b"\xff", b"[" * 100_000, b'{"id": ' + b"9" * 5000 + b"}"])
def test_a_broken_member_is_named(tmp_path: Path, broken: bytes) -> None:
    name = member(LOGS / "inspect_0.3.120.eval")
    with pytest.raises(FileFormatError, match=f"log.eval: {name} is not JSON"):
        sources.read_source(repacked(tmp_path, {name: broken}))


def test_a_member_with_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    path = repacked(tmp_path, {}, zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"Be brief."', b'"Be long!."'))
    with pytest.raises(FileFormatError, match="is broken: "):
        sources.read_source(path)


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_stopped(tmp_path: Path) -> None:
    name = member(LOGS / "inspect_0.3.120.eval")
    path = repacked(tmp_path, {name: b" " * (100 << 20)})
    assert path.stat().st_size < 200_000
    with pytest.raises(FileFormatError, match=r"bytes that unpack to .* are no log"):
        sources.read_source(path)


def test_a_member_that_holds_more_than_it_says_is_stopped(tmp_path: Path) -> None:
    """zstd frames do not tell their length: the archive's own word for it is checked."""
    pa = pytest.importorskip("pyarrow")
    path = tmp_path / "log.eval"
    header = b'{"version": 2, "eval": {"model": "m", "task": "t"}}'
    bomb = pa.compress(b" " * (50 << 20), codec="zstd", asbytes=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", header)
        archive.writestr("samples/a_epoch_1.json", bomb)
    raw = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = raw.rindex(signature)
        struct.pack_into("<H", raw, place + at, 93)
        struct.pack_into("<L", raw, place + at + 14, 1000)
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match=r"samples/a_epoch_1\.json unpacks to more, not to the 1,000 it says"):
        sources.read_source(path)


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = repacked(tmp_path, {})
    raw = bytearray(path.read_bytes())
    place = raw.index(b"PK\x01\x02")
    struct.pack_into("<L", raw, place + 20, len(raw) * 2)
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match="they overlap"):
        sources.read_source(path)


def test_a_chat_of_the_harness_is_its_messages_and_its_settings() -> None:
    log = formats.read(one("harness", "samples_capitals_folded_*.jsonl"))
    assert log is not None
    first = log.recordings[0]
    assert first.messages == (Message("system", "Be brief."), Message("user", "Capital of France?"))
    assert first.prompt == "Capital of France?"
    assert (first.settings.temperature, first.settings.max_tokens) == (0.7, 99)


def results(path: Path, task: str, metric: str) -> float:
    time = path.stem.rpartition("_")[2]
    told = json.loads(path.with_name(f"results_{time}.json").read_text())
    return float(told["results"][task][metric])


def test_the_harness_own_metric_wins_over_the_target() -> None:
    path = one("harness", "samples_capitals_folded_*.jsonl")
    source = sources.read_source(path)
    # The target is "Paris!" and the reply says "Paris": only the metric knows that they are equal.
    assert coverage(source, 1) == results(path, "capitals_folded", "exact_match,read") == 1.0


def test_repeats_are_compared_with_the_target_as_the_metric_does() -> None:
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    source = sources.read_source(path)
    assert [case.correct for case in cases_of(source)] == [(True, True, False, True)] * 2
    assert [case.answers[:3] for case in cases_of(source)] == [
        ("paris", "paris", "berlin"),
        ("lima", "lima", "berlin"),
    ]
    assert coverage(source, 1) == results(path, "capitals_repeats", "exact_match,read") == 0.75


def test_repeats_that_only_the_metric_can_grade_are_counted_and_do_not_vote(tmp_path: Path) -> None:
    for path in (LOGS / "harness").iterdir():
        text = path.read_text().replace('"ignore_punctuation": true', '"regexes_to_ignore": ["!"]')
        (tmp_path / path.name).write_text(text)
    path = next(tmp_path.glob("samples_capitals_repeats_*.jsonl"))
    source = sources.read_source(path)
    pools = cases_of(source)
    assert [(pool.n, pool.n_correct, pool.answers) for pool in pools] == [(4, 3, ()), (4, 3, ())]
    assert coverage(source, 1) == results(path, "capitals_repeats", "exact_match,read") == 0.75
    assert any("how many replies are right but not which" in note for note in source.notes)


def test_an_error_rate_of_one_is_wrong() -> None:
    path = one("harness", "samples_capitals_errors_*.jsonl")
    source = sources.read_source(path)
    assert [case.correct for case in cases_of(source)] == [(True,), (False,)]
    assert results(path, "capitals_errors", "wer,read") == 0.5


def test_samples_of_before_0_4_7_are_read_filter_by_filter() -> None:
    path = one("harness-old", "samples_old_sums_*.jsonl")
    rows = [json.loads(line) for line in lines(path)]
    assert len(rows) == 6
    assert not any({"filter", "metrics"} & set(row) for row in rows)
    source = sources.read_source(path)
    assert [case.correct for case in cases_of(source)] == [(True,)] * 3
    assert any("answers as the filter read reads them; not used: raw" in note for note in source.notes)


def test_samples_of_before_0_4_3_are_refused_with_how_to_convert_them(tmp_path: Path) -> None:
    """Those releases wrote one JSON list into a file of the same name."""
    (rows,) = (LOGS / "harness-old").glob("samples_*.jsonl")
    (results,) = (LOGS / "harness-old").glob("results_*.json")
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    shutil.copy(results, tmp_path / "results.json")
    old = tmp_path / "pretrained__nano_old_sums.jsonl"
    for indent in (2, None):
        old.write_text(json.dumps(found, indent=indent))
        with pytest.raises(FileFormatError, match=r"one JSON list, as lm-evaluation-harness .*jq -c"):
            sources.read_source(old)
    old.write_text("".join(json.dumps(row) + "\n" for row in found))  # what jq makes of it
    assert [one.correct for one in cases_of(sources.read_source(old))] == [(True,)] * (len(found) // 2)


def test_several_targets_that_the_harness_wrote_as_a_list(tmp_path: Path) -> None:
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    for beside in path.parent.glob("results_*.json"):
        shutil.copy(beside, tmp_path)
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace('"target": "Paris!"', '''"target": "['Paris', 'paris']"'''))
    first = cases_of(sources.read_source(copy))[0]
    assert first.correct == (True, True, False, True)


def test_a_metric_over_several_targets_is_no_share_of_right_repeats(tmp_path: Path) -> None:
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    for beside in path.parent.glob("results_*.json"):
        shutil.copy(beside, tmp_path)
    copy = tmp_path / path.name
    text = path.read_text().replace('"target": "Paris!"', '''"target": "['Paris']"''')
    copy.write_text(text.replace('"exact_match": 0.75', '"exact_match": 1.0'))
    assert cases_of(sources.read_source(copy))[0].correct == (True, True, False, True)


def test_of_several_targets_a_scorer_of_whole_replies_met_the_one_that_is_there(tmp_path: Path) -> None:
    log = json.loads((LOGS / "inspect_0.3.41.json").read_text())
    for sample in log["samples"]:
        sample["target"] = [sample["target"], "Nowhere"]
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    assert [case.answers for case in cases_of(sources.read_source(path))] == [
        ("paris", "paris", "berlin", "paris"),
        ("lima", "lima", "berlin", "lima"),
    ]


def sums_are_right(source: Source, *, has_answers: bool = True) -> None:
    for case, (question, gold) in zip(cases_of(source), SUMS, strict=False):
        assert question in str(case.prompt)
        assert (case.n, case.n_correct) == (5, 2)
        if has_answers:
            right = {a for a, c in zip(case.answers, case.correct, strict=True) if c}
            assert right == {gold}


def test_verifiers_results_agree_with_their_own_pass_at_k() -> None:
    path = LOGS / "verifiers-old" / "results.jsonl"
    source = sources.read_source(path)
    sums_are_right(source)
    told = json.loads(path.with_name("metadata.json").read_text())["pass_at_k"]
    for k in (1, 2, 4):
        assert coverage(source, k) == pytest.approx(told[str(k)])
    assert settings(path) == (0.7, 99)
    assert {sample.output_tokens for case in cases_of(source) for sample in case.samples} == {13, 18, 19, 38}


def test_verifiers_rewards_without_a_threshold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text((LOGS / "verifiers-old" / "results.jsonl").read_text().replace('"reward": 1.0', '"reward": 0.7'))
    with pytest.raises(FileFormatError, match=r"the reward 0\.7 is neither 0 nor 1, and no `pass_threshold`"):
        sources.read_source(path)


def test_verifiers_traces() -> None:
    path = LOGS / "verifiers" / "traces.jsonl"
    source = sources.read_source(path)
    sums_are_right(source)
    assert [case.correct for case in cases_of(source)] == [FIVE] * 3
    assert settings(path) == (0.7, 99)
    log = formats.read(path)
    assert log is not None
    assert log.recordings[0].messages[0] == Message("system", "Be brief.")


def test_trl_completions_are_draws_of_their_prompt() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = one("trl", "completions_*.parquet")
    source = sources.read_source(path)
    rows = pq.read_table(path).to_pylist()
    for case in cases_of(source):
        assert case.correct == tuple(row["right"] == 1 for row in rows if row["prompt"] == case.prompt)
    assert list(source.groups) == ["policy at step 1"]


def test_trl_rewards_of_which_none_says_what_is_right_are_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(one("trl", "completions_*.parquet"))
    names = ["neat" if name == "right" else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), tmp_path / "completions_00001.parquet")
    with pytest.raises(
        FileFormatError, match=r"no single reward can be identified as the verdict \(it has neat, brief\)"
    ):
        sources.read_source(tmp_path / "completions_00001.parquet")
    assert pa


def test_lighteval_details() -> None:
    pytest.importorskip("pyarrow")
    path = one("lighteval", "details_*.parquet")
    source = sources.read_source(path)
    sums_are_right(source)
    told = json.loads(one("lighteval", "results_*.json").read_text())["results"]["custom|sums|0"]
    assert coverage(source, 1) == pytest.approx(told["pass@k:k=1&n=5"])


def test_evalplus_programs_that_pass_all_tests_are_right() -> None:
    path = LOGS / "evalplus" / "samples_eval_results.json"
    source = sources.read_source(path)
    # evalplus itself printed pass@1 of 0.625 on the base tests and of 0.500 with the extra ones.
    assert coverage(source, 1) == 0.5
    assert any("5 of 8 programs pass the base tests" in note for note in source.notes)
    assert all(case.answers == () for case in cases_of(source))


def test_helm_runs() -> None:
    one_each = sources.read_source(LOGS / "helm" / "sums_1" / "scenario_state.json")
    stats = json.loads((LOGS / "helm" / "sums_1" / "per_instance_stats.json").read_text())
    told = [s["mean"] for row in stats for s in row["stats"] if s["name"]["name"] == "quasi_exact_match"]
    assert [case.n_correct for case in cases_of(one_each)] == told
    five = sources.read_source(LOGS / "helm" / "sums_5" / "scenario_state.json")
    sums_are_right(five)
    assert any("compared with the correct references" in note for note in five.notes)
    assert settings(LOGS / "helm" / "sums_5" / "scenario_state.json") == (0.7, 99)


def test_a_helm_metric_that_reads_completions_in_its_own_way_is_refused_for_several(tmp_path: Path) -> None:
    shutil.copytree(LOGS / "helm" / "sums_5", tmp_path / "run")
    stats = tmp_path / "run" / "per_instance_stats.json"
    told = json.loads(stats.read_text())
    for stat in told[0]["stats"]:
        stat["mean"] = 0.0
    stats.write_text(json.dumps(told))
    with pytest.raises(FileFormatError, match="grades only the first of several completions"):
        sources.read_source(tmp_path / "run" / "scenario_state.json")


def test_nemo_skills_seeds_are_draws() -> None:
    source = sources.read_source(LOGS / "nemo-skills")
    sums_are_right(source)
    rows = [json.loads(line) for path in sorted((LOGS / "nemo-skills").glob("*.jsonl")) for line in lines(path)]
    right = [row["symbolic_correct"] for row in rows if row["id"] == 0]
    assert next(list(case.correct) for case in cases_of(source)) == right
    assert [case.n for case in cases_of(sources.read_source(LOGS / "nemo-skills" / "output-rs3.jsonl"))] == [1] * 3


@pytest.mark.parametrize("name", ["results.json", "results.jsonl"])
def test_promptfoo_repeats_are_draws(name: str) -> None:
    source = sources.read_source(LOGS / "promptfoo" / name)
    sums_are_right(source)
    told = json.loads((LOGS / "promptfoo" / "results.json").read_text())["results"]["prompts"][0]["metrics"]
    assert sum(case.n_correct for case in cases_of(source)) == told["testPassCount"]
    assert len(cases_of(source)) == 2


@pytest.mark.parametrize("tool", ["openai", "vllm"])
def test_batches_are_draws_without_verdicts(tool: str) -> None:
    path = LOGS / tool / "batch_output.jsonl"
    log = formats.read(path)
    assert log is not None
    # Four choices each, and one more of the first question; the last request failed.
    assert [len(recording.samples) for recording in log.recordings] == [5, 4]
    assert [sample.output_tokens is None for sample in log.recordings[0].samples] == [True] * 4 + [False]
    assert any("1 requests failed" in note for note in log.notes)
    assert log.recordings[0].messages == (Message("system", "+"), Message("user", "2+2?"))
    with pytest.raises(FileFormatError, match="neither verdicts nor right answers; import its samples with"):
        sources.read_source(path)


def test_a_batch_without_its_input_is_refused(tmp_path: Path) -> None:
    shutil.copy(LOGS / "openai" / "batch_output.jsonl", tmp_path)
    with pytest.raises(FileFormatError, match="put the batch's one input file there"):
        formats.read(tmp_path / "batch_output.jsonl")


def test_a_log_is_filed_as_it_tells_that_it_was_asked(tmp_path: Path) -> None:
    said: list[str] = []
    with SqlBank(f"sqlite:///{tmp_path / 'bank.db'}") as bank:
        for path in (LOGS / "inspect_includes.eval", LOGS / "verifiers-old" / "results.jsonl"):
            assert exchange.take_in(bank, path, exchange.Filing(), say=said.append).draws in (8, 15)
            assert exchange.take_in(bank, path, exchange.Filing()).draws == 0
        exchange.write_draws(bank, tmp_path / "out.jsonl")
    for line in lines(tmp_path / "out.jsonl"):
        asked = json.loads(line)["asked"]
        assert (asked["temperature"], asked["max_tokens"]) == (0.7, 99)
        assert asked["messages"][0] == ["system", "Be brief."]
    assert (
        "results.jsonl: filed under temperature 0.7 (the log), max_tokens 99 (the log), the log's system message"
        in said
    )


def test_what_a_log_does_not_tell_is_said_and_what_is_given_wins(tmp_path: Path) -> None:
    filing = exchange.Filing(params=Params(0.3, 400), given=frozenset({"temperature"}))
    said: list[str] = []
    with SqlBank(f"sqlite:///{tmp_path / 'bank.db'}") as bank:
        exchange.take_in(bank, LOGS / "nemo-skills", filing, say=said.append)
        exchange.take_in(bank, LOGS / "inspect_includes.eval", filing, say=said.append)
    assert "nemo-skills: filed under temperature 0.3 (given), max_tokens 400 (default)" in said
    assert said[-1].startswith("inspect_includes.eval: filed under temperature 0.3 (given), max_tokens 99 (the log)")


async def test_a_log_is_a_model_of_recorded_draws() -> None:
    model = RecordedModel(str(LOGS / "promptfoo" / "results.json"))
    draws = [Draw(i, i) for i in range(6)]
    texts = [s.text async for s in model.sample(Prompt.user("Add: 2+2?"), Params(), draws, lambda _: None)]
    assert len(texts) == 5
    assert "I count.\nANSWER: 4" in texts


def test_json_that_is_no_log_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"loss": 1}')
    with pytest.raises(FileFormatError, match=r"is not a known log \(it has loss; .*mull list formats.*convert it"):
        sources.read_source(path)


def every_log() -> list[Path]:
    return sorted(
        path for pattern in ("*.eval", "*.json", "*.jsonl", "*.parquet") for path in LOGS.rglob(pattern) if is_log(path)
    )


def is_log(path: Path) -> bool:
    beside = ("results_", "metadata", "per_instance", "batch_input", "samples.jsonl", "preds.json", "openai__scripted.")
    return not path.name.startswith(beside) or path.suffix == ".parquet"


@pytest.mark.parametrize("path", every_log(), ids=lambda path: str(path.relative_to(LOGS)))
def test_every_way_in_reads_a_log_alike(path: Path) -> None:
    log = formats.read(path)
    assert log is not None
    texts = {(r.group, r.id): [sample.text for sample in r.samples] for r in log.recordings}
    if not all(recording.prompt for recording in log.recordings):
        with pytest.raises(FileFormatError, match="does not hold the questions"):
            formats.recordings(path)
        return
    recorded = {(r.group, r.id): [sample.text for sample in r.samples] for r in formats.recordings(path)}
    assert recorded == texts
    if all(sample.correct is not None or r.gold for r in log.recordings for sample in r.samples):
        source = sources.read_source(path)
        for group in source.groups.values():
            for one in group.recordings:
                assert one.counts or [sample.text for sample in one.samples] == texts[group.name, one.id]


def hostile(value: Any) -> Any:
    """The same JSON with every text replaced by one that does harm where it is evaluated or rendered."""
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return "__import__('os').abort()" if isinstance(value, str) else value


@pytest.mark.parametrize("path", every_log(), ids=lambda path: str(path.relative_to(LOGS)))
def test_nothing_that_a_log_holds_is_evaluated(path: Path, tmp_path: Path) -> None:
    if path.suffix not in (".json", ".jsonl"):
        pytest.skip("packed")
    shutil.copytree(path.parent, tmp_path / "logs", ignore=shutil.ignore_patterns("*.eval", "recipe"))
    copy = tmp_path / "logs" / path.name
    if path.suffix == ".json":
        copy.write_text(json.dumps(hostile(json.loads(path.read_text()))))
    else:
        copy.write_text("".join(json.dumps(hostile(json.loads(line))) + "\n" for line in lines(path)))
    with contextlib.suppress(FileFormatError):
        sources.read_source(copy)


def test_a_gold_that_is_a_whole_solution_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    solved = json.dumps("1 + 1 is 2, so 2 + 2 is 4.\n#### 4")
    path.write_text(
        (LOGS / "verifiers-old" / "results.jsonl").read_text().replace('"answer": "4"', f'"answer": {solved}')
    )
    first = cases_of(sources.read_source(path))[0]
    assert {a for a, right in zip(first.answers, first.correct, strict=True) if right} == {"4"}


def test_a_row_of_several_questions_is_refused(tmp_path: Path) -> None:
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    for beside in path.parent.glob("results_*.json"):
        shutil.copy(beside, tmp_path)
    row = json.loads(lines(path)[0])
    row["arguments"]["gen_args_1"] = {"arg_0": "Another question?", "arg_1": {}}
    row["resps"].append(["ANSWER: Rome"])
    (tmp_path / path.name).write_text(json.dumps(row))
    with pytest.raises(FileFormatError, match="a row asks several questions"):
        sources.read_source(tmp_path / path.name)


def test_programs_of_the_harness_are_counted_by_pass_at_1_and_do_not_vote(tmp_path: Path) -> None:
    """As humaneval is logged: the target is a test, and `pass@1` of repeats is the share that passes."""
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    for beside in path.parent.glob("results_*.json"):
        shutil.copy(beside, tmp_path)
    rows = [json.loads(line) for line in lines(path)]
    for row in rows:
        row |= {"target": "check(double)", "metrics": ["pass@10", "pass@1"], "pass@1": 0.5, "pass@10": 1.0}
    (tmp_path / path.name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = cases_of(sources.read_source(tmp_path / path.name))
    assert [(case.n, case.n_correct, case.answers) for case in found] == [(4, 2, ())] * 2


@pytest.mark.parametrize(("score", "kept"), [(0.25, 0.25), (-3.5, None)])
def test_scores_of_nemo_skills_vote_only_within_0_and_1(tmp_path: Path, score: float, kept: float | None) -> None:
    rows = [json.loads(line) for line in lines(LOGS / "nemo-skills" / "output-rs0.jsonl")]
    path = tmp_path / "output.jsonl"
    path.write_text("".join(json.dumps(row | {"reward_model_score": score}) + "\n" for row in rows))
    source = sources.read_source(path)
    assert {s for case in cases_of(source) for s in case.scores} == {kept}
    assert (kept is None) == any("no vote or choice uses it" in note for note in source.notes)


def test_repeats_of_which_a_metric_judged_the_first_alone_need_a_target_that_says_the_same(tmp_path: Path) -> None:
    path = one("harness", "samples_capitals_repeats_*.jsonl")
    for beside in path.parent.glob("results_*.json"):
        shutil.copy(beside, tmp_path)
    rows = [json.loads(line) for line in lines(path)]
    for row in rows:
        row |= {"filtered_resps": row["filtered_resps"][0][:1], "exact_match": 1.0}
    copy = tmp_path / path.name
    copy.write_text("".join(json.dumps(row | {"target": row["doc"]["answer"].strip("!")}) + "\n" for row in rows))
    assert [case.correct for case in cases_of(sources.read_source(copy))] == [(True, True, False, True)] * 2
    copy.write_text("".join(json.dumps(row | {"target": "what only its metric knows"}) + "\n" for row in rows))
    with pytest.raises(
        FileFormatError, match="counts the first reply to '0' as right, but it does not equal the target"
    ):
        sources.read_source(copy)
