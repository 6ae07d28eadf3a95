"""Schemas that would take long to check: what they may be, and that nobody waits for a check but who asked for it."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import aiohttp
import pytest

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer
from mull.serve import schemas
from mull.serve.schema_checks import SchemaChecks
from mull.serve.schemas import JsonReply

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=2"\n'


def table(server: FaultServer) -> str:
    return f'[models.words]\nbase_url = "{server.url}"\n{VOTE}'


def doubled(n: int) -> dict[str, Any]:
    """A chain of definitions in which each has two references to the next."""
    names = [f"#/$defs/a{i + 1}" for i in range(n)]
    told: dict[str, Any] = {f"a{i}": {"anyOf": [{"$ref": name}, {"$ref": name}]} for i, name in enumerate(names)}
    return {"$defs": {**told, f"a{n}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def nested(n: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(n):
        schema = {"not": schema}
    return schema


REFUSED: dict[str, dict[str, Any]] = {
    "more than 10,000 steps": doubled(14),
    "larger than 65,536 bytes": {"enum": ["x" * 70_000]},
    "deeper than 64 levels": nested(70),
    "more than 256 references": {"allOf": [{"$ref": "#/$defs/a"}] * 300, "$defs": {"a": {}}},
    "more than 256 patterns": {"patternProperties": {f"x{i}": {} for i in range(300)}},
    "points at nothing": {"$ref": "#/$defs/a"},
    "a pointer into the schema": {"$ref": "elsewhere.json"},
    "has a $dynamicRef": {"items": {"$dynamicRef": "#a"}},
    "an $id inside": {"items": {"$id": "a"}},
}


async def test_a_schema_that_takes_long_is_refused_with_its_path(gateway: Make) -> None:
    async with FaultServer(texts=('"x"',)) as upstream:
        async with gateway(table(upstream)) as served:
            for why, schema in REFUSED.items():
                form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}
                body = asked("chat/completions", "words@vote", response_format=form)
                status, _, text = await post(served.url, "chat/completions", body)
                assert status == 400, why
                error = error_of("chat/completions", text)
                assert error["param"] == "response_format.json_schema"
                assert why in error["message"]
        assert upstream.bodies == []


USUAL: list[tuple[dict[str, Any], Any]] = [
    (doubled(8), 3),
    ({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}, {"$ref": "a", "$id": "b"}),
    (
        {
            "$defs": {"node": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}},
            "$ref": "#/$defs/node",
        },
        {"next": {"next": None}},
    ),
    ({"definitions": {"a/b": {"type": "integer"}}, "items": {"$ref": "#/definitions/a~1b"}}, [1, 2]),
    ({"properties": {f"field{i}": {"type": "string"} for i in range(500)}}, {"field1": "x"}),
]


@pytest.mark.parametrize(("schema", "value"), USUAL)
def test_usual_schemas_are_taken(schema: dict[str, Any], value: Any) -> None:
    told = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert JsonReply.of({"name": "it", "schema": schema}).canonical(told) == told


WIDE = {"items": {"anyOf": [{"const": i} for i in range(3000)]}}
SLOW = json.dumps([*[2999] * 100_000, -1], separators=(",", ":"))
"""That it does not fit is known at its end, after each value before was compared to 3,000 others."""


class Seen(SchemaChecks):
    """Checks that have an hour, so that no machine is too slow for them; a test sees when one begins, and ends it."""

    def __init__(self) -> None:
        super().__init__(3600.0)
        self.is_begun = threading.Event()

    def _ask(self, schema: str, value: str, seconds: float) -> tuple[bool, float]:
        self.is_begun.set()
        return super()._ask(schema, value, seconds)

    def stop(self) -> None:
        while self._worker is None:
            time.sleep(0.01)
        self._worker.process.kill()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    with closing(Seen()) as opened:
        monkeypatch.setattr(schemas, "CHECKS", opened)
        yield opened


def test_checks_that_take_longer_are_made_in_another_process(checks: Seen) -> None:
    kind = JsonReply.of({"schema": WIDE})
    again = {"$ref": "#/$defs/a"}
    node = {"anyOf": [{"items": again}] * 2, "not": {"const": 1}}
    branching = JsonReply.of({"schema": {"$defs": {"a": node}, **again}})
    assert kind.canonical("[]") == "[]"
    assert checks._worker is None
    for _ in range(2):
        assert kind.canonical("[2999, 1]") == "[2999,1]"
        assert kind.canonical("[3000, 1]") is None
        assert branching.canonical("[[[2]]]") == "[[[2]]]"
        assert branching.canonical("[[[1]]]") is None
    assert checks._worker is not None


def test_a_check_that_is_not_over_in_time_ends_and_is_not_begun_again() -> None:
    with closing(SchemaChecks(0.05)) as checks:
        for told in (SLOW, "[1]"):
            assert not checks.fits(json.dumps(WIDE), told, checks.allowance())
            assert checks._worker is None


def test_all_checks_of_a_request_have_one_allowance() -> None:
    """Or many checks that are each just quick enough would keep the requests of others waiting."""
    with closing(SchemaChecks(3600.0)) as checks:
        allowance = checks.allowance()
        assert checks.fits(json.dumps(WIDE), "[1]", allowance)
        assert 0 < 3600.0 - allowance.left < 3600.0
        allowance.left = 0.0
        assert not checks.fits(json.dumps(WIDE), "[1]", allowance)
        assert checks.fits(json.dumps(WIDE), "[1]", checks.allowance())  # another request has its own
        allowance.left = 0.01
        assert not checks.fits(json.dumps(WIDE), SLOW, allowance)
        assert checks.fits(json.dumps(WIDE), "[1]", checks.allowance())  # the schema alone was not too slow


async def test_other_requests_are_answered_while_a_reply_is_checked(gateway: Make, checks: Seen) -> None:
    """The check would take minutes; it is ended once the others have been answered."""
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": WIDE}}
    async with FaultServer() as upstream, gateway(table(upstream)) as served:
        await served.ask("words@vote", "warm")
        upstream.texts = (SLOW,)
        body = asked(ROUTES[0], "words@vote", response_format=form, mull={"return": ["events"]}, stream=True)
        request = asyncio.ensure_future(post(served.url, ROUTES[0], body))
        await asyncio.to_thread(checks.is_begun.wait)
        async with aiohttp.ClientSession() as client, client.get(f"{served.url}/healthz") as reply:
            assert reply.status == 200
        assert not request.done()
        await asyncio.to_thread(checks.stop)
        status, _, text = await request
    assert status == 200
    assert '"chosen_by":"first draw"' in text
    assert '"answer":null' in text
