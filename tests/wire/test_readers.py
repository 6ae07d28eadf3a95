"""What servers say is read with suspicion: whatever they send, a reader gives a value or says that it cannot."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull.wire.backoff import retry_after
from mull.wire.body import read_json, read_object
from mull.wire.faults import Malformed
from mull.wire.replies import Stream, Usage, error_of, error_text, read_reply, read_usage, share

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    5,
    2**70,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    [[]],
    {},
    {"a": 1},
]
REPLY = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "stop_reason": None,
            "message": {"content": "a", "reasoning": "b"},
            "logprobs": {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -1}]}]},
        },
        {
            "index": 1,
            "text": "a",
            "delta": {"content": "a"},
            "logprobs": {"token_logprobs": [-1], "top_logprobs": [{"a": -1}]},
        },
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
    "error": None,
}


def altered(told: Any) -> list[Any]:
    """A reply with each of its parts replaced by each odd value, in turn."""
    found = list(ODD)
    if isinstance(told, dict):
        for name, value in told.items():
            found += [{**told, name: odd} for odd in altered(value)]
    elif isinstance(told, list):
        for i, value in enumerate(told):
            found += [[*told[:i], odd, *told[i + 1 :]] for odd in altered(value)]
    return found


def test_no_part_of_a_reply_can_be_what_a_reader_falls_over() -> None:
    for told in altered(REPLY):
        raw = json.dumps(told).encode()
        for read in (read_reply, read_object, error_of, lambda raw: Stream().feed(b"data: " + raw)):
            with suppress(Malformed):
                read(raw)
        usage = read_usage(told)
        counts = (usage.prompt, usage.output, usage.cached, usage.reasoning)
        assert all(count is None or 0 <= count < 2**31 for count in counts)


def test_no_depth_of_nesting_ends_more_than_the_reply() -> None:
    for depth in [*range(1, 1500, 7), *range(900, 1010), 100_000]:
        for text in ('{"error": ' + "[" * depth + "]" * depth + "}", '{"a":' * depth + "1" + "}" * depth):
            words, code = error_of(text.encode())
            assert len(words) <= 300
            assert code == ""
            for read in (read_json, read_reply, lambda raw: Stream().feed(b"data: " + raw)):
                with suppress(Malformed):
                    read(text.encode())


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b'[{"a":' * 50_000])
def test_what_is_nested_too_deep_is_said_to_be(raw: bytes) -> None:
    with pytest.raises(Malformed, match="nested too deep"):
        read_json(raw)


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf[1]", b"[1]", b" [1]\n"])
def test_a_byte_order_mark_is_no_fault(raw: bytes) -> None:
    assert read_json(raw) == [1]


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 2}, Usage(7, 2)),
        ({"input_tokens": 7, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}, Usage(7, 2, 3)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(7)),
        ({"prompt_tokens": -7, "completion_tokens": 2**40}, Usage()),
        ({"prompt_tokens": "7", "completion_tokens": True}, Usage()),
        ({"prompt_tokens": 7.0, "completion_tokens": None}, Usage()),
        ([7], Usage()),
    ],
)
def test_usage(told: Any, usage: Usage) -> None:
    assert read_usage(told) == usage


def test_counts_far_above_what_was_asked_for_are_unknown() -> None:
    assert Usage(100, 20, 5, 4).within(90, 16) == Usage(100, 20, 5, 4), "a server may add a prompt of its own"
    assert Usage(10**6, 20, 5, 4).within(90, 16) == Usage(None, 20, None, 4)
    assert Usage(100, 10**6, 5, 4).within(90, 16) == Usage(100, None, 5, None)
    assert Usage(None, None).within(90, 16) == Usage()


def test_an_error_is_one_printable_line() -> None:
    words = error_text({"error": {"message": "bad\n\x1b[31m \u202eyes\x07 " + "x" * 1000}})
    assert words.startswith(r"bad \x1b[31m \u202eyes\x07 x")
    assert words.isprintable()
    assert len(words) == 300


@pytest.mark.parametrize("told", ["nan", "-inf", "Mon, 99 Jan 0000 00:00:00 -0000", "Mon, 01 Jan 0001 00:00:00 -0000"])
def test_a_retry_after_that_makes_no_sense_asks_for_nothing(told: str) -> None:
    assert not retry_after({"retry-after": told})


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8), st.integers(1, 50), st.floats(0, 1))
def test_no_draws_share_of_a_request_is_more_than_a_draw_may_have(sizes: list[int], most: int, part: float) -> None:
    """The tokens of a request are handed out to the last one, and a longer reply has no fewer than a shorter one."""
    total = round(part * most * len(sizes))
    parts = share(total, sizes, most)
    assert sum(parts) == total
    assert all(0 <= n <= most for n in parts)
    ranked = [n for _, n in sorted(zip(sizes, parts, strict=True))]
    assert all(n <= later + 1 for n, later in pairwise(ranked))
