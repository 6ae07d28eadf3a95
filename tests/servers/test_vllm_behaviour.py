"""What vLLM's server does that the client is built on, asked of it directly: a change in a new version fails here.

These are observations of 0.32.0 on a CPU with SmolLM2 and a context of 512 tokens, not promises of its makers.
"""

import re
import urllib.request
from typing import Any

import pytest

from real_servers import asked
from server_contract import Live

COUNT = [{"role": "user", "content": "Count to ten."}]
GREEDY = {"temperature": 0.0, "max_tokens": 12}
FREE = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "max_tokens": 8}


@pytest.fixture(scope="module")
def url(vllm: Live) -> str:
    return vllm.model.deployment.urls[0].removesuffix("/v1")


def chat(url: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    return asked(url, "/v1/chat/completions", {"model": "smol", "messages": COUNT, **fields})


def choices(url: str, **fields: Any) -> list[dict[str, Any]]:
    status, reply = chat(url, **fields)
    assert status == 200, reply
    return sorted(reply["choices"], key=lambda one: one["index"])


def texts(url: str, **fields: Any) -> list[str]:
    return [choice["message"]["content"] for choice in choices(url, **fields)]


def tops(choice: dict[str, Any]) -> dict[str, float]:
    """The likeliest tokens at the first place, by log-probability."""
    return {top["token"]: top["logprob"] for top in choice["logprobs"]["content"][0]["top_logprobs"]}


def refused(url: str, **fields: Any) -> str:
    """Why a request is rejected."""
    status, reply = chat(url, **fields)
    assert status == 400, reply
    return str(reply["error"]["message"])


def counter(url: str, name: str) -> int:
    with urllib.request.urlopen(url + "/metrics") as page:
        found = re.search(rf"^vllm:{name}{{.*}} ([\d.e+]+)", page.read().decode(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def test_reply_i_of_a_request_has_the_seed_plus_i(url: str) -> None:
    alone = [texts(url, seed=7 + i, **FREE)[0] for i in range(4)]
    together = texts(url, seed=7, n=4, **FREE)
    assert len(set(alone)) > 1
    # Rounding beside others may make a text part from its own.
    assert sum(one == other for one, other in zip(alone, together, strict=True)) >= 3


def test_each_prompt_of_a_list_begins_at_the_seed_again(url: str) -> None:
    body = {"model": "smol", "prompt": ["One, two,", "One, two,"], "n": 2, "seed": 7, **FREE}
    status, reply = asked(url, "/v1/completions", body)
    assert status == 200
    found = [(choice["index"], choice["text"]) for choice in reply["choices"]]
    assert [index for index, _ in found] == [0, 1, 2, 3]
    # Index = prompt * n + i.
    assert [text for _, text in found[:2]] == [text for _, text in found[2:]]


def test_how_many_replies_a_request_may_have(url: str) -> None:
    assert "greedy" in refused(url, n=2, **GREEDY)
    assert refused(url, n=0, temperature=1.0)
    assert "16384" in refused(url, n=16385, temperature=1.0, max_tokens=1)


def test_stop_strings(url: str) -> None:
    (whole,) = texts(url, **GREEDY)
    stop = " " + whole.split(" ")[2]
    (choice,) = choices(url, stop=[stop], **GREEDY)
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", stop)
    (choice,) = choices(url, stop=[stop], include_stop_str_in_output=True, **GREEDY)
    assert choice["message"]["content"].endswith(stop)
    (choice,) = choices(url, **GREEDY)
    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", None)
    assert refused(url, stop=["#1", "#2", "#3", "#4", "#5"], **GREEDY)
    assert refused(url, stop=[""], **GREEDY)


def test_log_probabilities_are_those_before_temperature_and_filters(url: str) -> None:
    def first(**fields: Any) -> dict[str, float]:
        return tops(choices(url, max_tokens=1, logprobs=True, top_logprobs=5, seed=3, **fields)[0])

    plain = first(temperature=1.0)
    for other in (first(temperature=0.01), first(temperature=2.0, top_k=2)):
        shared = plain.keys() & other.keys()
        # The token that was drawn is listed first, and takes the place of another.
        assert len(shared) >= 4
        assert [plain[token] for token in shared] == pytest.approx([other[token] for token in shared], abs=1e-3)
    assert refused(url, logprobs=True, top_logprobs=21, **GREEDY)


def test_a_token_that_is_not_among_the_likeliest_is_listed_in_place_of_the_last(url: str) -> None:
    fields = {"max_tokens": 1, "temperature": 0.0}
    (choice,) = choices(url, logprobs=True, top_logprobs=5, **fields)
    usual = sorted(tops(choice), key=tops(choice).__getitem__, reverse=True)
    _, told = asked(url, "/tokenize", {"model": "smol", "prompt": "zebra", "add_special_tokens": False})
    rare = {**fields, "allowed_token_ids": told["tokens"][:1]}
    (choice,) = choices(url, logprobs=True, top_logprobs=5, **rare)
    listed = choice["logprobs"]["content"][0]["top_logprobs"]
    assert [one["token"] for one in listed[1:]] == usual[:4]
    assert listed[0]["logprob"] < tops(choice)[usual[3]]


def test_a_logit_bias_acts_and_does_not_show_in_the_log_probabilities(url: str) -> None:
    (free,) = choices(url, logprobs=True, top_logprobs=2, **GREEDY)
    word = free["message"]["content"].split(" ")[0]
    _, told = asked(url, "/tokenize", {"model": "smol", "prompt": word, "add_special_tokens": False})
    token = told["tokens"][0]
    (other,) = choices(url, logit_bias={str(token): -100}, logprobs=True, top_logprobs=2, **GREEDY)
    assert not other["message"]["content"].startswith(word)
    likeliest = max(tops(free), key=tops(free).__getitem__)
    assert word.startswith(likeliest)
    assert tops(other)[likeliest] == pytest.approx(tops(free)[likeliest], abs=1e-3)
    status, _ = chat(url, logit_bias={str(token): -1000}, **GREEDY)
    assert status == 200, "clamped without a word"
    assert refused(url, logit_bias={"9999999": 1}, **GREEDY)


def test_a_partial_reply_is_continued_with_both_flags_alone(url: str) -> None:
    (whole,) = texts(url, **GREEDY)
    begun = whole[: whole.index(" ", 8)]
    partial = [*COUNT, {"role": "assistant", "content": begun}]
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    (rest,) = texts(url, messages=partial, **flags, **GREEDY)
    assert (begun + rest).startswith(whole)
    (echoed,) = texts(url, messages=partial, echo=True, **flags, **GREEDY)
    assert echoed.startswith(begun)
    assert refused(url, messages=partial, continue_final_message=True, **GREEDY)
    (anew,) = texts(url, messages=partial, **GREEDY)
    assert anew != rest


def test_white_space_at_the_end_of_a_partial_reply_is_kept(url: str) -> None:
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    sizes = [
        chat(url, messages=[*COUNT, {"role": "assistant", "content": text}], **flags, **GREEDY)[1]["usage"]
        for text in ("One", "One\n")
    ]
    assert sizes[1]["prompt_tokens"] == sizes[0]["prompt_tokens"] + 1


def test_a_limit_on_thinking_is_refused_without_a_parser(url: str) -> None:
    assert "reasoning" in refused(url, thinking_token_budget=4, **GREEDY)


def test_usage_is_of_all_replies_and_token_ids_tell_those_of_each(url: str) -> None:
    before = {name: counter(url, name) for name in ("generation_tokens_total", "prompt_tokens_total")}
    status, reply = chat(url, n=4, seed=5, return_token_ids=True, **FREE)
    assert status == 200
    usage, sizes = reply["usage"], [len(choice["token_ids"]) for choice in reply["choices"]]
    assert usage["completion_tokens"] == sum(sizes)
    assert usage["prompt_tokens_details"] is None
    assert counter(url, "generation_tokens_total") - before["generation_tokens_total"] == sum(sizes)
    assert counter(url, "prompt_tokens_total") - before["prompt_tokens_total"] == 4 * usage["prompt_tokens"]


def test_what_does_not_fit_the_context(url: str) -> None:
    long = [{"role": "user", "content": "one two three " * 400}]
    status, reply = chat(url, messages=long, max_tokens=1)
    assert (status, reply["error"]["param"]) == (400, "input_tokens")
    assert refused(url, max_tokens=600)
    # The prompt fits, and so do the tokens, but not both: the reply is cut where the context ends.
    half = [{"role": "user", "content": "one two three " * 150}]
    status, reply = chat(url, messages=half, max_tokens=500, ignore_eos=True, temperature=0.0)
    assert status == 200
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["total_tokens"] == 512
    assert reply["usage"]["completion_tokens"] < 500


@pytest.mark.parametrize("n", [0, -1])
def test_no_tokens_at_most_are_refused(url: str, n: int) -> None:
    assert refused(url, max_tokens=n)


def test_log_probabilities_of_the_prompt(url: str) -> None:
    _, reply = chat(url, prompt_logprobs=0, **GREEDY)
    assert reply["prompt_logprobs"][0] is None
    body = {"model": "smol", "prompt": "One, two,", "prompt_logprobs": 0, **GREEDY}
    _, reply = asked(url, "/v1/completions", body)
    assert reply["choices"][0]["prompt_logprobs"][0] is None


def test_unknown_fields_are_ignored_and_an_unknown_model_is_not(url: str) -> None:
    assert texts(url, of_no_meaning=1, **GREEDY) == texts(url, **GREEDY)
    assert chat(url, model="nobody", **GREEDY)[0] == 404
