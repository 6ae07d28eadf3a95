"""One answer to a chat: the strategy runs, and what it chose is told as what it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from mull.bank import Bank
from mull.models.served.drawing import is_refusal
from mull.run import Run
from mull.run.events import RunEvent
from mull.run.needs import needs_of
from mull.run.together import together
from mull.run.trace import Trace
from mull.run.wallet import Wallet
from mull.serve.choosing import CUT_SHORT, ChatAnswer, choice, refused
from mull.serve.faults import DAY_IS_SPENT, ApiError, bad, draw_error
from mull.serve.lengths import Steps
from mull.serve.plans import ChatPlan
from mull.serve.rooms import check_room, number, replies
from mull.types import Budget, Cost, Finish, Need, Outcome, Params, Problem, Prompt, Sample, Stopped

CUT_SHORT_AS = ("budget_too_small", "deadline", DAY_IS_SPENT)


class Observed(Protocol):
    """What looks on while a run is made."""

    trace: Trace | None

    @property
    def watch(self) -> Callable[[RunEvent], None] | None:
        """What the run calls with its events."""
        ...

    def end(self, run: Run, outcome: Outcome) -> None:
        """The run is over, with what was made of its outcome."""
        ...


async def answers(
    plan: ChatPlan,
    prompt: Prompt,
    params: Params,
    wallet: Wallet,
    *,
    n: int = 1,
    seed: int = 0,
    bank: Bank | None = None,
    begin: Callable[[ChatPlan, Problem], Observed],
) -> list[ChatAnswer]:
    """`n` independent answers, with the seeds from `seed` on, all held to one wallet; `begin` observes each run.

    Raises `ApiError` where there is nothing to give, and what the run raises.
    """

    def run(at: int, watch: Callable[[RunEvent], None] | None, trace: Trace | None, budget: Budget | None) -> Run:
        return Run(
            plan.entry.model,
            verifier=plan.verifier,
            judge=plan.judge,
            executor=plan.executor,
            budget=budget,
            bank=bank,
            params=params,
            seed=at,
            rng=random.Random(at),
            watch=watch,
            trace=trace,
            within=wallet,
        )

    share = _share(wallet.left, n)
    if plan.strategy is None:
        if share.tokens is not None:
            params = replace(params, max_tokens=max(1, min(params.max_tokens, int(share.tokens))))
        one = begin(plan, Problem("chat", prompt, plan.kind))
        alone = run(seed, one.watch, one.trace, None)
        samples = await alone.draw(prompt, n)
        least = _least(plan, prompt, params, 1)
        usable = _usable(samples, alone.stopped, 1 if alone.stopped in CUT_SHORT else n, least, wallet)
        return [_single(sample, alone.stopped) for sample in usable]
    problem = plan.problem(prompt)
    seen = [begin(plan, problem) for _ in range(n)]
    is_stepwise = Need.CONTINUATION in needs_of(plan.strategy)
    steps = [Steps(one.watch) if is_stepwise else None for one in seen]
    runs = [
        run(seed + i, one.watch if step is None else step, one.trace, None if n == 1 else share)
        for i, (one, step) in enumerate(zip(seen, steps, strict=True))
    ]
    told = await together([_one_if(plan, problem, *each, wallet) for each in zip(runs, seen, steps, strict=True)])
    found = [one for one in told if isinstance(one, ChatAnswer)]
    if len(found) == n:
        return found
    error = next(one for one in told if isinstance(one, ApiError))
    if not found:
        raise error
    why = f"{len(found)} of {n} answers: {error.message}"
    return [replace(one, is_incomplete=True, why=one.why or why) for one in found]


def _share(left: Budget, n: int) -> Budget:
    """What each of `n` answers may spend, so that none takes the room of another."""
    calls, tokens = (None if top is None else int(top) // n for top in (left.calls, left.tokens))
    return Budget(calls, tokens, None if left.usd is None else left.usd / n)


def check_draws(plan: ChatPlan, prompt: Prompt, params: Params, wallet: Wallet, n: int) -> None:
    """Raises `ApiError` unless what is left has room for a draw for each of `n` answers.

    Draws are shortened to the tokens that are left, but not to the dollars.
    """
    check_room(wallet.own_left, wallet.left, _least(plan, prompt, params, n), replies(n))


def _least(plan: ChatPlan, prompt: Prompt, params: Params, n: int) -> Cost:
    quote = plan.entry.model.quote(prompt, params)
    return Cost(n, output_tokens=n, flops=None, usd=None if quote.usd is None else n * quote.usd)


async def _one_if(
    plan: ChatPlan, problem: Problem, run: Run, seen: Observed, steps: Steps | None, wallet: Wallet
) -> ChatAnswer | ApiError:
    """The answer, or the error where the budget or the seconds did not allow one: others need not be lost by it."""
    try:
        answer = await _one(plan, problem, run, seen, wallet)
    except ApiError as error:
        if error.code in CUT_SHORT_AS:
            return error
        raise
    return answer if steps is None else replace(answer, n_before=steps.n_before(answer.best))


async def _one(plan: ChatPlan, problem: Problem, run: Run, seen: Observed, wallet: Wallet) -> ChatAnswer:
    assert plan.strategy is not None
    await run.check(plan.strategy)
    outcome = await run.solve(plan.strategy, problem)
    drawn = outcome.candidates or (() if outcome.best is None else (outcome.best,))
    usable = _usable(drawn, outcome.stopped, 1, _least(plan, problem.prompt, run.params, 1), wallet)
    if usable[0].finish is Finish.ERROR:
        answer = refused(usable[0], outcome)
        seen.end(run, answer.outcome)
        return answer
    answer = await choice(plan, problem, run, outcome, usable)
    is_whole = not answer.is_incomplete and len(usable) == len(drawn)
    # Of fewer or other draws a curve says nothing.
    if plan.calibration is not None and is_whole and _are_of_preset(plan, run.params, usable):
        answer = replace(answer, chance=plan.calibration.chance(answer.chosen_by, answer.outcome.confidence))
    confidence = answer.confidence
    if plan.abstain and (confidence is None or confidence < plan.abstain):
        answer = replace(answer, is_abstained=True)
    seen.end(run, answer.outcome)
    return answer


def _are_of_preset(plan: ChatPlan, params: Params, samples: Sequence[Sample]) -> bool:
    """Whether these are the draws of the preset's own `max_tokens`: with another one, none may reach either."""
    if params.max_tokens == plan.max_tokens:
        return True
    most = min(params.max_tokens, plan.max_tokens)
    lengths = [None if one.finish is Finish.LENGTH else one.cost.output_tokens for one in samples]
    return all(length is not None and length <= most for length in lengths)


