"""Budget forcing on a model that writes what it is told to, token by token, and on nano."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mull import Budget, Finish, Outcome, Params, Problem, Prompt, Run, Sample, UsageError, spec
from mull.errors import PromptError
from mull.models.embedded import Nano
from mull.run.trace import NoteEvent, Trace
from mull.strategies.force import Force, Tip
from mull.testing import PROBLEM, FakeModel, solve
from mull.types import Cost, Draw
from mull.types.refusals import BIASES, CONTINUES

CHAIN = Problem("chain", Prompt.user("b:a+45;a:9;c:b-30;c?"))


@dataclass
class Writer(FakeModel):
    """Goes on from a prefix with the words of `says(prefix)`, a token each; `~` parts tokens and is not written.

    It has a `context` and counts the tokens of a stop string that it met, as engines do.
    """

    says: Callable[[str], str] = lambda prefix: ""
    context: int = 10_000
    tells_context: bool = True
    asked: list[tuple[str, Params]] = field(default_factory=list)

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        n = 1 + len(tokens(prompt.prefix))
        if self.tells_context and n >= self.context:
            raise PromptError(f"the prompt has {n} tokens")
        room = self.context - n if self.tells_context else params.max_tokens
        return Cost(1, n, min(params.max_tokens, room), 0, 0, 1.0, 0.0, 0.0)

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        self.asked.append((prompt.prefix, params))
        n_prompt = 1 + len(tokens(prompt.prefix))
        if n_prompt >= self.context:
            return Sample(prompt, "", Finish.ERROR, Cost(), draw.number, error="prompt and reply do not fit")
        text, finish, n = "", Finish.STOP, 0
        room = min(params.max_tokens, self.context - n_prompt)
        for token in tokens(self.says(prompt.prefix)):
            if n == room:
                finish = Finish.LENGTH
                break
            n, text = n + 1, text + token
            if cuts := [at for stop in params.stop if (at := text.find(stop)) >= 0]:
                text, finish = text[: min(cuts)], Finish.STOP_STRING
                break
        else:
            n += 1  # the token that ends a reply
            if n > room:
                n, finish = room, Finish.LENGTH
        return Sample(prompt, text, finish, Cost(1, n_prompt, n, 0, 0, 1.0, 0.0, 0.0), draw.number, draw.seed)


def tokens(text: str) -> list[str]:
    """Words with the space before them; `~` parts one."""
    found: list[str] = []
    for piece in text.split("~"):
        start = 0
        for i in range(1, len(piece) + 1):
            if i == len(piece) or piece[i] in " \n":
                found.append(piece[start:i])
                start = i
        found = [token for token in found if token]
    return found


def after(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """What it says where the reply so far ends in such a way, the first that fits."""
    return lambda prefix: next((says for end, says in pairs if prefix.endswith(end)), "")


def force(
    model: FakeModel | Nano, plan: str | Force, problem: Problem = PROBLEM, max_tokens: int = 60, **options: object
):
    run = Run(model, params=Params(0.0, max_tokens), **options)
    strategy = spec.strategy(plan) if isinstance(plan, str) else plan
    return solve(strategy, run, problem), run


def reply(outcome: Outcome) -> str:
    assert outcome.best is not None
    return outcome.best.reply


WAITS = after(
    ("Wait", " no, 5\n</think>"),
    ("</think>", "\nanswer: 5"),
    ("answer:", " 4"),
    ("", "<think>\nso 4\n</think>\nanswer: 4"),
)


def test_without_forcing_the_reply_is_the_models_own() -> None:
    outcome, run = force(Writer(says=WAITS), "force")
    assert reply(outcome) == "<think>\nso 4\n</think>\nanswer: 5"
    assert outcome.notes == {"thinking_tokens": 4, "thought_ended_by": "model", "rounds": 0}
    assert run.spent.calls == 2


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_end_of_a_thought_is_taken_back_so_many_times(n: int) -> None:
    outcome, run = force(Writer(says=WAITS), f"force:wait={n}")
    assert reply(outcome) == "<think>\nso 4\n" + "Wait no, 5\n" * n + "</think>\nanswer: 5"
    assert (outcome.answer, outcome.notes["rounds"]) == ("5", n)
    assert run.spent.calls == n + 2
    # `<think>`, `so`, `4` and the delimiter; `no,`, `5` and the delimiter of each round; `Wait` was not drawn.
    assert outcome.notes["thinking_tokens"] == 4 + 3 * n


def test_every_round_has_what_the_rounds_before_left() -> None:
    """The published harness gives each round the whole budget anew, and cuts the sum at the end."""
    model = Writer(says=WAITS)
    outcome, _ = force(model, "force:wait=9,at_most=12")
    thoughts = [params.max_tokens for _, params in model.asked if params.stop]
    assert thoughts == [12, 8, 5, 2]
    assert outcome.notes["thinking_tokens"] == 12
    assert outcome.notes["thought_ended_by"] == "length"
    assert reply(outcome).endswith("Wait no, 5\n</think>\nanswer: 4"), (
        "cut in its last round, and so asked with the cue"
    )


def test_a_trace_tells_where_a_thought_was_gone_on_with() -> None:
    trace = Trace(PROBLEM)
    force(Writer(says=WAITS), "force:wait=2", trace=trace)
    told = [event for event in trace.events if isinstance(event, NoteEvent)]
    assert [(event.what, event.draws, event.details["string"]) for event in told] == [
        ("gone on", [0], "Wait"),
        ("gone on", [1], "Wait"),
    ]


def test_a_thought_is_cut_closed_and_asked_for_its_answer() -> None:
    outcome, _ = force(Writer(says=WAITS), "force:at_most=2")
    assert reply(outcome) == "<think>\nso\n</think>\nanswer: 4"
    assert outcome.answer == "4"


def test_no_thinking_at_all() -> None:
    outcome, run = force(Writer(says=WAITS), "force:at_most=0")
    assert reply(outcome) == "<think>\n</think>\nanswer: 4"
    assert (outcome.notes["thinking_tokens"], run.spent.calls) == (0, 1)


def test_a_thought_that_is_too_short_goes_on_until_it_is_long_enough() -> None:
    outcome, _ = force(Writer(says=WAITS), "force:at_least=9")
    assert outcome.notes["thinking_tokens"] == 10
    assert outcome.notes["rounds"] == 2


def test_a_model_that_adds_nothing_is_not_asked_for_ever() -> None:
    model = Writer(says=after(("Wait", "\n</think>"), ("</think>", "\nanswer: 4"), ("", "<think>\n4\n</think>")))
    outcome, run = force(model, "force:at_least=20")
    assert outcome.notes["rounds"] == 2
    assert outcome.answer == "4"
    assert run.spent.calls == 4
    outcome, _ = force(model, "force:wait=5")
    assert outcome.notes["rounds"] == 5, "but as often as it was said"


def test_a_delimiter_split_over_tokens_is_put_once() -> None:
    """The budget ends between its tokens, and between those of the next round's."""
    for at_most in (4, 5, 6, 7):
        says = after(("answer:", " 4"), ("</think>", "\nanswer: 9"), ("", "<think>\nso 4\n~</~think~>"))
        outcome, _ = force(Writer(says=says), f"force:at_most={at_most}")
        assert reply(outcome) == "<think>\nso 4\n</think>\nanswer: " + ("9" if at_most == 7 else "4")


