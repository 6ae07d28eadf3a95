"""The OpenAPI description of the gateway, made from the models that check requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from mull import __version__
from mull.serve.fields import ChatFields, RequestFields
from mull.serve.forms import ChatForm

PLACE = "#/components/schemas/"
ERRORS: Mapping[int, str] = {
    400: "A field is wrong, or a strategy cannot be followed: `param` is its path.",
    401: "There is no key, or it is not known.",
    402: "The budget of the key is spent for today.",
    403: "A gateway without keys was asked under another name than `localhost`.",
    404: "There is no such model or path.",
    405: "The path takes another method.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    429: "There were too many requests in a minute.",
    501: "A part of mull is not installed.",
    502: "The model's server failed.",
    503: "The model's server is away: `retry-after` says when to come back.",
    504: "The seconds were over before anything was whole.",
}
"""The statuses of errors, and when they come."""
TEXT, LIST, NUMBER = {"type": "string"}, {"type": "array"}, {"type": "integer"}
REPLIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {"id": TEXT, "object": TEXT, "model": TEXT, "choices": LIST},
    "/v1/completions": {"id": TEXT, "object": TEXT, "model": TEXT, "choices": LIST},
    "/v1/responses": {"id": TEXT, "object": TEXT, "model": TEXT, "status": TEXT, "output": LIST},
    "/v1/messages": {"id": TEXT, "type": TEXT, "model": TEXT, "content": LIST, "stop_reason": {}},
}
"""The fields that every whole reply has, by path."""
MODEL = {"id": TEXT, "object": TEXT, "created": NUMBER, "owned_by": TEXT}


def description(names: Sequence[str], forms: Mapping[str, ChatForm | None], *, has_keys: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 description for a client that may ask for the models and presets of these names."""
    bodies: dict[str, type[RequestFields]] = {
        path: ChatFields if form is None else form.fields for path, form in forms.items()
    }
    _, told = models_json_schema([(body, "validation") for body in bodies.values()], ref_template=PLACE + "{model}")
    schemas: dict[str, Any] = told["$defs"]
    for body in bodies.values():
        schemas[body.__name__]["properties"]["model"] = {"type": "string", "enum": list(names)}
    schemas["Model"] = _object(MODEL)
    schemas["Models"] = _object({"object": TEXT, "data": {"type": "array", "items": {"$ref": PLACE + "Model"}}})
    error = _object({"message": TEXT, "type": TEXT, "param": {}, "code": {}})
    schemas["Error"] = _object({"error": error})
    # Anthropic's errors tell no path and no code.
    schemas["MessageError"] = _object({"type": TEXT, "error": _object({"type": TEXT, "message": TEXT})})
    status = _object({"status": TEXT})
    place = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "enum": list(names)}}
    paths: dict[str, Any] = {
        **{path: {"post": _asking(path, body)} for path, body in bodies.items()},
        "/v1/models": {"get": _got("The models and presets that may be asked for.", {"$ref": PLACE + "Models"})},
        "/v1/models/{id}": {
            "get": {**_got("One model or preset.", {"$ref": PLACE + "Model"}), "parameters": [place]},
        },
        "/runs": {"get": _got("The past runs that this key asked to keep.", _object({"object": TEXT, "data": LIST}))},
        "/healthz": {"get": {**_got("Whether the process answers.", status), "security": [{}]}},
        "/readyz": {"get": {**_got("Whether requests can be answered.", status), "security": [{}]}},
    }
    keys = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "mull", "version": __version__, "description": "Test-time scaling behind OpenAI's API."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": keys},
        "security": [{"bearer": []}, {"key": []}] if has_keys else [{}],
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all of these fields, and may have others."""
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": dict(schema)}}


def _errors(path: str = "") -> dict[str, Any]:
    schema = {"$ref": PLACE + ("MessageError" if path == "/v1/messages" else "Error")}
    return {str(status): {"description": what, "content": _json(schema)} for status, what in ERRORS.items()}


def _got(what: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """An operation without a body."""
    return {"summary": what, "responses": {"200": {"description": what, "content": _json(schema)}, **_errors()}}


def _asking(path: str, body: type[RequestFields]) -> dict[str, Any]:
    """An operation that answers a request."""
    content = {**_json(_object(REPLIES[path])), "text/event-stream": {}}
    return {
        "summary": (body.__doc__ or "").strip(),
        "requestBody": {"required": True, "content": _json({"$ref": PLACE + body.__name__})},
        "responses": {"200": {"description": "The reply, whole or as a stream.", "content": content}, **_errors(path)},
    }
