"""How a request is answered: its preset, what it says itself, and the ceilings of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mull import spec
from mull.cost import UNLIMITED, lowest
from mull.errors import MissingExtraError, SetupError, UsageError
from mull.run import Strategy
from mull.run.needs import check_given, check_scorable, needs_of
from mull.serve.confidence import ConfidenceCurve
from mull.serve.expect import may_be
from mull.serve.faults import api_error, bad, in_body
from mull.serve.fields import AskedBudget, ChatFields, Controls
from mull.serve.keys import Key
from mull.serve.messages import is_usual
from mull.serve.offer import Entry, Offer, Preset, ceilings_of, kind_of
from mull.serve.schemas import CallOrReply, JsonReply
from mull.types import AnswerKind, Budget, Executor, Judge, Kind, Need, Problem, Prompt, Verifier

MOST = 4096
"""The largest number that the strategy of a request may name, such as its draws."""


NOTHING = Controls()
"""What a request says that has no object `mull`."""


@dataclass(frozen=True)
class ChatPlan:
    """How one request is answered. `strategy=None`: by the model alone, `n` times.

    `budget` is its ceiling: the lowest of the gateway's, the key's, the preset's and its own. `clamped` has what it
    asked for beyond that, by name.
    """

    entry: Entry
    budget: Budget
    asked_as: str
    """The name that the client asked for, which its reply repeats."""
    strategy: Strategy | None = None
    verifier: Verifier | None = None
    judge: Judge | None = None
    executor: Executor | None = None
    kind: AnswerKind | Kind = AnswerKind.TEXT
    temperature: float = 1.0
    max_tokens: int = 4096
    abstain: float | None = None
    calibration: ConfidenceCurve | None = None
    returns: frozenset[str] = frozenset()
    clamped: Mapping[str, float] | None = None
    sides: tuple[ChatPlan, ...] = ()
    """The plans of presets that are compared, each with the same ceiling, which is half of `budget`."""

    @property
    def is_for_effort(self) -> bool:
        """Whether the preset stands for a reasoning effort, which then goes to no server."""
        return self.asked_as != self.entry.name and not self.sides

    @property
    def name(self) -> str | None:
        """The spec of the strategy."""
        return None if self.strategy is None else spec.describe(spec.STRATEGIES, self.strategy)

    def problem(self, prompt: Prompt) -> Problem:
        """The problem that the strategy gets. Raises `UsageError` if the verifier could score no reply to it."""
        problem = Problem("chat", prompt, self.kind)
        check_scorable(self.verifier, [problem])
        return problem


def plan_of(offer: Offer, chat: ChatFields, key: Key | None = None) -> ChatPlan:
    """The plan for a request. Raises `ApiError` for what it must not or cannot ask for."""
    if (
        chat.mull is None
        and chat.reasoning_effort is None
        and (plain := offer.plain.get((chat.model, key))) is not None
    ):
        return plain  # type: ignore[no-any-return]
    told = chat.mull or NOTHING
    if told.compare is not None:
        return _compared(offer, chat, told, told.compare, key)
    entry = offer.find(chat.model, None if told.strategy is not None else chat.reasoning_effort, key)
    preset = entry.preset
    budget = lowest(_allowed(offer, key), UNLIMITED if preset is None else preset.budget, _asked(told))
    plan = ChatPlan(
        entry,
        budget,
        chat.model,
        max_tokens=offer.serve.max_tokens,
        returns=frozenset(told.returns),
        clamped=_clamped(told, budget),
    )
    if preset is not None:
        plan = replace(
            plan,
            strategy=preset.strategy,
            verifier=preset.verifier,
            judge=preset.judge,
            kind=preset.kind or AnswerKind.TEXT,
            temperature=preset.temperature,
            max_tokens=preset.max_tokens or plan.max_tokens,
            abstain=preset.abstain,
        )
    plan = _as_told(offer, plan, told, key)
    if plan.strategy is None:
        if chat.mull is None and chat.reasoning_effort is None:
            offer.plain[chat.model, key] = plan
        return plan
    if Need.EXECUTOR in needs_of(plan.strategy):
        plan = replace(plan, executor=offer.executor())
    _check_given(offer, plan, told, key)
    plan = _with_form(plan, chat, told)
    if preset is not None and preset.calibration is not None and _is_as_fitted(plan, chat, preset):
        return replace(plan, calibration=preset.calibration)
    return plan


def _is_as_fitted(plan: ChatPlan, chat: ChatFields, preset: Preset) -> bool:
    """Whether a request draws, reads and chooses as its preset does alone, which is what a curve is fitted to.

    Its length is left to the draws: one that none of them comes to changes none.
    """
    if plan.is_for_effort:
        chat = chat.model_copy(update={"reasoning_effort": None})
    parts = (plan.strategy, plan.verifier, plan.judge, plan.kind, plan.temperature)
    own = (preset.strategy, preset.verifier, preset.judge, preset.kind or AnswerKind.TEXT, preset.temperature)
    return parts == own and is_usual(chat, plan.temperature)


def _check_given(offer: Offer, plan: ChatPlan, told: Controls, key: Key | None) -> None:
    """Raises `ApiError` for a verifier or judge that the strategy needs and the request could name."""
    try:
        check_given(plan.strategy, plan.verifier, plan.judge, plan.executor)
    except UsageError as error:
        needs = needs_of(plan.strategy)
        for kind, need in (("verifier", {Need.VERIFIER, Need.STEPS}), ("judge", {Need.JUDGE})):
            if needs & need and getattr(plan, kind) is None:
                raise bad(f"mull.{kind}", f"is missing: the strategy needs {_offered(offer, kind, key)}") from error
        raise bad("mull.strategy" if told.verifier is None else "mull.verifier", in_body(str(error))) from error


def _offered(offer: Offer, kind: str, key: Key | None) -> str:
    """The verifiers or judges that a request may name, in words."""
    known = offer.known(kind, key)
    return f"one of {', '.join(known)}" if known else f"a {kind}, and this gateway offers none"


def _allowed(offer: Offer, key: Key | None) -> Budget:
    """What the gateway and the key allow one request."""
    return lowest(ceilings_of(offer.serve), UNLIMITED if key is None else ceilings_of(key.table))


def _asked(told: Controls) -> Budget:
    """The ceilings that a request sets itself."""
    return Budget(told.budget.calls, told.budget.tokens, told.budget.usd, None, told.budget.seconds)


def _clamped(told: Controls, budget: Budget) -> dict[str, float] | None:
    """What a request asked for beyond its ceilings, by name; `None`: nothing."""
    asked = {name: getattr(told.budget, name) for name in ("calls", "tokens", "usd", "seconds")}
    return {name: top for name, top in asked.items() if top is not None and top > getattr(budget, name)} or None


def _compared(offer: Offer, chat: ChatFields, told: Controls, names: Sequence[str], key: Key | None) -> ChatPlan:
    """The plan of a request that compares two presets.

    Each gets the lowest of what both presets allow, and half of what the gateway, the key and the request allow, so
    that both together keep to that.
    """
    for name in ("strategy", "verifier", "judge"):
        if getattr(told, name) is not None:
            raise bad(f"mull.{name}", "does not go with mull.compare: the presets say it")
    if offer.find(chat.model, key=key).preset is not None:
        raise bad("model", "must be a model without a preset, since mull.compare names two")
    if (chat.n or 1) != 1:
        raise bad("n", "must be 1 with mull.compare")
    fulls = {full for full in offer.entries if key is None or key.may_use(full)}
    presets = [full.removeprefix(f"{chat.model}@") for full in sorted(fulls) if full.startswith(f"{chat.model}@")]
    sides: list[ChatPlan] = []
    for i, name in enumerate(names):
        if (full := f"{chat.model}@{name}") not in fulls:
            known = f": {', '.join(presets)}" if presets else ", and there is none that may be named here"
            raise bad(f"mull.compare[{i}]", f"must be a preset of {chat.model}{known}")
        alone = told.model_copy(update={"compare": None, "budget": AskedBudget()})
        sides.append(plan_of(offer, chat.model_copy(update={"model": full, "mull": alone}), key))
    if names[0] == names[1]:
        raise bad("mull.compare[1]", "must be another preset than the first")
    for name, own in (("temperature", chat.temperature), ("max_tokens", chat.most_tokens)):
        if own is None and len({getattr(side, name) for side in sides}) == 2:
            raise bad("mull.compare", f"the presets differ in {name}, so their draws do: set it in the request")
    both = lowest(_scaled(lowest(*(side.budget for side in sides)), 2), _allowed(offer, key))
    each = _scaled(lowest(both, _asked(told)), 0.5)
    if each.calls == 0 or each.tokens == 0:
        where = "mull.compare" if 1 in (both.calls, both.tokens) else "mull.budget"
        raise bad(where, "the ceilings on this request leave no room for two presets", "budget_too_small")
    clamped = _clamped(told, both)
    sides = [replace(side, budget=each, asked_as=chat.model) for side in sides]
    return replace(sides[0], budget=_scaled(each, 2), clamped=clamped, sides=tuple(sides))


def _scaled(budget: Budget, by: float) -> Budget:
    """Ceilings times `by`; whole numbers are rounded down."""
    calls, tokens = (None if top is None else int(top * by) for top in (budget.calls, budget.tokens))
    usd, seconds = (None if top is None else top * by for top in (budget.usd, budget.seconds))
    return Budget(calls, tokens, usd, None, seconds)


def _as_told(offer: Offer, plan: ChatPlan, told: Controls, key: Key | None) -> ChatPlan:
    """The plan with what the request says itself."""
    if told.strategy is not None:
        plan = replace(plan, strategy=_strategy(offer, told.strategy, key))
    elif plan.strategy is None:
        for name in ("verifier", "judge", "answer", "abstain"):
            if getattr(told, name) is not None:
                raise bad(f"mull.{name}", "goes with mull.strategy, or with a preset as in MODEL@PRESET")
    if told.verifier is not None:
        plan = replace(plan, verifier=_chosen(offer, "verifier", told.verifier, key))
    if told.judge is not None:
        plan = replace(plan, judge=_chosen(offer, "judge", told.judge, key))
    if told.abstain is not None:
        plan = replace(plan, abstain=told.abstain)
    if told.answer is not None:
        try:
            plan = replace(plan, kind=kind_of(told.answer, may_be_pattern=False))
        except UsageError as error:
            raise bad("mull.answer", str(error)) from error
    return plan


def _with_form(plan: ChatPlan, chat: ChatFields, told: Controls) -> ChatPlan:
    """The plan with the kind of answer that the form of the reply decides, unless the request names one."""
    form = chat.response_format or {}
    match form.get("type", "text"):
        case "text":
            is_called = bool(chat.tools) and chat.tool_choice != "none"
            return replace(plan, kind=CallOrReply(plan.kind)) if is_called and told.answer is None else plan
        case "json_object":
            return replace(plan, kind=JsonReply())
        case "json_schema":
            if isinstance(schema := form.get("json_schema"), dict):
                may_be(str, "a text", schema, ("name", "description"), "response_format.json_schema")
                may_be(bool, "true or false", schema, ("strict",), "response_format.json_schema")
                may_be((dict, bool), "a JSON Schema", schema, ("schema",), "response_format.json_schema")
            try:
                return replace(plan, kind=JsonReply.of(schema))
            except MissingExtraError as error:
                raise api_error(error) or error from error
            except UsageError as error:
                raise bad("response_format.json_schema", str(error)) from error
    raise bad("response_format.type", 'must be "text", "json_object" or "json_schema"')


def _chosen(offer: Offer, kind: str, name: str, key: Key | None) -> Any:
    """The verifier or judge of a name, which must not be a spec: it could say where to send replies."""
    if not offer.has(kind, name, key):
        raise bad(f"mull.{kind}", f"must be {_offered(offer, kind, key)}")
    try:
        return offer.verifier(name) if kind == "verifier" else offer.judge(name)
    except SetupError:
        raise
    except UsageError as error:
        raise bad(f"mull.{kind}", in_body(str(error))) from error


def _strategy(offer: Offer, text: str, key: Key | None) -> Any:
    """The strategy of a request's spec, which reaches nothing but what its key may: no file, no address, no module."""

    def model(name: str) -> Any:
        known = [one for one in offer.models if key is None or key.may_use(one)]
        if name not in known:
            why = f"not among the models: {', '.join(known)}" if known else "not a model that this key may name"
            raise UsageError(f"{name[:200]!r} is {why}")
        return offer.models[name]

    def named(kind: str) -> spec.Make:
        return lambda name: _chosen(offer, kind, name, key)

    try:
        made = spec.strategy(text, may_import=False, models=model, verifiers=named("verifier"), judges=named("judge"))
        _check_options(made, "")
    except (UsageError, RecursionError) as error:
        raise bad("mull.strategy", in_body(str(error))) from error
    return made


def _check_options(strategy: Any, place: str) -> None:
    """Raises `UsageError` for options that a request may not set: texts, which may name files, and large numbers."""
    hints = get_type_hints(type(strategy))
    for field in fields(strategy):
        value = getattr(strategy, field.name)
        where = f"{place}{field.name}"
        if value == field.default:
            continue
        if isinstance(value, str) and get_origin(hints[field.name]) is not Literal:
            literals = [one for one in get_args(hints[field.name]) if get_origin(one) is Literal]
            if not any(value in get_args(one) for one in literals):
                raise UsageError(f"{where} is a text, which only a preset may set")
        if isinstance(value, int | float) and not -MOST <= value <= MOST:
            raise UsageError(f"{where}={value} is more than a request may name ({MOST:,})")
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            if is_dataclass(part) and callable(part):
                _check_options(part, f"{where}.")