def test_a_reply_that_ends_inside_its_thought_is_gone_on_with_and_said() -> None:
    """The model's end-of-reply token comes where its delimiter should."""
    model = Writer(says=after(("Wait", " 5"), ("answer:", " 5"), ("</think>", ""), ("", "<think>\nso 4")))
    outcome, _ = force(model, "force:wait=1")
    assert reply(outcome) == "<think>\nso 4\nWait 5</think>\nanswer: 5"
    assert outcome.notes["warning"] == "fake ended its reply inside the thought, without '</think>'"


def test_an_answer_that_does_not_come_is_asked_for_with_the_cue() -> None:
    model = Writer(says=after(("answer:", " 7"), ("</think>", "\n"), ("", "<think>\nso 7\n</think>")))
    outcome, run = force(model, "force")
    assert reply(outcome) == "<think>\nso 7\n</think>\nanswer: 7"
    assert run.spent.calls == 3


def test_empty_text_and_no_string() -> None:
    """s1's harness looks at the last letter of a thought that may have none."""
    model = Writer(says=after(("answer:", " 1"), ("", "")))
    outcome, _ = force(model, "force:wait=2,string=")
    assert reply(outcome) == "<think>\n</think>\nanswer: 1" or outcome.answer == "1"
    assert "did not begin its reply with '<think>'" in str(outcome.notes["warning"])


