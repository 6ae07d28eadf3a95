"""What is voted on, and what is given where a vote decides nothing: never a reply picked at random."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import openai
import pytest

from fault_server import FaultServer
from mull.errors import UsageError
from mull.serve.schemas import CallOrReply, JsonReply
from mull.types import Finish, Prompt, Sample, ToolCall

Make = Callable[..., Any]
ESSAYS = ("The sea is wide.", "The sea is deep and cold.", "Waves come and go.", "Salt, wind and light.")


def table(server: FaultServer, preset: str) -> str:
    return f'[models.words]\nbase_url = "{server.url}"\n[presets.vote]\nstrategy = "majority:n=4"\n{preset}\n'


async def voted(served: Any, **fields: Any) -> tuple[Any, dict[str, Any]]:
    reply = await served.ask("words@vote", "Write of the sea.", **{"seed": 3, **fields})
    return reply.choices[0], reply.mull["answers"][0]


async def test_replies_that_all_differ_are_not_drawn_lots_for(gateway: Make) -> None:
    async with FaultServer(texts=ESSAYS) as upstream, gateway(table(upstream, 'answer = "whole"')) as served:
        choice, told = await voted(served, extra_body={"mull": {"return": ["samples"]}})
    assert (told["chosen_by"], told["answer"], told["confidence"]) == ("first draw", None, None)
    assert told["incomplete"]
    assert told["why"] == "no two replies gave the same answer, so that no vote decides: this is the first draw"
    assert choice.message.content == told["samples"][0]["text"]
    assert {row["text"] for row in told["samples"]} == set(ESSAYS)


async def test_a_reply_without_an_answer_of_the_kind_has_no_vote(gateway: Make) -> None:
    texts = ("answer: 12", "I cannot say.", "the answer is 12.0", "answer: 7")
    async with FaultServer(texts=texts) as upstream, gateway(table(upstream, 'answer = "number"')) as served:
        choice, told = await voted(served, extra_body={"mull": {"return": ["tally"]}})
        assert (told["answer"], told["tally"]) == ("12", [["12", 2.0], ["7", 1.0]])
        assert told["confidence"] == pytest.approx(2 / 3)
        assert choice.message.content in (texts[0], texts[2])
        upstream.texts = ESSAYS
        choice, told = await voted(served, seed=4)
        assert (told["chosen_by"], told["incomplete"]) == ("first draw", True)
        assert "no reply has an answer" in told["why"]


async def test_a_judge_decides_where_a_vote_does_not(gateway: Make) -> None:
    """The judge that scores derivations prefers one that nano-orm finds likelier right than all others."""
    text = '[presets.judged]\nstrategy = "majority:n=4"\nanswer = "whole"\njudge = "scores:verifier=nano-orm"'
    async with gateway(text, "nano") as served:
        reply = await served.ask(
            "nano@judged", "a:7;b:a*6;c:b-5;d:c*8;e:d-a;f:e+9;f?", seed=2, extra_body={"mull": {"return": ["samples"]}}
        )
        told = reply.mull["answers"][0]
        scored = await served.ask(
            "nano", "a:7;b:a*6;c:b-5;d:c*8;e:d-a;f:e+9;f?", seed=2,
            extra_body={"mull": {"strategy": "best:n=4", "verifier": "nano-orm", "return": ["samples"]}},
        )  # fmt: skip
    texts = [row["text"] for row in told["samples"]]
    assert len({text.rpartition("answer: ")[2] for text in texts}) == 4  # so that there was nothing to vote on
    assert (told["chosen_by"], told["why"]) == ("judge", "no two replies gave the same answer, so that no vote decides")
    rows = scored.mull["answers"][0]["samples"]
    assert [row["text"] for row in rows] == texts
    assert reply.choices[0].message.content == max(rows, key=lambda row: row["score"])["text"]


@pytest.mark.parametrize(
    ("strategy", "texts", "chosen_by", "why"),
    [
        ("fuse:n=2", ESSAYS, "synthesis", None),
        ("pdr:n=2", ESSAYS, "synthesis", None),
        ("rsa:n=3,k=2,rounds=1", (), "synthesis", "this is the last reply that was written from others"),
        ("genselect:n=3,k=1", [f"{one} answer: 1" for one in ESSAYS], "judge", None),
        ("genselect:n=3,k=1", ESSAYS, "first draw", "this is the first draw"),
        ("majority:n=3", ESSAYS, "first draw", "this is the first draw"),
    ],
)
async def test_open_questions_are_answered_by_synthesis_or_choice_and_it_is_told(
    gateway: Make, strategy: str, texts: Sequence[str], chosen_by: str, why: str | None
) -> None:
    """No replies to one prompt are the same, so that no vote decides; a list's judge that names no number does not."""
    async with FaultServer(texts=tuple(texts)) as upstream, gateway(table(upstream, 'answer = "whole"')) as served:
        choice, told = await voted(served, extra_body={"mull": {"strategy": strategy, "return": ["samples"]}})
    assert (told["chosen_by"], told["incomplete"]) == (chosen_by, chosen_by == "first draw")
    assert (told["why"] is None) if why is None else str(told["why"]).endswith(why)
    given = [row["text"] for row in told["samples"]]
    assert choice.message.content == given[-1 if chosen_by == "synthesis" else 0] or chosen_by == "judge"


