"""A trace has every draw, score and decision of a run, changes nothing, and comes back from its file as it was."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from mull import MemoryBank, Pair, Preference, spec
from mull.errors import FileFormatError
from mull.replies.answers import answer_of
from mull.report.trace import timeline
from mull.run.trace import DrawEvent, NoteEvent, ScoreEvent, Trace, TraceFile, is_trace, read, write
from mull.strategies.compose import Cascade
from mull.strategies.parallel import Majority, Single
from mull.testing import PROBLEM, FakeModel, FakeVerifier, fake_run, solve


def traced(strategy: str, **options: object) -> TraceFile:
    trace = Trace(PROBLEM)
    run = fake_run(trace=trace, **options)  # type: ignore[arg-type]
    outcome = solve(spec.strategy(strategy), run)
    return trace.file(
        outcome, answers=[answer_of(PROBLEM, s) for s in outcome.candidates], model="fake", strategy=strategy,
        verifier="fake-verifier", judge=None, seed=0, params=run.params, budget=asdict(run.budget), spent=run.spent,
        fresh=run.fresh, made_by={"mull": "1.2.3"},
    )  # fmt: skip


STRATEGIES = ["majority:n=5", "beam:n=8,width=4", "lookahead:n=4,width=2", "particles:n=6", "mcts:n=8", "rebase:n=8"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_draw_and_score_is_there_once(strategy: str) -> None:
    model = FakeModel()
    file = traced(strategy, model=model)
    draws = [event for event in file.events if isinstance(event, DrawEvent)]
    assert [event.id for event in draws] == list(range(len(draws)))
    made = Counter((prompt.prefix, draw.number, draw.seed) for prompt, _, draw in model.seen)
    assert Counter((event.prefix, event.draw, event.seed) for event in draws) == made
    assert sum(event.cost.output_tokens or 0 for event in draws) == file.spent.output_tokens
    verdicts = [scored for event in file.events if isinstance(event, ScoreEvent) for scored in event.scores]
    assert sum(scored.cost.verifier_tokens or 0 for scored in verdicts) == file.spent.verifier_tokens
    assert all(scored.id is not None for scored in verdicts)
    assert [event.at for event in file.events] == sorted(event.at for event in file.events)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_trace_changes_nothing(strategy: str) -> None:
    assert solve(spec.strategy(strategy), fake_run(trace=Trace(PROBLEM))) == solve(spec.strategy(strategy), fake_run())


def test_each_draw_names_its_model_and_the_page_says_where_it_is_another() -> None:
    """A draw that a later stage reuses is there once, under the model that made it."""
    trace = Trace(PROBLEM)
    run = fake_run(trace=trace)
    inner = Cascade(Majority(3), Majority(6), bar=1)
    outcome = solve(Cascade(Single(), inner, FakeModel(label="other"), bar=1), run)
    draws = [event for event in trace.events if isinstance(event, DrawEvent)]
    assert Counter(event.model for event in draws) == {"fake": 1, "other": len(outcome.candidates) - 1}
    shown = [what for _, what, _ in timeline(trace.events)]
    assert "draw 0 of its question on fake" in shown
    assert "draw 0 of its question on other" in shown


def test_decisions_name_the_draws_they_are_about() -> None:
    file = traced("beam:n=8,width=4")
    notes = [event for event in file.events if isinstance(event, NoteEvent)]
    kept = {i for note in notes if note.what == "kept" for i in note.draws}
    pruned = {i for note in notes if note.what == "pruned" for i in note.draws}
    assert kept
    assert pruned
    assert not kept & pruned
    assert all(isinstance(i, int) for i in kept | pruned)
    steps = [note for note in notes if note.what == "step"]
    assert steps[0].details["parent"] is None
    assert {note.details["parent"] for note in steps[1:]} <= kept
    (selected,) = [note for note in notes if note.what == "selected"]
    assert selected.draws == [file.best]
    assert selected.details["answer"] == file.answer
    assert file.best in [candidate.id for candidate in file.candidates]


def test_what_came_from_the_bank_is_said() -> None:
    bank = MemoryBank()
    first, second = traced("majority:n=4", bank=bank), traced("majority:n=6", bank=bank)
    assert [e.is_banked for e in first.events if isinstance(e, DrawEvent)] == [False] * 4
    assert [e.is_banked for e in second.events if isinstance(e, DrawEvent)] == [True] * 4 + [False] * 2
    assert second.fresh.calls == 2


def test_equal_texts_are_different_draws() -> None:
    trace = Trace(PROBLEM)
    run = fake_run(trace=trace)
    outcome = solve(spec.strategy("majority:n=12"), run)
    assert len({trace.id_of(sample) for sample in outcome.candidates}) == 12


def test_preferences_are_told_too() -> None:
    trace = Trace(PROBLEM)
    run = fake_run(trace=trace)
    first, second = solve(spec.strategy("majority:n=2"), run).candidates
    trace.prefer("judge", [Pair(second, first)], [Preference(0.75, why="clearer")])
    event = trace.events[-1]
    assert event.event == "prefer"
    assert [(p.first, p.second, p.value, p.why) for p in event.pairs] == [(1, 0, 0.75, "clearer")]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_comes_back_from_its_file(strategy: str, tmp_path: Path) -> None:
    file = traced(strategy)
    write(tmp_path / "trace.json", file)
    assert is_trace(tmp_path / "trace.json")
    assert read(tmp_path / "trace.json") == file


def test_the_file_says_first_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "trace.json", traced("majority:n=2"))
    assert list(json.loads((tmp_path / "trace.json").read_text()))[:2] == ["format", "version"]


def damaged(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "trace.json"
    write(path, traced("majority:n=2"))
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_a_trace_of_another_version_is_said_with_the_way_out(tmp_path: Path) -> None:
    path = damaged(tmp_path, version=99)
    assert is_trace(path)
    with pytest.raises(FileFormatError, match=r"version 99, and this mull reads version 1: .*\(1\.2\.3\), or make it"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"events": [{"event": "draw"}]}, r"a damaged trace: events\.0"),
        ({"events": "many"}, r"a damaged trace: events"),
        ({"tally": None}, r"a damaged trace: tally"),
        ({"format": "something"}, "not a trace: `mull solve"),
    ],
)
def test_a_damaged_trace_is_said_with_the_place(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read(damaged(tmp_path, **changes))


def test_what_is_no_trace_is_said(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"format": "mull-trace", "version": 1, "ev')
    with pytest.raises(FileFormatError, match="line 1: not JSON"):
        read(tmp_path / "half.json")
    with pytest.raises(FileFormatError, match="there is no such file"):
        read(tmp_path / "none.json")
    assert not is_trace(tmp_path / "none.json")
    assert not is_trace(tmp_path)


def test_scores_that_are_not_known_say_why() -> None:
    verdicts = [
        s for event in traced("best:n=40", verifier=FakeVerifier()).events if isinstance(event, ScoreEvent)
        for s in event.scores
    ]  # fmt: skip
    unknown = [s for s in verdicts if s.value is None]
    assert unknown
    assert {s.why for s in unknown} == {"the fake verifier was told not to know"}
