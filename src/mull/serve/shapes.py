"""Answers in the form of OpenAI's chat API: completions, chunks of a stream, and token counts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mull.models.served.drawing import is_refusal
from mull.replies.answers import answer_of
from mull.run.wallet import Wallet
from mull.serve.choosing import ChatAnswer
from mull.serve.faults import draw_error
from mull.serve.plans import ChatPlan
from mull.serve.wallets import RequestWallet
from mull.types import Budget, Cost, Finish, Problem, Sample
from mull.wire.body import encode

FINISH = {Finish.LENGTH: "length", Finish.TOOL_CALLS: "tool_calls", Finish.ERROR: "content_filter"}
"""The `finish_reason` of an answer; any other ended by itself, or at a stop string. One without a reply was refused."""


def whole(id: str, plan: ChatPlan, answers: Sequence[ChatAnswer], wallet: RequestWallet, **more: Any) -> dict[str, Any]:
    """A `chat.completion`."""
    choices = [
        {"index": i, "message": message(answer), "logprobs": logprobs(answer), "finish_reason": finish(answer)}
        for i, answer in enumerate(answers)
    ]
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": plan.asked_as,
        "system_fingerprint": fingerprint(plan),
        "choices": choices,
        "usage": usage(answers, wallet),
        **more,
    }


def chunk(id: str, plan: ChatPlan, choices: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A `chat.completion.chunk`."""
    return {
        "id": id,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": plan.asked_as,
        "system_fingerprint": fingerprint(plan),
        "choices": list(choices),
        **more,
    }


def fingerprint(plan: ChatPlan) -> str:
    """What made the answer, for clients that keep no other field: the strategy's spec."""
    return f"mull:{plan.name or 'none'}"


def finish(answer: ChatAnswer) -> str:
    """Why the answer's text ended."""
    return "stop" if answer.is_abstained else FINISH.get(answer.best.finish, "stop")


def finish_of(sample: Sample) -> str:
    """Why the text of a draw ended."""
    is_failed = sample.finish is Finish.ERROR and not is_refusal(sample.error)
    return "error" if is_failed else FINISH.get(sample.finish, "stop")


def message(answer: ChatAnswer) -> dict[str, Any]:
    """The assistant's turn."""
    if answer.is_abstained:
        told, share = answer.confidence_is, answer.confidence
        why = "nothing tells how sure it is" if share is None else f"its confidence ({told}) is {share:.2f}"
        return {"role": "assistant", "content": None, "refusal": f"No answer is given: {why}."}
    best = answer.best
    if best.finish is Finish.ERROR:
        return {"role": "assistant", "content": None, "refusal": draw_error(best.error)}
    turn: dict[str, Any] = {"role": "assistant", "content": best.reply, "refusal": None}
    if best.reasoning is not None:
        turn["reasoning_content"] = best.reasoning
    if best.tool_calls:
        turn["content"] = best.reply or None
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in best.tool_calls
        ]
    return turn


def logprobs(answer: ChatAnswer) -> dict[str, Any] | None:
    """The log-probabilities of the answer's tokens; `None` unless the texts of its tokens are known."""
    best = answer.best
    if best.logprobs is None or best.pieces is None or len(best.pieces) != len(best.logprobs) or answer.is_abstained:
        return None
    tops = best.alternatives or ((),) * len(best.pieces)
    return {
        "content": [
            {**_token(piece, value), "top_logprobs": [_token(*top) for top in place]}
            for piece, value, place in zip(best.pieces, best.logprobs, tops, strict=True)
        ],
        "refusal": None,
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode(errors="replace"))}


def is_unknown(cost: Cost) -> bool:
    """Whether the tokens of something that was spent are not known."""
    return cost.prompt_tokens is None or cost.tokens is None


def told_cost(wallet: Wallet) -> Cost:
    """What was paid for a request, as it is told in its reply, its headers and the metrics; see `usage`."""
    return wallet.charged if is_unknown(wallet.spent) else wallet.spent


