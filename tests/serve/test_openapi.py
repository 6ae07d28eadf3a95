"""The description that the gateway gives of itself: it is OpenAPI, and says of requests what the gateway does."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from mull.serve.app import FORMS
from mull.serve.fields import ChatFields
from odd_requests import BODIES, mutated

Make = Callable[..., Any]


def described(**told: Any) -> dict[str, Any]:
    from mull.serve.openapi import description

    return description(["nano", "nano@vote"], FORMS, has_keys=False, **told)


def schema_of(whole: dict[str, Any], path: str) -> jsonschema_rs.Validator:
    """The schema of a path's requests."""
    asked = whole["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**asked, "components": whole["components"]})


async def test_it_is_served_and_names_what_is_offered_to_the_key(gateway: Make) -> None:
    from mull.serve.keys import hash_of

    presets = '[presets.vote]\nstrategy = "majority:n=2"\n[serve]\nmodels = ["nano"]\n'
    key = f'[serve.keys.ann]\nsha256 = "{hash_of("k")}"\nmodels = ["nano"]\n'
    async with gateway(presets + key) as served:
        whole = await served.client_of("k").get("../openapi.json", cast_to=object)
    assert whole["openapi"].startswith("3.1")
    assert set(FORMS) < set(whole["paths"])
    assert whole["components"]["schemas"]["ChatFields"]["properties"]["model"]["enum"] == ["nano"]
    assert whole["security"] == [{"bearer": []}, {"key": []}]


def test_every_reference_leads_somewhere() -> None:
    whole = described()
    names = {text.rpartition("/")[2] for text in json.dumps(whole).split('"') if text.startswith("#/components/")}
    assert names
    assert names <= set(whole["components"]["schemas"])
    for path in FORMS:
        assert schema_of(whole, path).is_valid({**BODIES[path], "model": "nano", "input": "b?", "messages": [{}]})


@pytest.mark.parametrize("path", list(FORMS))
def test_a_schema_and_the_check_of_requests_agree(path: str) -> None:
    """On 500 bodies, of which most are wrong somewhere."""
    form = FORMS[path]
    fields, schema, rng = ChatFields if form is None else form.fields, schema_of(described(), path), random.Random(1)
    found = Counter[bool]()
    for _ in range(500):
        body = {"model": "nano", **mutated(BODIES[path], rng)}
        # A float without a fraction is an integer to JSON Schema alone, and half of a surrogate pair no text to it.
        if any(odd in json.dumps(body) for odd in ("1e+300", "ud800")):
            continue
        try:
            fields.model_validate(body)
            is_valid = True
        except ValidationError:
            is_valid = False
        assert schema.is_valid(body) == is_valid, body
        found[is_valid] += 1
    assert min(found[True], found[False]) > 50