@pytest.mark.parametrize("strategy", ["tournament:n=3,k=1", "league:n=3", "pivot:n=3", "swiss:n=3", "genselect:n=3"])
async def test_a_judge_without_a_verdict_that_can_be_read_decides_nothing(gateway: Make, strategy: str) -> None:
    """Asked for A or B, or for a number of its list, the judge answers the question: the reply is the first draw."""
    texts = ("answer: 42", "answer: 17", "answer: 9")
    async with FaultServer(texts=texts) as upstream:
        text = table(upstream, 'answer = "number"\njudge = "pairwise:model=words"').replace("majority:n=4", strategy)
        async with gateway(text) as served:
            for seed in range(3):
                choice, told = await voted(served, seed=seed, extra_body={"mull": {"return": ["samples"]}})
                assert (told["chosen_by"], told["confidence"], told["answer"]) == ("first draw", None, None)
                assert told["why"] == "no verdict of the judge could be read: this is the first draw"
                assert told["incomplete"]
                assert choice.message.content == told["samples"][0]["text"]
            upstream.texts = ("answer: 42", "so 42", "The answer is 42.")
            choice, told = await voted(served, seed=7)
            assert (told["chosen_by"], told["answer"], told["incomplete"]) == ("vote", "42", False)
            assert told["why"] == "all replies gave the same answer, so that there was nothing to judge"


@pytest.mark.parametrize("strategy", ["tournament:n=3", "genselect:n=3"])
async def test_a_judge_for_which_no_budget_is_left_decides_nothing(gateway: Make, strategy: str) -> None:
    async with FaultServer(texts=("answer: 42", "answer: 17", "answer: 9")) as upstream:
        text = table(upstream, 'answer = "number"\njudge = "pairwise:model=words"').replace("majority:n=4", strategy)
        async with gateway(text) as served:
            _, told = await voted(served, extra_body={"mull": {"budget": {"calls": 3}}})
    assert (told["chosen_by"], told["incomplete"], told["draws"]) == ("first draw", True, 3)
    assert told["why"] == "the ceilings left no room for the judge to decide: this is the first draw"


LITTLE, ALONE = "the ceilings (calls) left room for one draw", "one reply alone has an answer"


@pytest.mark.parametrize(
    ("strategy", "texts", "n", "calls", "why"),
    [
        ("majority:n=4", ("answer: 4",), 1, 1, LITTLE),
        ("majority:n=4", ("answer: 4",), 2, 3, LITTLE),
        ("adaptive:n=8", ("answer: 4",), 1, 1, LITTLE),
        ("majority:n=1", ("answer: 4",), 1, 9, "the strategy made one draw"),
        ("tournament:n=1", ("answer: 4",), 1, 9, "the strategy made one draw"),
        ("majority:n=4", ("none", "none", "answer: 4", "none"), 1, 9, ALONE),
        ("repeat:of=single,n=3", ("none", "none", "answer: 4"), 1, 9, ALONE),
        ("rsa:n=1,k=1,rounds=1", ("answer: 4",), 1, 9, ALONE),
    ],
)
async def test_one_draw_is_no_vote(
    gateway: Make, strategy: str, texts: tuple[str, ...], n: int, calls: int, why: str
) -> None:
    """How sure it is, nothing tells, so that any threshold keeps it back."""
    preset = 'answer = "number"\nabstain = 0.01\njudge = "pairwise:model=words"'
    async with FaultServer(texts=texts) as upstream:
        text = table(upstream, preset).replace("majority:n=4", strategy)
        async with gateway(text) as served:
            mull: dict[str, Any] = {"budget": {"calls": calls}}
            asked = {"seed": 0, "n": n, "extra_body": {"mull": mull}}
            reply = await served.ask("words@vote", "Write of the sea.", **asked)
            for choice, told in zip(reply.choices, reply.mull["answers"], strict=True):
                assert (told["confidence"], told["confidence_is"], told["abstained"]) == (None, None, True)
                assert choice.message.refusal == "No answer is given: nothing tells how sure it is."
                assert (told["chosen_by"], told["answer"]) == ("single draw", "4")
                assert told["why"] == f"{why}: it is compared to none"
            mull["abstain"] = 0
            reply = await served.ask("words@vote", "Write of the sea.", **asked)
            assert reply.choices[0].message.content == "answer: 4"