def test_a_model_that_writes_no_delimiters_is_said_to() -> None:
    model = Writer(says=after(("answer:", " 3"), ("</think>", "\nanswer: 3"), ("", "so it is 2")))
    outcome, _ = force(model, "force")
    assert "name a family or OPEN...CLOSE with think=" in str(outcome.notes["warning"])
    outcome, _ = force(model, "force:at_most=0")
    assert "warning" not in outcome.notes, "nothing was drawn inside a thought"


def test_the_context_is_not_thought_away() -> None:
    """A thought without end leaves room for its answer, also where rounds fill the context up."""
    model = Writer(says=after(("answer:", " 4"), ("", "<think>" + " so" * 99)), context=30)
    outcome, _ = force(model, "force:n_answer=4", max_tokens=100)
    assert outcome.notes["thought_ended_by"] == "context"
    assert outcome.answer == "4"
    assert outcome.notes["thinking_tokens"] == 30 - 1 - 4 - 3, "the prompt, the answer, its delimiters and cue"
    model = Writer(
        says=after(("answer:", " 4"), ("Wait", " so so so\n</think>"), ("", "<think> so\n</think>")), context=30
    )
    outcome, _ = force(model, "force:wait=99,n_answer=4", max_tokens=100)
    assert outcome.answer == "4"
    assert outcome.notes["thought_ended_by"] == "context"


def test_where_the_server_does_not_tell_its_context_the_thought_is_shortened() -> None:
    model = Writer(says=after(("answer:", " 4"), ("", "<think>" + "\nso" * 99)), context=30, tells_context=False)
    outcome, run = force(model, "force:n_answer=4", max_tokens=100)
    assert outcome.notes["thought_ended_by"] == "context"
    assert outcome.answer == "4"
    assert run.spent.calls == 2, "the request that did not fit had no cost"


def test_what_the_ceilings_leave_is_kept_for_the_answer() -> None:
    model = Writer(says=after(("answer:", " 4"), ("", "<think>" + " so" * 99)))
    outcome, run = force(model, "force:n_answer=5", max_tokens=90, budget=Budget(tokens=20))
    assert outcome.notes["thinking_tokens"] == 15
    assert outcome.notes["thought_ended_by"] == "ceiling"
    assert outcome.answer == "4"
    outcome, run = force(model, "force:wait=3", budget=Budget(calls=1))
    assert (outcome.answer, run.spent.calls, outcome.notes["thinking_tokens"]) == ("4", 1, 0)
    outcome, run = force(model, "force", budget=Budget(calls=0))
    assert (outcome.best, outcome.stopped) == (None, "budget")


def test_a_failed_draw_is_told() -> None:
    @dataclass
    class Failing(Writer):
        def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
            if prompt.prefix.endswith(self.label):
                return Sample(prompt, "", Finish.ERROR, Cost(1), draw.number, error="the server is tired")
            return super()._draw(prompt, params, draw)

    outcome, _ = force(Failing(says=WAITS, label="Wait"), "force:wait=1")
    assert outcome.answer == "4", "from the thought that there is"
    assert outcome.notes["error"] == "the server is tired"
    outcome, _ = force(Failing(says=WAITS, label=""), "force:wait=1")
    assert outcome.answer is None
    assert outcome.best is not None
    assert outcome.best.finish is Finish.ERROR


