"""Thoughts taken apart and put together: pure text, on the edges where forcing a budget goes wrong."""

import pytest

from mull import Cost, Finish, Prompt, Sample, UsageError
from mull.errors import UnknownNameError
from mull.replies.thinking import (
    FAMILIES,
    Delimiters,
    Parts,
    again,
    closed,
    cued,
    delimiters,
    opened,
    split,
    strip_end,
    written,
)
from mull.replies.visible import said, spoken

THINK, R1, S1 = FAMILIES["think"], FAMILIES["deepseek"], FAMILIES["s1"]


@pytest.mark.parametrize(
    ("reply", "marks", "parts"),
    [
        ("<think>\n1+1=2\n</think>\nanswer: 2", THINK, Parts("\n1+1=2\n", "\nanswer: 2", True)),
        ("<think>\n1+1", THINK, Parts("\n1+1", "", False)),
        ("answer: 2", THINK, Parts("", "answer: 2", True)),
        ("", THINK, Parts("", "", True)),
        ("1+1=2\n</think>\n2", R1, Parts("1+1=2\n", "\n2", True)),
        ("1+1", R1, Parts("1+1", "", False)),
        ("<think>a</think>b<think>c</think>d", THINK, Parts("a</think>b<think>c", "d", True)),
        ("<|im_start|>think\nso\n<|im_start|>answer\n2", S1, Parts("\nso\n", "\n2", True)),
        ("<think>a</think>2\n</think>\n", THINK, Parts("a", "2\n", True)),
    ],
)
def test_a_reply_is_taken_apart(reply: str, marks: Delimiters, parts: Parts) -> None:
    assert split(reply, marks) == parts


def test_a_thought_is_cut_before_its_end() -> None:
    """Also where a server leaves the stop string in the text, and what came after it."""
    assert opened("<think>\nso\n</think>\nanswer: 2", THINK) == "<think>\nso\n"
    assert opened("<|im_start|>think\nso\n<|im_start|>answer", S1) == "<|im_start|>think\nso\n", (
        "not at its own beginning"
    )
    assert opened("", THINK) == ""


def test_half_a_delimiter_at_the_end_is_cut_off() -> None:
    """A budget may end between the tokens of `</think>`; closed once more it would read `</th</think>`."""
    for n in range(1, len("</think>") + 1):
        assert opened("<think>\n1 < 2" + "</think>"[:n], THINK) == "<think>\n1 < 2"
    assert strip_end("a</thing", "</think>") == "a</thing"
    assert strip_end("ab", "abc", "b") == ""
    assert strip_end("", "abc") == ""


def test_a_thought_goes_on_on_a_new_line() -> None:
    assert again("so 24\n", "Wait") == "so 24\nWait"
    assert again("so 24", "Wait") == "so 24\nWait"
    assert again("", "Wait") == "Wait"
    assert again("so 24", "") == "so 24"


def test_a_thought_is_closed_as_s1_does_it() -> None:
    """Where it ended by itself only the delimiter is added, where it was cut a new line and the cue as well."""
    assert closed("<think>\n24\n", THINK, is_cut=False) == "<think>\n24\n</think>"
    assert closed("<think>\n2", THINK, is_cut=True) == "<think>\n2\n</think>\nanswer:"
    assert closed("<think>\n", THINK, is_cut=True) == "<think>\n</think>\nanswer:"
    assert closed("", THINK, is_cut=True) == "<think>\n</think>\nanswer:"
    assert closed("", R1, is_cut=True) == "</think>\nFinal Answer:", "its template has opened it"
    assert closed("a", S1, is_cut=True) == "a\n<|im_start|>answer\nFinal Answer:"
    assert cued("<think>\n</think>\n", THINK) == "<think>\n</think>\nanswer:"


@pytest.mark.parametrize("marks", FAMILIES.values(), ids=FAMILIES)
def test_what_is_put_together_comes_apart_again(marks: Delimiters) -> None:
    begun = "" if marks.opens == "template" else marks.open
    assert split(closed(begun + "\nso\n", marks, is_cut=False) + "\n7", marks) == Parts("\nso\n", "\n7", True)
    assert split(closed(begun + "\nso", marks, is_cut=True) + " 7", marks).thought == "\nso\n"
    assert opened(begun + "\nso\n" + marks.close + "\n7", marks) == begun + "\nso\n"


def test_delimiters_by_name_and_by_hand() -> None:
    assert delimiters() is THINK
    assert delimiters("qwen", "so:").cue == "so:"
    by_hand = delimiters("<a>...</a>", "\\nA:")
    assert (by_hand.open, by_hand.close, by_hand.cue) == ("<a>", "</a>", "\nA:")
    with pytest.raises(UnknownNameError, match="did you mean 'qwen'"):
        delimiters("qwem")
    for bad in ("...", "<a>...", "...</a>", "<a>...<a>"):
        with pytest.raises(UsageError, match="delimiter"):
            delimiters(bad)


def test_a_thought_that_the_server_tells_apart_is_put_back() -> None:
    def sample(text: str, reasoning: str | None, prefix: str = "") -> Sample:
        return Sample(Prompt.user("?").extend(prefix), text, Finish.STOP, Cost(1), reasoning=reasoning)

    assert written(sample("a", None), THINK) == "a"
    assert written(sample("\n7", "so"), THINK) == "<think>\nso\n</think>\n7"
    assert written(sample("", "so"), THINK) == "<think>\nso"
    assert written(sample("7", "so"), R1) == "so\n</think>\n7"
    assert written(sample("7", "so", "<think>\nand"), THINK) == "so\n</think>\n7"


TAGS = ["think", "thinking", "thought", "reasoning", "seed:think", "Thought", "REASONING", "reflection"]
PAIRS = [(f"<{tag}>", f"</{tag}>") for tag in TAGS] + [
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|im_start|>think", "<|im_start|>answer"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
]


@pytest.mark.parametrize(("open", "close"), PAIRS)
def test_what_is_said_outside_a_thought_of_any_family(open: str, close: str) -> None:
    assert spoken(f"{open}so 5{close}it is 6") == "it is 6"
    assert spoken(f"{open}so 5") is None, "it never ended"
    if "message" not in open:
        assert spoken(f"so 5{close}it is 6") == "it is 6", "the template opened it"
        assert spoken(f"{open}so 5{close}it is 6\n{close}\n") == "it is 6\n", "a stray closer"
        assert spoken(f"{open}so {open}5{close} so{close}it is 6") == "it is 6", "one inside another"
        assert said(f"{open}5{close}it is 6{open}or 7") == ("it is 6", True)
        assert spoken(f"{open}5{close}it is 6{open}or 7{close}") == "it is 6"
        assert spoken(f"it is 6{open}or 7") == "it is 6"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("analysis<|message|>12<|end|><|start|>assistant<|channel|>final<|message|>15<|return|>", "15"),
        ("<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>15", "15"),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", "{}"),
        ("<|channel|>analysis<|message|>the final word", None),
        ("analysisSo 12.assistantfinalIt is 15.", "It is 15."),
        ("analysisWe need to see", None),
        ("analysis of variance: 3", "analysis of variance: 3"),
        ("Close it with `</think>` as told. 7", "Close it with `</think>` as told. 7"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_channels_and_what_only_looks_like_a_thought(reply: str, text: str | None) -> None:
    assert spoken(reply) == text
