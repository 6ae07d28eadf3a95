"""The laws that every model in the table must keep, and the one behind a server that fails: see `mull.testing`."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import count, cycle
from pathlib import Path

import pytest

from fault_server import FaultServer
from gguf_files import gguf_file
from hf_folders import hf_folder
from mull import Budget, Params, Prompt, spec, testing
from mull.cost import Price
from mull.models.served.deployment import Deployment
from mull.models.served.model import OpenAIModel
from mull.runtime import WEIGHTS
from mull.types import Model
from mull.wire.endpoints import Limits

FAST = Limits(backoff=0.002, longest_backoff=0.01, timeout=60.0, idle=30.0, connect=30.0, patience=5.0)
CHAIN = Prompt.user("b:a+45;a:9;c:b-30;c?")
HELLO = Prompt.user("hello")
SPECS = {
    "nano": ("nano", CHAIN, "a"),
    "mini": ("mini", CHAIN, "a"),
    "nano-r1": ("nano-r1", CHAIN, "a"),
    "nano-think": ("nano-think", CHAIN, "a"),
    "trained": ("trained:WEIGHTS", CHAIN, "a"),
    "gguf": ("gguf:file=GGUF,slots=4,context=256,threads=1", HELLO, "a"),
    "hf": ("hf:folder=HF,context=256", HELLO, "a"),
    "banked": ("banked:model=gone", HELLO, "a"),
    "recorded": ("recorded:path=FILE", HELLO, "a"),
}


@dataclass
class Case:
    """A model and what to ask of it; `server` is what it is behind."""

    model: Model
    prompt: Prompt
    word: str
    server: FaultServer | None = None

    params = Params(max_tokens=12)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Case]:
    monkeypatch.setenv("MULL_BANK", str(tmp_path / "bank.db"))
    path = tmp_path / "recorded.jsonl"
    samples = [{"text": f"answer: {i}"} for i in range(6)]
    path.write_text(json.dumps({"problem_id": "p", "prompt": "hello", "samples": samples}) + "\n")

    def built(name: str) -> Case:
        text, prompt, word = SPECS[name]
        if name == "gguf":
            text = text.replace("GGUF", str(gguf_file()))
        if name == "hf":
            text = text.replace("HF", str(hf_folder(tmp_path / "tiny")))
        text = text.replace("FILE", str(path)).replace("WEIGHTS", str(WEIGHTS / "nano"))
        return Case(spec.build("model", spec.MODELS, text), prompt, word)

    return built


def served(server: FaultServer, **options: object) -> OpenAIModel:
    price = Price(1.0, 2.0, active_params=1e9)
    limits = replace(FAST, **options)
    return OpenAIModel(Deployment("words", (server.url,), "words", limits=limits, price=price, bank_as="words"))


@pytest.fixture(params=[*SPECS, "fake", "served", "served, one draw a request", "served, no seeds"])
async def case(request: pytest.FixtureRequest, make: Callable[[str], Case]) -> AsyncIterator[Case]:
    if request.param in SPECS:
        yield make(request.param)
    elif request.param == "fake":
        yield Case(testing.FakeModel(), HELLO, "a")
    else:
        n, seeds = "yes" if request.param == "served" else "rejected", request.param != "served, no seeds"
        async with FaultServer(n=n, has_seed=seeds) as server:
            model = served(server)
            await model.prepare()
            yield Case(model, HELLO, "add", server)


def test_every_model_of_the_table_is_here() -> None:
    assert set(SPECS) == set(spec.MODELS)


async def test_draws_come_back_under_their_numbers(case: Case) -> None:
    await testing.check_numbers(case.model, case.prompt, case.params)


async def test_a_draw_does_not_depend_on_its_batch(case: Case) -> None:
    await testing.check_batch(case.model, case.prompt, case.params)


async def test_no_draw_costs_more_than_was_quoted(case: Case) -> None:
    await testing.check_quote(case.model, case.prompt, case.params)


async def test_what_is_cut_off_is_told_of(case: Case) -> None:
    await testing.check_cancelled(case.model, case.prompt, case.params)


async def test_no_ceiling_is_exceeded(case: Case) -> None:
    for budget in testing.ceilings(case.model.quote(case.prompt, case.params)):
        await testing.check_model_ceiling(case.model, case.prompt, case.params, budget)


async def test_a_ceiling_that_nobody_can_keep_is_refused(case: Case) -> None:
    for budget in (Budget(calls=2), Budget(tokens=20), Budget(usd=1e-5), Budget(flops=1e9)):
        await testing.check_model_ceiling(case.model, case.prompt, case.params, budget)


async def test_a_replay_costs_nothing(case: Case) -> None:
    await testing.check_model_replay(case.model, case.prompt, case.params)


async def test_it_refuses_before_anything_is_spent_and_else_does_it(case: Case) -> None:
    await testing.check_refuses(case.model, case.prompt, case.params, case.word)


FAULTS = {
    "refusals": ("429", "ok", "503", "429-after", "429", "ok"),
    "broken": ("500", "truncated", "ok", "reset", "not-json", "500", "no-choices"),
    "useless": ("empty", "no-finish", "null", "ok", "empty", "empty"),
    "for good": ("400", "ok", "quota"),
}


@pytest.mark.parametrize("faults", FAULTS)
async def test_ceilings_hold_where_a_server_fails(make: Callable[[str], Case], faults: str) -> None:
    """Also as the server counts it: it makes no more words than the ceiling on tokens."""
    async with FaultServer(n="rejected") as server:
        model = served(server, retries=3)
        await model.prepare()
        params = Params(max_tokens=12)
        for budget in testing.ceilings(model.quote(HELLO, params)):
            server._script, n_before = iter(FAULTS[faults] * 3), server.counts["words"]
            await testing.check_model_ceiling(model, HELLO, params, budget)
            assert budget.tokens is None or server.counts["words"] - n_before <= budget.tokens


@pytest.mark.parametrize("n", ["yes", "rejected"])
async def test_a_server_that_is_left_half_way_is_counted_by_what_it_was_asked(
    make: Callable[[str], Case], n: str
) -> None:
    """Every draw that the server was asked for is delivered or lost, where one answers at once and the others never."""
    async with FaultServer(n=n) as server:
        model = served(server)
        await model.prepare()
        rounds, n_before = count(1), len(server.bodies)
        width, faults = (1, ("hang",)) if n == "yes" else (4, ("ok", "hang", "hang", "hang"))
        server._script = cycle(faults)

        def begun() -> int:
            return sum(body.get("n", 1) for body in server.bodies[n_before:])

        async def underway() -> None:
            await server.asked(n_before + width * next(rounds))

        taken = (0,) if n == "yes" else (0, 1)
        await testing.check_cancelled(model, HELLO, Params(max_tokens=24), underway, begun, taken)