def usage(answers: Sequence[ChatAnswer], wallet: RequestWallet) -> dict[str, Any] | None:
    """Token counts of everything that was paid for; `None` where they are unknown, and so is how many they can be.

    `completion_tokens` are all tokens generated, also by judges; those that are not in the answers count as reasoning.
    `mull` has the parts; `banked_calls` came from the bank, for nothing. `is_bound`: a request failed on the way, and
    what it may have cost counts as the most that it can be, as it does against the ceilings.
    """
    spent, is_bound = told_cost(wallet.paid), is_unknown(wallet.paid.spent)
    if spent.prompt_tokens is None or spent.tokens is None:
        return None
    given = [answer.n_tokens for answer in answers]
    hidden = None if None in given else max(0, spent.tokens - sum(n or 0 for n in given))
    return {
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.tokens,
        "total_tokens": spent.prompt_tokens + spent.tokens,
        "prompt_tokens_details": {"cached_tokens": spent.cached_tokens or 0},
        "completion_tokens_details": {} if hidden is None else {"reasoning_tokens": hidden},
        "mull": {
            "calls": spent.calls,
            "banked_calls": wallet.n_banked,
            "draw_tokens": spent.output_tokens,
            "verifier_tokens": spent.verifier_tokens,
            "answer_tokens": None if None in given else sum(n or 0 for n in given),
            "usd": spent.usd,
            "flops": spent.flops,
            "retries": spent.retries,
            "is_bound": is_bound,
        },
    }


def about(plan: ChatPlan, answers: Sequence[ChatAnswer], wallet: Wallet, seed: int) -> dict[str, Any]:
    """The object `mull` of a reply: how each answer came about, what it cost and what is left of its ceiling."""
    return {
        "strategy": plan.name,
        "seed": seed,
        "answers": [_about(plan, answer) for answer in answers],
        "budget": budget(plan.budget),
        "left": budget(wallet.left),
    }


def verdict(answer: ChatAnswer) -> dict[str, Any]:
    """How an answer was chosen, as clients are told."""
    outcome = answer.outcome
    return {
        "answer": outcome.answer,
        "chosen_by": answer.chosen_by,
        "confidence": answer.confidence,
        "confidence_is": answer.confidence_is,
        "draws": len(outcome.candidates),
        "stopped": outcome.stopped.value,
        "incomplete": answer.is_incomplete,
        "abstained": answer.is_abstained,
        "why": answer.why,
    }


def _about(plan: ChatPlan, answer: ChatAnswer) -> dict[str, Any]:
    outcome, told = answer.outcome, verdict(answer)
    if answer.chance is not None:
        told["own_confidence"] = outcome.confidence
    if (unscored := outcome.n_unscored) > 0:
        told["unscored"] = unscored
    if "tally" in plan.returns:
        told["tally"] = [list(row) for row in outcome.tally]
    if "samples" in plan.returns:
        scores = outcome.scores or (None,) * len(outcome.candidates)
        told["samples"] = [
            {**_sample(plan, sample), "score": None if score is None else score.value}
            for sample, score in zip(outcome.candidates, scores, strict=True)
        ]
    return told


def _sample(plan: ChatPlan, sample: Sample) -> dict[str, Any]:
    return {
        "text": sample.reply,
        "tool_calls": [[call.name, call.arguments] for call in sample.tool_calls],
        "answer": answer_of(Problem("chat", sample.prompt, plan.kind), sample),
        "finish_reason": finish_of(sample),
        "seed": sample.seed,
        "output_tokens": sample.cost.output_tokens,
        "error": draw_error(sample.error),
    }


def budget(told: Budget) -> dict[str, float | None]:
    """Ceilings, by name."""
    return {name: value for name, value in asdict(told).items() if name != "flops"}


def event(told: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + encode(told) + b"\n\n"


DONE = b"data: [DONE]\n\n"
