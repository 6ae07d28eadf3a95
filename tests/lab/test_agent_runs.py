"""Runs of agents that the tools wrote themselves (`recipes/foreign_runs.py`), against what their other files say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mull.bank.sql import SqlBank
from mull.errors import FileFormatError
from mull.files import spool
from mull.files.logs import formats
from mull.files.logs.base import Log
from mull.files.recording import AgentRun, RecordedSample, Recording
from mull.lab import exchange, sources
from mull.lab.metrics import by_problem
from mull.lab.run_summary import cut, own_tests, steps_of, summary
from mull.models.recorded import RecordedModel, sample_of
from mull.types import Finish, ImagePart, Message, Prompt, ToolCall

LOGS = Path(__file__).parents[1] / "data" / "logs"
MINI, OLD, HARBOR = LOGS / "mini-swe-agent", LOGS / "mini-swe-agent-old", LOGS / "harbor"
INSPECT = LOGS / "inspect-agents" / "inspect_agents.eval"
TASKS = ["stats__median-1", "text__slug-2"]


def log_of(path: Path) -> Log:
    log = formats.read(path)
    assert log is not None
    return log


def runs(path: Path) -> dict[tuple[str, str], RecordedSample]:
    """The runs of a log by task and name."""
    found = {}
    for one in log_of(path).recordings:
        for sample in one.samples:
            assert sample.run is not None
            found[one.id, sample.run.name] = sample
    return found


def the_run(sample: RecordedSample) -> AgentRun:
    assert sample.run is not None
    return sample.run


def changed(tmp_path: Path, path: Path, change: Any) -> Path:
    content = json.loads(path.read_text())
    change(content)
    target = tmp_path / path.name
    target.write_text(json.dumps(content))
    return target


def test_trajectories_are_draws_of_their_tasks_with_the_harness_as_the_verdict() -> None:
    (group,) = sources.read_source(MINI).groups.values()
    assert [one.id for one in group.recordings] == TASKS
    for task, one in zip(TASKS, group.recordings, strict=True):
        assert one.prompt is not None
        assert one.prompt.startswith("median([1, 2, 3, 4])" if task == TASKS[0] else "slug('Hello,")
        for number, sample in enumerate(one.samples, 1):
            attempt = MINI / f"run-{number}"
            assert sample.text == json.loads((attempt / "preds.json").read_text())[task]["model_patch"]
            (report,) = attempt.glob("*.run-*.json")
            assert sample.correct is (task in json.loads(report.read_text())["resolved_ids"])
            told = json.loads((attempt / task / f"{task}.traj.json").read_text())
            used = [m["extra"]["response"]["usage"]["completion_tokens"] for m in told["messages"] if "tool_calls" in m]
            assert sample.output_tokens == sum(used)
            assert the_run(sample).ended == told["info"]["exit_status"]
        assert [s.finish for s in one.samples] == [Finish.STOP, Finish.STOP, Finish.LENGTH, Finish.ERROR]
        assert one.correct == (True, False, False, False)


def test_the_runs_own_tests_are_scores_and_the_gap_is_that_of_a_choice_by_them() -> None:
    source = sources.read_source(MINI)
    (group,) = source.groups.values()
    assert [one.scores for one in group.recordings] == [(1.0, 0.0, None, None)] * 2
    assert any("verdicts of the runs' own tests, which 4 of 8 runs have" in note for note in source.notes)
    measured = by_problem(group.recordings, [4])
    assert measured["coverage"].tolist() == [[1.0], [1.0]]
    assert measured["best"].tolist() == [[1.0], [1.0]], "the run that passed its own tests is the right one"


def test_turns_hold_tool_calls_and_their_results() -> None:
    sample = runs(MINI / "run-1")[TASKS[1], f"{TASKS[1]}/{TASKS[1]}.traj.json"]
    look, shown, *rest = the_run(sample).turns
    assert look == Message(
        "assistant", "I look at the program.", (ToolCall("call_0", "bash", '{"command": "cat slug.py"}'),)
    )
    assert shown.role == "tool"
    assert shown.tool_call_id == "call_0"
    assert "<returncode>0</returncode>" in shown.text
    assert rest[-1].role == "assistant", "the turn that repeats the submission is none of the run"
    drawn = sample_of(Prompt.user("q"), sample)
    assert [call.id for call in drawn.tool_calls] == [f"call_{i}" for i in range(5)]


def test_the_first_release_has_its_commands_in_the_text() -> None:
    for kind, passed in (("right", True), ("wrong", False)):
        path = OLD / f"{kind}.traj.json"
        (one,) = log_of(path).recordings
        (sample,) = one.samples
        assert sample.text == json.loads(path.read_text())["info"]["submission"]
        assert one.prompt is not None
        assert (one.prompt[:22], one.prompt[-23:]) == ("median([1, 2, 3, 4]) g", "mean of the middle two.")
        steps = steps_of(the_run(sample))
        assert steps[0].command == "cat stats.py"
        assert steps[0].code == 0
        tests = own_tests(the_run(sample))
        assert tests is not None
        assert (tests.passed, tests.step) == (passed, 3)
    (one,) = log_of(OLD).recordings
    assert one.n == 2, "a task without a name is the same where its question is"


def test_without_a_report_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no verdicts: put the report of SWE-bench's harness"):
        sources.read_source(OLD)
    shutil.copytree(MINI, tmp_path / "runs")
    for number in (1, 2):
        (report,) = (tmp_path / "runs" / f"run-{number}").glob("*.run-*.json")
        report.unlink()
    source = sources.read_source(tmp_path / "runs")
    (group,) = source.groups.values()
    assert [one.n for one in group.recordings] == [2, 2]
    assert any("4 runs have no verdict and are left out" in note for note in source.notes)


def test_reports_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    shutil.copytree(MINI / "run-1", tmp_path / "run")
    (tmp_path / "run" / "other.json").write_text(json.dumps({"resolved_ids": [], "unresolved_ids": [TASKS[0]]}))
    with pytest.raises(FileFormatError, match=f"counts {TASKS[0]!r} as resolved and other.json does not"):
        sources.read_source(tmp_path / "run")


def test_a_template_around_the_task_is_left_out_only_where_it_is_found(tmp_path: Path) -> None:
    def other(log: Any) -> None:
        log["messages"][1]["content"] = "Do it."

    def image(log: Any) -> None:
        url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        log["messages"][3]["content"] = [{"type": "text", "text": "seen"}, url]

    path = MINI / "run-1" / TASKS[0] / f"{TASKS[0]}.traj.json"
    assert log_of(changed(tmp_path, path, other)).recordings[0].prompt == "Do it."
    (sample,) = log_of(changed(tmp_path, path, image)).recordings[0].samples
    assert ImagePart("data:image/png;base64,AA==") in the_run(sample).turns[1].content


def test_replies_of_the_responses_api_are_read(tmp_path: Path) -> None:
    def responses(log: Any) -> None:
        call = {"type": "function_call", "call_id": "c", "name": "bash", "arguments": '{"command": "ls"}'}
        said = {"type": "message", "content": [{"type": "output_text", "text": "I look."}]}
        reply = {"object": "response", "output": [said, call], "usage": {"output_tokens": 7}, "extra": {}}
        back = {"type": "function_call_output", "call_id": "c", "output": "a.py", "extra": {"returncode": 0}}
        log["messages"] = [*log["messages"][:2], reply, back]

    path = MINI / "run-1" / TASKS[0] / f"{TASKS[0]}.traj.json"
    (sample,) = log_of(changed(tmp_path, path, responses)).recordings[0].samples
    assert the_run(sample).turns == (
        Message("assistant", "I look.", (ToolCall("c", "bash", '{"command": "ls"}'),)),
        Message("tool", "<returncode>0</returncode>\na.py", tool_call_id="c"),
    )
    assert sample.output_tokens == 7


def test_trials_of_harbor_are_draws_with_the_reward_as_the_verdict() -> None:
    found = runs(HARBOR)
    assert sorted(found) == [(task, f"{task}__{i}") for task in TASKS for i in range(1, 5)]
    for (_, name), sample in found.items():
        reward = HARBOR / name / "verifier" / "reward.txt"
        assert sample.correct is (float(reward.read_text()) == 1 if reward.is_file() else None)
        made = json.loads((HARBOR / name / "agent" / "trajectory.json").read_text())
        assert sample.output_tokens == made["final_metrics"]["total_completion_tokens"]
        assert len(the_run(sample).tool_calls) == sum(len(step.get("tool_calls") or []) for step in made["steps"])
    source = sources.read_source(HARBOR)
    (group,) = source.groups.values()
    assert [one.correct for one in group.recordings] == [(True, False, False)] * 2
    assert any("2 runs have no verdict and are left out" in note for note in source.notes)


def test_a_trajectory_in_a_trial_is_that_trial_and_alone_it_has_no_verdict(tmp_path: Path) -> None:
    trial = HARBOR / f"{TASKS[0]}__1"
    inside, result = runs(trial / "agent" / "trajectory.json"), runs(trial / "result.json")
    assert [s.correct for s in inside.values()] == [s.correct for s in result.values()] == [True]
    shutil.copy(trial / "agent" / "trajectory.json", tmp_path)
    with pytest.raises(FileFormatError, match="no rewards: give the folder of the trials"):
        sources.read_source(tmp_path / "trajectory.json")


@pytest.mark.parametrize("minor", range(9))
def test_all_versions_of_atif_are_read(tmp_path: Path, minor: int) -> None:
    path = HARBOR / f"{TASKS[0]}__1" / "agent" / "trajectory.json"
    alone = changed(tmp_path, path, lambda log: log.update(schema_version=f"ATIF-v1.{minor}"))
    (sample,) = log_of(alone).recordings[0].samples
    assert len(the_run(sample).tool_calls) == 5


def altered_trial(tmp_path: Path, change: Any) -> Path:
    """A folder of one trial whose result is changed."""
    trial = tmp_path / "job" / "trial"
    shutil.copytree(HARBOR / f"{TASKS[0]}__1", trial)
    result = json.loads((trial / "result.json").read_text())
    change(result)
    (trial / "result.json").write_text(json.dumps(result))
    return tmp_path / "job"


@pytest.mark.parametrize(
    ("rewards", "is_right"),
    [({"reward": 1}, True), ({"reward": 0.5}, False), ({"style": 0, "reward": 1.0}, True), ({}, None), (None, None)],
)
def test_only_a_whole_reward_is_right(tmp_path: Path, rewards: Any, is_right: bool | None) -> None:
    job = altered_trial(tmp_path, lambda result: result.update(verifier_result={"rewards": rewards}))
    assert [sample.correct for sample in runs(job).values()] == [is_right]


@pytest.mark.parametrize(
    ("rewards", "why"),
    [({"a": 1, "b": 1}, "none is called `reward`"), ({"reward": 3}, "the reward 3 is not between 0 and 1")],
)
def test_rewards_that_say_no_verdict_are_refused(tmp_path: Path, rewards: Any, why: str) -> None:
    job = altered_trial(tmp_path, lambda result: result.update(verifier_result={"rewards": rewards}))
    with pytest.raises(FileFormatError, match=why):
        log_of(job)


def test_a_reward_that_an_error_made_void_is_no_verdict_and_a_timeout_is_the_end_of_a_run(tmp_path: Path) -> None:
    def void(result: Any) -> None:
        result.update(reward_valid=False, exception_info={"exception_type": "ApiError"})

    (sample,) = runs(altered_trial(tmp_path / "a", void)).values()
    assert (sample.correct, sample.finish, sample.text) == (None, Finish.ERROR, "")

    def late(result: Any) -> None:
        result.update(exception_info={"exception_type": "AgentTimeoutError"})

    (sample,) = runs(altered_trial(tmp_path / "b", late)).values()
    assert (sample.correct, sample.finish) == (True, Finish.LENGTH)


def test_a_continued_trajectory_is_read_on_and_nothing_outside_the_trial(tmp_path: Path) -> None:
    job = altered_trial(tmp_path, lambda result: None)
    path = job / "trial" / "agent" / "trajectory.json"
    whole = json.loads(path.read_text())
    more = {**whole, "steps": [{**step, "is_copied_context": i < 3} for i, step in enumerate(whole["steps"])]}
    (path.parent / "trajectory.cont-1.json").write_text(json.dumps(more))
    path.write_text(json.dumps({**whole, "continued_trajectory_ref": "trajectory.cont-1.json"}))
    (sample,) = runs(job).values()
    assert len(the_run(sample).tool_calls) == 5 + 5 - 1, "the first call is copied"
    (tmp_path / "secret.json").write_text(json.dumps(whole))
    for ref in ("../../../secret.json", str(tmp_path / "secret.json"), "trajectory.json"):
        path.write_text(json.dumps({**whole, "continued_trajectory_ref": ref}))
        (sample,) = runs(job).values()
        assert len(the_run(sample).tool_calls) == 5, ref

    def outside(result: Any) -> None:
        result["step_results"] = [{"step_name": "../../.."}]

    job = altered_trial(tmp_path / "steps", outside)
    (tmp_path / "steps" / "agent").mkdir()
    (tmp_path / "steps" / "agent" / "trajectory.json").write_text(json.dumps(whole))
    (sample,) = runs(job).values()
    assert the_run(sample).turns == ()


def test_agents_of_inspect_keep_their_turns() -> None:
    found = runs(INSPECT)
    for task in TASKS:
        right, wrong, limited = (found[task, f"{task}, epoch {epoch}"] for epoch in (1, 2, 3))
        assert [s.correct for s in (right, wrong, limited)] == [True, False, False]
        assert [s.finish for s in (right, wrong, limited)] == [Finish.STOP, Finish.STOP, Finish.LENGTH]
        assert the_run(limited).ended == "message limit"
        tests = [own_tests(the_run(sample)) for sample in (right, wrong)]
        assert [one and one.passed for one in tests] == [True, False]
        assert right.output_tokens == runs(MINI / "run-1")[task, f"{task}/{task}.traj.json"].output_tokens


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.traj.json", {"info": {}, "messages": [], "trajectory_format": "mini-swe-agent-3"}, "'mini-swe-agent-3'"),
        ("a.traj.json", {"info": {}, "messages": 1, "trajectory_format": "mini-swe-agent-1"}, "is unknown"),
        ("a.traj", {"trajectory": [], "info": {}, "history": []}, "a trajectory of SWE-agent, which is not read"),
        ("trajectory.json", {"schema_version": "ATIF-v2.0", "agent": {}, "steps": []}, "known: ATIF-v1.0 to ATIF-v1.8"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str, content: Any, why: str) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=why):
        formats.read(tmp_path / name)


def test_a_folder_with_runs_of_two_tools_is_refused(tmp_path: Path) -> None:
    shutil.copytree(MINI / "run-1", tmp_path / "a")
    shutil.copytree(HARBOR / f"{TASKS[0]}__1", tmp_path / "b")
    with pytest.raises(FileFormatError, match="holds logs of mini-swe-agent and Harbor"):
        formats.read(tmp_path)


HOSTILE: list[Any] = [None, 7, "x", [], {}, [None], [7], {"role": 7}, [[]], True, 1e400, "\ud800", {"type": []}]


@pytest.mark.parametrize("junk", HOSTILE, ids=repr)
def test_junk_in_any_place_is_refused_or_read_and_never_fails(tmp_path: Path, junk: Any) -> None:
    """Every value of a trajectory and of a trial is replaced in turn."""
    for source in (MINI / "run-1" / TASKS[0] / f"{TASKS[0]}.traj.json", HARBOR / f"{TASKS[0]}__1" / "result.json",
                   HARBOR / f"{TASKS[0]}__1" / "agent" / "trajectory.json"):  # fmt: skip
        whole = json.loads(source.read_text())
        for key in [*whole, "info/exit_status", "info/submission", "info/config", "messages/2", "messages/3",
                    "messages/2/tool_calls", "messages/2/content", "messages/2/extra", "steps/2", "steps/2/tool_calls",
                    "steps/2/observation", "steps/2/message", "verifier_result/rewards"]:  # fmt: skip
            content = json.loads(source.read_text())
            place: Any = content
            *way, last = [int(part) if part.isdigit() else part for part in key.split("/")]
            if way and way[0] not in content:
                continue
            for part in way:
                place = place[part]
            place[last] = junk
            path = tmp_path / source.name
            path.write_text(json.dumps(content))
            try:
                log = formats.read(path)
            except FileFormatError:
                continue
            for one in log.recordings if log else ():
                for sample in one.samples:
                    assert summary(sample)


def test_runs_survive_a_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", 1)
    recordings = log_of(MINI).recordings
    kept = spool.Spool(recordings).done()
    assert isinstance(kept, spool.Spool)
    assert list(kept) == recordings


def test_runs_are_imported_into_a_bank_and_drawn_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(MINI, folder)
    bank = SqlBank(f"sqlite:///{tmp_path}/bank.db")
    assert exchange.take_in(bank, folder, exchange.Filing()).draws == 8
    assert exchange.take_in(bank, folder, exchange.Filing()).already == 8
    bank.close()
    before = RecordedModel(str(folder)).identity
    (folder / "run-1" / TASKS[0] / f"{TASKS[0]}.traj.json").write_text(
        (folder / "run-2" / TASKS[0] / f"{TASKS[0]}.traj.json").read_text()
    )
    assert RecordedModel(str(folder)).identity != before


def test_a_cut_says_so_and_keeps_both_ends() -> None:
    text = "".join(f"{i:05d}" for i in range(1000))
    short = cut(text, 400)
    assert len(short) == 400
    assert short.startswith("00000")
    assert short.endswith("00999")
    assert "[... 5,000 characters, cut here to 400 ...]" in short
    assert cut(text, 5000) == text


def test_a_summary_fits_and_holds_no_verdict() -> None:
    for path in (MINI, HARBOR, INSPECT):
        for sample in runs(path).values():
            for most in (500, 900, 6000):
                told = summary(sample, most)
                assert len(told) <= most
                assert summary(sample._replace(correct=not sample.correct), most) == told


def test_a_long_result_is_cut_and_the_steps_still_shown() -> None:
    calls = tuple(ToolCall(str(i), "bash", json.dumps({"command": f"echo {i}"})) for i in range(400))
    run = AgentRun("r", "agent 1", tuple(Message("assistant", "", (call,)) for call in calls))
    told = summary(RecordedSample("x" * 100_000, run=run), 4000)
    assert len(told) <= 4000
    assert told.count("cut here to") == 2
    assert "1. bash: echo 0" in told
    assert "400. bash: echo 399" in told


def run_of(*steps: tuple[str, str]) -> AgentRun:
    turns = []
    for i, (command, output) in enumerate(steps):
        call = ToolCall(str(i), "bash", json.dumps({"command": command}))
        turns += [Message("assistant", "", (call,)), Message("tool", output, tool_call_id=str(i))]
    return AgentRun("r", "agent 1", tuple(turns))


@pytest.mark.parametrize(
    ("command", "output", "verdict"),
    [
        ("pytest -q", "3 passed in 0.02s", True),
        ("cd /testbed && python -m pytest tests | tail -5", "==== 1 failed, 2 passed in 1.10s ====", False),
        ("python3 -m unittest 2>&1", "Ran 2 tests in 0.0s\n\nOK", True),
        ("python tests/runtests.py forms", "FAILED (failures=1, errors=2)", False),
        ("./manage.py test", "OK (skipped=3)", True),
        ("go test ./...", "ok  \texample.com/x\t0.1s", True),
        ("go test ./...", "--- FAIL: TestX (0.00s)\nFAIL", False),
        ("cargo test", "test result: FAILED. 1 passed; 1 failed", False),
        ("npm test", "Tests:       1 failed, 4 passed, 5 total", False),
        ("npx vitest run", "     Tests  4 passed (4)", True),
        ("make test", "<returncode>2</returncode>", False),
        ("make check", "<returncode>0</returncode>", True),
        ("make check | tail", "<returncode>0</returncode>", None),
        ("TERM=dumb timeout 60 pytest", "<returncode>1</returncode>\nsegfault", False),
        ("pip install pytest", "<returncode>0</returncode>", None),
        ("cat > t.sh <<'EOF'\npytest\nEOF\n", "<returncode>0</returncode>", None),
        ("echo pytest", "3 passed in 0.02s", None),
        ("pytest", "collected 0 items", None),
    ],
)
def test_the_verdict_of_own_tests_is_read_from_the_runner(command: str, output: str, verdict: bool | None) -> None:
    found = own_tests(run_of((command, output)))
    assert (None if found is None else found.passed) is verdict


def test_commands_that_share_their_output_are_one_step_and_others_have_their_own() -> None:
    typed = [
        ToolCall(str(i), "bash_command", json.dumps({"keystrokes": keys}))
        for i, keys in enumerate(("ls\n", "pytest\n"))
    ]
    shared = AgentRun(
        "r", "terminus-2", (Message("assistant", "I go.", tuple(typed)), Message("tool", "2 passed in 0.1s"))
    )
    (step,) = steps_of(shared)
    assert step == ("I go.", "bash_command", "ls\n\npytest\n", "2 passed in 0.1s")
    tests = own_tests(shared)
    assert tests is not None
    assert tests.passed
    back = Message("tool", "second", tool_call_id="1"), Message("tool", "first", tool_call_id="0")
    told = AgentRun("r", "a", (Message("assistant", "", typed), *back))
    assert [step.output for step in steps_of(told)] == ["first", "second"]


def test_the_last_tests_count() -> None:
    found = own_tests(run_of(("pytest", "1 failed in 0.1s"), ("sed -i s/a/b/ x", ""), ("pytest", "1 passed in 0.1s")))
    assert found is not None
    assert (found.passed, found.step) == (True, 3)


def test_samples_without_runs_are_left_as_they_were() -> None:
    one = Recording("a", samples=(RecordedSample("x", "1", True),))
    assert spool.Spool([one]).done()[0] == one