def _single(sample: Sample, stopped: Stopped) -> ChatAnswer:
    outcome = Outcome(sample, None, (sample,), stopped=stopped)
    if sample.finish is Finish.ERROR:
        return refused(sample, outcome)
    return ChatAnswer(sample, outcome, "first draw", is_incomplete=stopped in CUT_SHORT)


def _usable(samples: Sequence[Sample], stopped: Stopped, n: int, least: Cost, wallet: Wallet) -> list[Sample]:
    """The draws that can be given to a client: those with a reply, and the refused ones if they are fewer than `n`.

    Raises `ApiError` if these are fewer, with the reason. `least` is what a draw takes at least, `wallet` that of the
    request.
    """
    usable = [sample for sample in samples if sample.finish is not Finish.ERROR]
    if len(usable) >= n:
        return usable
    with_refused = [sample for sample in samples if sample.finish is not Finish.ERROR or is_refusal(sample.error)]
    if len(with_refused) >= n:
        return with_refused
    failed = next((sample.error for sample in samples if sample.finish is Finish.ERROR), None)
    if failed is not None:
        raise ApiError(502, f"the model's server failed: {draw_error(failed)}", code="upstream_failed")
    if stopped is Stopped.DEADLINE:
        raise ApiError(504, "the request's seconds were over before a reply was whole", code="deadline")
    if stopped is Stopped.BUDGET:
        check_room(wallet.own_left, wallet.left, least, "another draw")
        tops = {name: getattr(wallet.budget, name) for name in ("calls", "tokens", "usd")}
        told = ", ".join(f"{name}={number(top)}" for name, top in tops.items() if top is not None)
        raise bad("mull.budget", f"leaves no room for a whole answer, which takes more than {told}", "budget_too_small")
    raise ApiError(502, "the model has no reply to this request", code="upstream_failed")
