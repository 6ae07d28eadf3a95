"""Schemas of a request that would take long to check are refused before anything is drawn; usual ones are not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from asking import asked, error_of, post
from fault_server import FaultServer
from mull.serve.schemas import JsonReply

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=2"\n'


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
    "points at nothing": {"$ref": "#/$defs/a"},
    "a pointer into the schema": {"$ref": "elsewhere.json"},
    "has a $dynamicRef": {"items": {"$dynamicRef": "#a"}},
    "an $id inside": {"items": {"$id": "a"}},
}


async def test_a_schema_that_takes_long_is_refused_with_its_path(gateway: Make) -> None:
    async with FaultServer(texts=('"x"',)) as upstream:
        async with gateway(f'[models.words]\nbase_url = "{upstream.url}"\n{VOTE}') as served:
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


def test_a_reply_too_deep_for_a_schema_that_branches_in_itself_does_not_count() -> None:
    again = {"$ref": "#/$defs/a"}
    schema = {"$defs": {"a": {"anyOf": [{"items": again}, {"items": again}]}}, "$ref": "#/$defs/a"}
    kind = JsonReply.of({"name": "it", "schema": schema})
    assert kind.canonical("[" * 20 + "]" * 20) == "[" * 20 + "]" * 20
    assert kind.canonical("[" * 30 + "]" * 30) is None
