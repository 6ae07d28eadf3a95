"""Thoughts that end when probes agree, on a model that writes a script word by word, and on nano."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mull import AnswerKind, Budget, Finish, Outcome, Params, Problem, Prompt, Run, Sample, Stopped, UsageError, spec
from mull.errors import UnknownNameError
from mull.models.embedded import Nano
from mull.models.recorded import RecordedModel
from mull.strategies.probe import ProbeStop, agree, certaindex, hedged
from mull.testing import FakeModel, solve
from mull.types import Cost, Draw

NUMBER = Problem("p", Prompt.user("How many?"), AnswerKind.NUMBER)
CHAIN = Problem("chain", Prompt.user("b:a+45;a:9;c:b-30;c?"), AnswerKind.NUMBER)
CLOSE = "</think>"


@dataclass
class Thinker(FakeModel):
    """Thinks `thought`, a word a token; once the thought is closed it says `answers(words thought so far)`."""

    thought: str = "one two three four five six seven eight"
    answers: Callable[[int], str] = lambda n: "7"
    asked: list[str] = field(default_factory=list)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return Cost(1, 5, params.max_tokens, 0, 0, 1.0, 0.0, 0.0)

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        before, closed, _ = prompt.prefix.partition(CLOSE)
        n_before = len(before.replace("<think>", "").split())
        if closed:
            self.asked.append(prompt.prefix)
            words = [" " + word for word in self.answers(n_before).split(" ")]
        else:
            left = self.thought.split()[n_before:]
            words = [("" if prompt.prefix else "<think>\n"), *[word + " " for word in left], f"\n{CLOSE}"]
            words = [words[0] + words[1], *words[2:]]
        is_cut = len(words) > params.max_tokens
        words = words[: params.max_tokens]
        text, finish = "".join(words), Finish.LENGTH if is_cut else Finish.STOP
        if any(stop in text for stop in params.stop):
            text, finish = text.partition(CLOSE)[0], Finish.STOP_STRING
        return Sample(prompt, text, finish, Cost(1, 5, len(words), 0, 0, 1.0, 0.0, 0.0), draw.number, draw.seed)


def thought_of(model: Thinker, strategy: ProbeStop, budget: Budget | None = None) -> tuple[Outcome, Run]:
    run = Run(model, params=Params(max_tokens=40), budget=budget)
    return solve(strategy, run, NUMBER), run


def test_certainty_of_answers() -> None:
    assert certaindex(["A", "A", "A", "B"]) == pytest.approx(0.59436, abs=1e-5)
    assert certaindex(["A", "A"]) == 1.0
    assert certaindex(["A", "B", None]) == pytest.approx(0.0)
    assert certaindex([None]) is None


def test_hedges_are_words_and_not_parts_of_words() -> None:
    for text in ("No, 7", "7. Wait", "hmm 7", "okay: 7"):
        assert hedged(text, "wait|hold|but|okay|no|hmm")
    for text in ("7, now", "I know: 7", "a button", "waiting", "holder"):
        assert not hedged(text, "wait|hold|but|okay|no|hmm")
    assert not hedged("wait", "")


def test_agreement_needs_all_of_the_last_answers() -> None:
    assert agree([None, "7", "7"], 2)
    assert not agree(["7"], 2)
    assert not agree(["7", "8"], 2)
    assert not agree(["7", None], 2)
    assert not agree([None, None], 2)


def test_it_ends_when_the_last_k_probes_agree_and_probes_are_spent() -> None:
    model = Thinker(answers=lambda n: "5" if n < 3 else "7")
    outcome, run = thought_of(model, ProbeStop(k=2, chunk=2, n_answer=8))
    # Probes after 2, 4 and 6 words say 5, 7, 7.
    assert (outcome.answer, outcome.stopped) == ("7", Stopped.EARLY)
    assert (outcome.notes["probes"], outcome.notes["thinking_tokens"]) == (3, 6)
    assert run.spent.output_tokens == 6 + 3
    assert outcome.best is not None
    assert outcome.best.reply.startswith("<think>\none two three four five six \n</think>\nanswer:")


def test_a_thought_whose_answer_keeps_changing_comes_to_its_own_end() -> None:
    outcome, _ = thought_of(Thinker(answers=str), ProbeStop(k=2, chunk=2, n_answer=8))
    assert (outcome.answer, outcome.stopped) == ("8", Stopped.COMPLETE)
    assert outcome.notes["thought_ended_by"] == "model"


def test_a_probe_that_hedges_does_not_count() -> None:
    model = Thinker(answers=lambda n: "7\nWait, no" if n < 5 else "7")
    outcome, _ = thought_of(model, ProbeStop(k=1, chunk=2, n_answer=8))
    assert outcome.notes["thinking_tokens"] == 6
    bold, _ = thought_of(model, ProbeStop(k=1, chunk=2, n_answer=8, hedges=""))
    assert bold.notes["thinking_tokens"] == 2


def test_a_hedge_in_the_thought_counts_where_it_is_watched() -> None:
    model = Thinker(thought="one Wait three four five six")
    calm, _ = thought_of(model, ProbeStop(k=2, chunk=2, n_answer=8))
    careful, _ = thought_of(model, ProbeStop(k=2, chunk=2, n_answer=8, watch="both"))
    assert (calm.notes["thinking_tokens"], careful.notes["thinking_tokens"]) == (4, 6)


def test_an_answer_that_is_cut_is_no_answer_but_one_in_a_closed_box_is() -> None:
    """Cut probes that begin alike agree on nothing."""
    cut, _ = thought_of(Thinker(answers=lambda n: "it is 1 2 3 4"), ProbeStop(k=1, chunk=2, probe=3, n_answer=8))
    assert cut.stopped is Stopped.COMPLETE
    boxed = Thinker(answers=lambda n: "\\boxed{7} and so on")
    outcome, _ = thought_of(boxed, ProbeStop(k=1, chunk=2, probe=2, n_answer=8))
    assert (outcome.answer, outcome.stopped) == ("7", Stopped.EARLY)
    assert outcome.best is not None
    assert outcome.best.text.endswith("so on"), "the answer is drawn to its end"


def test_a_budget_that_ends_in_the_thought_still_has_an_answer() -> None:
    outcome, run = thought_of(Thinker(answers=str), ProbeStop(k=9, chunk=2, probe=3, n_answer=8), Budget(tokens=14))
    assert outcome.answer is not None
    assert (run.spent.tokens or 0) <= 14


def test_a_model_that_cannot_go_on_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"problem_id": "p", "prompt": "How many?", "samples": [{"text": "answer: 7"}]}\n')
    run = Run(RecordedModel(str(path)))
    with pytest.raises(UsageError, match="cannot continue a partial reply"):
        solve(ProbeStop(), run, NUMBER)
    assert run.spent == Cost()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probe-stop:k=0", "k must be at least 1"),
        ("probe-stop:chunk=0", "chunk must be at least 1"),
        ("probe-stop:temperature=-1", "temperature of probes"),
        ("probe-stop:cue=", "cue must not be empty"),
    ],
)
def test_options_that_mean_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec.strategy(text)
    with pytest.raises(UnknownNameError):
        spec.strategy("probe-stop:watch=all")


def test_on_nano_probes_say_what_it_has_derived_so_far() -> None:
    """Agreement is not truth: half way nano answers with its last value, twice the same, and is stopped there."""
    run = Run(Nano(), params=Params(max_tokens=200))
    outcome = solve(ProbeStop(k=2, chunk=8), run, CHAIN)
    assert (outcome.answer, outcome.stopped) == ("9", Stopped.EARLY)
    patient = solve(ProbeStop(k=2, chunk=30), Run(Nano(), params=Params(max_tokens=200)), CHAIN)
    assert patient.answer == "24"