async def test_json_is_voted_on_by_value_and_only_if_it_fits(gateway: Make) -> None:
    texts = ('{"n": 2, "s": "x"}', '{"n": "two", "s": "x"}', '{"s":"x","n":2.0}', "{}")
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "s": {"type": "string", "pattern": "^x*$"}},
        "required": ["n", "s"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}
    async with FaultServer(texts=texts) as upstream, gateway(table(upstream, "")) as served:
        for seed in range(4):
            choice, told = await voted(served, seed=seed, response_format=form)
            assert json.loads(choice.message.content) == {"n": 2, "s": "x"}
            assert (told["answer"], told["confidence"]) == ('{"n":2,"s":"x"}', 1.0)
        assert upstream.bodies[-1]["response_format"] == form
        upstream.texts = ('{"n": 1}', '{"n": 1}', "so: 5", '{"n": 2}')
        choice, told = await voted(served, response_format={"type": "json_object"})
        assert told["answer"] == '{"n":1}'
        choice, told = await voted(served, response_format=form)
        assert (told["chosen_by"], told["incomplete"]) == ("first draw", True)
        for wrong in (
            {"schema": {"type": "nothing"}},
            {"name": "x"},
            {"schema": {"$ref": "http://127.0.0.1:9/x.json"}},
        ):
            with pytest.raises(openai.BadRequestError, match=r"response_format\.json_schema: "):
                await voted(served, response_format={"type": "json_schema", "json_schema": wrong})


def test_a_pattern_of_a_schema_runs_in_linear_time() -> None:
    told = {"name": "x", "schema": {"type": "string", "pattern": "^(a+)+$"}}
    kind = JsonReply.of(told)
    assert kind.canonical(json.dumps("a" * 50_000 + "!")) is None
    assert kind.canonical('"aaa"') == '"aaa"'
    with pytest.raises(UsageError, match="can be checked"):
        JsonReply.of({"schema": {"pattern": "(?=a)(?!b)"}})


def test_calls_are_compared_by_name_and_arguments() -> None:
    kind = CallOrReply()

    def read(text: str, *calls: tuple[str, str]) -> str | None:
        made = tuple(ToolCall(f"c{i}", *call) for i, call in enumerate(calls))
        return kind.read(Sample(Prompt.user("q"), text, Finish.TOOL_CALLS if made else Finish.STOP, tool_calls=made))

    one = read("", ("add", '{"a": 1, "b": [2.0]}'))
    assert one == read("as I think", ("add", '{"b":[2],"a":1}')) is not None
    assert len({one, read("", ("add", '{"a": 1, "b": [3]}')), read("", ("sub", '{"a": 1, "b": [2]}'))}) == 3
    assert read("", ("add", '{"a": 1')) is None
    assert read("The answer is 4.") == read("answer: 4")


async def test_below_a_confidence_no_answer_is_given(gateway: Make) -> None:
    texts = ("answer: a", "answer: b", "answer: a", "answer: c")
    async with FaultServer(texts=texts) as upstream, gateway(table(upstream, "abstain = 0.6")) as served:
        choice, told = await voted(served)
        assert (choice.message.content, choice.finish_reason) == (None, "stop")
        assert choice.message.refusal == "No answer is given: its confidence (vote share) is 0.50."
        assert (told["abstained"], told["answer"]) == (True, "a")
        choice, told = await voted(served, extra_body={"mull": {"abstain": 0.5}})
        assert (told["abstained"], choice.message.refusal) == (False, None)
        assert choice.message.content == "answer: a"


async def test_the_vote_is_the_one_that_counting_gives(gateway: Make) -> None:
    """Over seeds; ties aside, which a seed decides."""
    preset = "answer = 'regex:answer: (\\w)$'"
    async with FaultServer() as upstream, gateway(table(upstream, preset)) as served:
        for seed in range(6):
            _, told = await voted(served, seed=seed, extra_body={"mull": {"return": ["samples", "tally"]}})
            counted = Counter(row["text"].rpartition("answer: ")[2] for row in told["samples"])
            assert dict(told["tally"]) == counted
            (best, most), *rest = counted.most_common()
            if most > 1 and all(n < most for _, n in rest):
                assert (told["answer"], told["confidence"]) == (best, most / 4)