def test_delimiters_that_the_template_or_the_caller_writes() -> None:
    r1 = Writer(says=after(("</think>", "\n4"), ("Wait", " 4\n</think>"), ("", "so 4\n</think>\n4")))
    outcome, _ = force(r1, "force:wait=1,think=deepseek")
    assert reply(outcome) == "so 4\nWait 4\n</think>\n4"
    assert "warning" not in outcome.notes
    s1 = Writer(
        says=after(("answer", "\n4"), ("Wait", " 4\n<|im_start|>answer"), ("think", "\nso 4\n<|im_start|>answer\n9"))
    )
    outcome, _ = force(s1, "force:wait=1,think=s1")
    assert reply(outcome) == "<|im_start|>think\nso 4\nWait 4\n<|im_start|>answer\n4"
    assert "warning" not in outcome.notes


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("force:at_most=100", r"at_most=100 and 32 tokens for the answer need max_tokens=132, not 60"),
        ("force:at_least=29", r"at_least=29 and 32 tokens .* need max_tokens=61"),
        ("force:n_answer=61", r"max_tokens=60 leaves no room for an answer"),
    ],
)
def test_a_budget_without_room_is_refused_before_anything_is_spent(plan: str, words: str) -> None:
    model = Writer(says=WAITS)
    with pytest.raises(UsageError, match=words):
        force(model, plan)
    assert not model.asked


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("force:at_least=9,at_most=8", "at_least=9 is more than at_most=8"),
        ("force:wait=-1", "wait must be at least 0"),
        ("force:n_answer=1", "n_answer must be at least 2, not 1"),
        ("force:cue=Therefore the final answer is:,n_answer=4", "n_answer must be at least 8"),
        ("force:cue= ", "the cue must not be empty"),
        ("force:think=qwem", "did you mean 'qwen'"),
    ],
)
def test_options_that_make_no_sense_are_refused(plan: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        spec.strategy(plan)


def test_a_model_that_cannot_go_on_with_its_own_text_is_refused() -> None:
    class Stiff(Writer):
        def refuses(self, prompt: Prompt, params: Params) -> str | None:
            return CONTINUES if prompt.prefix else None

    model = Stiff(says=WAITS)
    with pytest.raises(UsageError, match="cannot continue a partial reply"):
        force(model, "force:wait=1")
    assert not model.asked


def test_options_may_be_written_with_dashes_and_come_back() -> None:
    strategy = spec.strategy("force:at-most=20,n-answer=8,string=,think=<a>...</a>")
    assert strategy == Force(at_most=20, n_answer=8, string="", think="<a>...</a>")
    assert spec.strategy(spec.describe(spec.STRATEGIES, strategy)) == strategy


def test_nano_thinks_longer_and_shorter() -> None:
    outcome, run = force(Nano(), "force", CHAIN, 200)
    (plain,) = asyncio.run(Run(Nano(), params=Params(0.0, 200)).draw(CHAIN.prompt))
    assert reply(outcome) == plain.text, "left alone it writes what it writes in one draw"
    outcome, _ = force(Nano(), "force:wait=2", CHAIN, 200)
    assert reply(outcome).count("Wait\nc:b-30=54-30=24\n") == 2
    for at_most in range(0, 45, 5):
        outcome, run = force(Nano(), Force(at_most=at_most), CHAIN, 200)
        assert outcome.answer is not None
        assert outcome.notes["thinking_tokens"] <= at_most
        assert run.spent.output_tokens <= at_most + 32
    outcome, run = force(Nano(), "force:wait=400", CHAIN, 510)
    assert outcome.answer is not None
    assert outcome.notes["thought_ended_by"] == "context"
    run = Run(Nano(), params=Params(0.0, 200))
    with pytest.raises(PromptError, match=r"'Hmm' cannot be put into a thought: .* cannot read 'H'"):
        solve(spec.strategy("force:wait=1,string=Hmm"), run, CHAIN)
    assert run.spent.calls == 0, "before anything is spent"


def test_switching_thoughts_is_made_unlikely_at_first() -> None:
    """nano tries a countdown again after `Wait`: with the penalty it does so less often, but not never."""
    problem = Problem("countdown", Prompt.user("reach 88 with 3 4 7 25"))

    def waits(plan: Tip) -> int:
        outcomes = [solve(plan, Run(Nano(), params=Params(1.0, 300), seed=seed), problem) for seed in range(20)]
        return sum(reply(outcome).count("Wait") for outcome in outcomes)

    free, held = waits(Tip(alpha=0, words="Wait")), waits(Tip(alpha=100, words="Wait"))
    assert free > 20
    assert held == 0
    late = waits(Tip(alpha=100, beta=60, words="Wait"))
    assert 0 < late < free
    outcome, _ = force(Nano(), "tip:beta=30,words=Wait", problem, 300)
    assert outcome.notes["penalised_tokens"] == 30
    assert outcome.notes["thinking_tokens"] > 30


def test_a_model_without_logit_bias_is_refused_before_anything_is_spent() -> None:
    class Stiff(Writer):
        def refuses(self, prompt: Prompt, params: Params) -> str | None:
            return BIASES if params.logit_bias else None

    model = Stiff(says=WAITS)
    with pytest.raises(UsageError, match="fake does not support a logit bias"):
        force(model, "tip")
    assert not model.asked
    with pytest.raises(PromptError, match=r"words=alternatively.* cannot read .* as words=Wait"):
        force(Nano(), "tip", CHAIN, 200)
    for bad, words in (("tip:alpha=-1", "alpha"), ("tip:words=a||b", "words"), ("tip:beta=0", "beta")):
        with pytest.raises(UsageError, match=words):
            spec.strategy(bad)
