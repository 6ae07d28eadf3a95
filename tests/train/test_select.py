"""Choosing traces to fine-tune on: what each criterion of s1 leaves, and in which proportions."""

import random
from collections import Counter
from pathlib import Path

import pytest

from mull.errors import UsageError
from mull.files.output import write_lines
from mull.files.recording import RecordedSample, Recording
from mull.files.records import read_recordings
from mull.train.select import criteria_of, domain_of, rows_of, select
from mull.types import Finish


def problem(id: str, *samples: RecordedSample) -> Recording:
    return Recording(id, prompt=f"question {id}", gold="7", samples=samples)


def trace(length: int, correct: bool | None = True, finish: Finish | None = None, text: str = "") -> RecordedSample:
    return RecordedSample(text or f"reply of {length}", correct=correct, output_tokens=length, finish=finish)


def test_quality_leaves_whole_replies_that_are_not_wrong_once_each() -> None:
    recordings = [
        problem("a", trace(5), trace(5), trace(6, correct=None), trace(7, correct=False)),
        problem("b", trace(5, finish=Finish.LENGTH), trace(6, finish=Finish.ERROR), trace(7, finish=Finish.STOP)),
        problem("c", trace(5, text="  ")),
    ]
    found = select(recordings, 10, ["quality"], seed=0)
    assert sorted((one.recording.id, one.length) for one in found.traces) == [("a", 5), ("a", 6), ("b", 7)]
    assert found.left == [("traces", 8), ("quality", 3), ("chosen", 3)]


def test_difficulty_drops_what_the_weaker_model_mostly_solves() -> None:
    recordings = [problem(name, trace(5)) for name in ("solved", "half", "hard", "unknown")]
    weak = [
        problem("solved", trace(1), trace(1), trace(1, correct=False)),
        problem("half", trace(1), trace(1, correct=False)),
        problem("hard", trace(1, correct=False), trace(1, correct=None)),
    ]
    found = select(recordings, 10, ["difficulty"], 0, weak)
    assert {one.recording.id for one in found.traces} == {"half", "hard", "unknown"}
    own = [problem("easy", trace(5), trace(6)), problem("odd", trace(7), trace(8, correct=False))]
    assert {one.recording.id for one in select(own, 9, ["difficulty"], 0).traces} == {"odd"}
    for weaker in ((), [problem("x", trace(1, correct=None))]):
        with pytest.raises(UsageError, match=r"no verdicts.*--weak"):
            select([problem("a", trace(5, correct=None))], 1, ["difficulty"], 0, weaker)


def test_diversity_takes_domains_alike_and_long_traces_first() -> None:
    """One domain of 300 problems and one of 20: of 40 traces about half are of each, as far as there are problems."""
    rng = random.Random(2)
    many = [problem(f"many/{i}", trace(rng.randint(10, 500))) for i in range(300)]
    few = [problem(f"few/{i}", trace(rng.randint(10, 500))) for i in range(20)]
    counts: Counter[str] = Counter()
    lengths = []
    for seed in range(50):
        chosen = select([*many, *few], 20, ["diversity"], seed).traces
        assert len({one.recording.id for one in chosen}) == 20
        counts.update(one.domain for one in chosen)
        lengths += [one.length for one in chosen if one.domain == "many"]
    # 1,000 fair choices between two domains: 5 standard deviations are 79, beyond which chance goes once in a million.
    assert abs(counts["few"] - 500) < 79
    longest = sorted((one.samples[0].output_tokens or 0 for one in many), reverse=True)
    assert min(lengths) > longest[60], "about ten of 300 are taken, near the top"


def test_a_problem_is_chosen_again_only_when_all_have_been() -> None:
    recordings = [problem(f"d/{i}", trace(10 + i), trace(20 + i), trace(30 + i)) for i in range(4)]
    chosen = select(recordings, 10, ["diversity"], 3).traces
    for first in (0, 4):
        assert len({one.recording.id for one in chosen[first : first + 4]}) == 4
    assert len({(one.recording.id, one.length) for one in chosen}) == 10
    assert len(select(recordings, 99, ["diversity"], 3).traces) == 12


def test_baselines_are_random_longest_and_all() -> None:
    recordings = [problem(f"p{i}", trace(i + 1)) for i in range(50)]
    assert [one.length for one in select(recordings, 3, ["longest"], 0).traces] == [50, 49, 48]
    assert len(select(recordings, 3, ["all"], 0).traces) == 50
    one, same, other = ([t.length for t in select(recordings, 9, ["random"], seed).traces] for seed in (1, 1, 2))
    assert one == same != other


def test_criteria_are_read_and_mistakes_named() -> None:
    assert criteria_of("quality, diversity,quality") == ("quality", "diversity")
    assert criteria_of("longest") == ("longest",)
    for text, why in (("", "choose by"), ("random,quality", "choose by"), ("dificulty", "did you mean 'difficulty'")):
        with pytest.raises(UsageError, match=why):
            criteria_of(text)
    with pytest.raises(UsageError, match="traces 1, quality 0; leave out"):
        select([problem("a", trace(5, correct=False))], 5, ["quality"], 0)
    assert domain_of("chain:ops=3,split=train/0/17") == "chain:ops=3,split=train"
    assert domain_of("p17") == ""


def test_chosen_traces_are_recorded_samples_again(tmp_path: Path) -> None:
    recordings = [problem("a/1", trace(5), trace(6, correct=None)), problem("a/2", trace(7))]
    chosen = select(recordings, 9, ["all"], 0).traces
    write_lines(tmp_path / "chosen.jsonl", rows_of(chosen))
    found = read_recordings(tmp_path / "chosen.jsonl")
    told = [(one.id, one.prompt, one.gold, s.text, s.correct, s.output_tokens) for one in found for s in one.samples]
    assert told == [
        (one.id, one.prompt, one.gold, s.text, s.correct, s.output_tokens) for one in recordings for s in one.samples
    ]
