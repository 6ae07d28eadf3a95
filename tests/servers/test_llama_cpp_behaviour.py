"""What llama.cpp's server does that the client is built on, asked of it directly: a change in a new version fails here.

These are observations of build 11549 with SmolLM2, four slots and a context of 512 tokens, not promises of its makers.
"""

from typing import Any

import pytest

from real_servers import asked

COUNT = [{"role": "user", "content": "Count to ten."}]
GREEDY = {"temperature": 0.0, "max_tokens": 12}


@pytest.fixture(scope="module")
def url(smol_url: str) -> str:
    return smol_url.removesuffix("/v1")


def chat(url: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    return asked(url, "/v1/chat/completions", {"messages": COUNT, "cache_prompt": False, **fields})


def texts(url: str, **fields: Any) -> list[str]:
    status, reply = chat(url, **fields)
    assert status == 200, reply
    return [choice["message"]["content"] for choice in sorted(reply["choices"], key=lambda one: one["index"])]


def test_sampling_by_default_has_filters_of_its_own(url: str) -> None:
    status, props = asked(url, "/props")
    assert status == 200
    params = props["default_generation_settings"]["params"]
    assert [round(params[name], 3) for name in ("temperature", "top_k", "top_p", "min_p")] == [0.8, 40, 0.95, 0.05]
    assert props["total_slots"] == 4
    assert "bos_token" in props
    assert props["chat_template"]
    assert props["build_info"]


def test_min_p_stays_on_where_only_the_other_filters_are_switched_off(url: str) -> None:
    _, reply = asked(url, "/completion", {"prompt": "One", "n_predict": 1, "top_k": 0, "top_p": 1.0})
    settings = reply["generation_settings"]
    assert [round(settings[name], 3) for name in ("top_k", "top_p", "min_p")] == [0, 1.0, 0.05]


def test_a_request_has_at_most_as_many_replies_as_there_are_slots(url: str) -> None:
    status, reply = chat(url, n=5, max_tokens=2)
    assert status == 400
    assert "Value must be between 1 <= value <= 4" in reply["error"]["message"]
    assert len(texts(url, n=4, max_tokens=2)) == 4


def test_usage_of_several_replies_is_that_of_the_first(url: str) -> None:
    _, reply = chat(url, n=4, max_tokens=6, seed=7, ignore_eos=True)
    assert len(reply["choices"]) == 4
    assert reply["usage"]["completion_tokens"] == 6
    assert reply["timings"]["predicted_n"] == 6


def test_reply_i_of_a_request_has_the_seed_plus_i(url: str) -> None:
    alone = [texts(url, seed=7 + i, max_tokens=8, temperature=1.0)[0] for i in range(4)]
    together = texts(url, seed=7, n=4, max_tokens=8, temperature=1.0)
    assert len(set(alone)) > 1
    # Rounding beside others may make a text part from its own.
    assert sum(one == other for one, other in zip(alone, together, strict=True)) >= 3


def test_a_seed_without_the_cache_gives_the_same_text_again(url: str) -> None:
    assert texts(url, seed=11, max_tokens=12, temperature=1.0) == texts(url, seed=11, max_tokens=12, temperature=1.0)


def test_log_probabilities_are_those_before_temperature(url: str) -> None:
    def first(temperature: float) -> dict[str, float]:
        _, reply = chat(url, temperature=temperature, max_tokens=1, logprobs=True, top_logprobs=5, seed=3)
        tops = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {top["token"]: top["logprob"] for top in tops}

    assert first(0.3) == pytest.approx(first(2.0), abs=1e-3)


def test_the_assistants_last_message_is_continued_and_repeated(url: str) -> None:
    (whole,) = texts(url, **GREEDY)
    begun = whole[: whole.index(" ", 8)]
    partial = [*COUNT, {"role": "assistant", "content": begun}]
    (said,) = texts(url, messages=partial, **GREEDY)
    assert said.startswith(begun)
    assert said.startswith(whole) or whole.startswith(said)
    status, _ = chat(url, messages=partial, continue_final_message=True, **GREEDY)
    assert status == 400
    (flagged,) = texts(url, messages=partial, continue_final_message=True, add_generation_prompt=False, **GREEDY)
    assert flagged == said


def test_a_stop_string_is_left_out_and_not_told(url: str) -> None:
    (whole,) = texts(url, **GREEDY)
    stop = " " + whole.split(" ")[2]
    _, reply = chat(url, stop=[stop, "#1", "#2", "#3", "#4"], **GREEDY)
    (choice,) = reply["choices"]
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"
    assert not {"stop_reason", "stopping_word"} & set(choice)


def test_a_prompt_that_is_too_long_is_refused_with_its_size(url: str) -> None:
    status, reply = chat(url, messages=[{"role": "user", "content": "one two three " * 400}])
    error = reply["error"]
    assert (status, error["type"]) == (400, "exceed_context_size_error")
    assert error["n_prompt_tokens"] > error["n_ctx"] == 512


def test_no_tokens_at_most_are_one(url: str) -> None:
    _, reply = chat(url, max_tokens=0)
    assert reply["usage"]["completion_tokens"] == 1


def test_completions_ignore_echo_and_tell_log_probabilities_as_chats_do(url: str) -> None:
    body = {"prompt": "One, two,", "max_tokens": 2, "echo": True, "logprobs": 2, "temperature": 0}
    status, reply = asked(url, "/v1/completions", body)
    (choice,) = reply["choices"]
    assert status == 200
    assert not choice["text"].startswith("One")
    assert len(choice["logprobs"]["content"]) == 2


def test_a_logit_bias_is_an_object_or_pairs_and_false_bans(url: str) -> None:
    (free,) = texts(url, **GREEDY)
    word = free.split(" ")[0]
    _, told = asked(url, "/tokenize", {"content": word})
    token = told["tokens"][0]
    for bias in ({str(token): -100}, [[token, -100]], [[token, False]]):
        (other,) = texts(url, logit_bias=bias, **GREEDY)
        assert not other.startswith(word), bias


def test_the_name_of_the_model_is_not_looked_at(url: str) -> None:
    assert texts(url, model="nobody", **GREEDY) == texts(url, **GREEDY)
