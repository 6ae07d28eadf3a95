"""The gateway's application: its routes, and what every request goes through."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mull.bank import Bank
from mull.serve.attend import ClientGone, EventStream, attended
from mull.serve.chats import Chat
from mull.serve.faults import KNOWN, ApiError, api_error, bad
from mull.serve.fields import ChatFields, checked, parsed
from mull.serve.offer import Offer
from mull.serve.plans import plan_of

BODY_SECONDS = 30.0
"""Seconds in which a request's body must be there."""
GONE = 499
"""The status of a request whose client left; nobody reads it."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Gateway:
    """The application over an offer. `bank`, if any, keeps every finished draw."""

    def __init__(self, offer: Offer, bank: Bank | None = None) -> None:
        self.offer, self.bank = offer, bank
        self._started = int(time.time())
        routes = [
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name:path}", self._model, methods=["GET"]),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
        ]
        handlers: dict[Any, Any] = dict.fromkeys((*KNOWN, HTTPException), _told)
        handlers |= {ClientGone: _gone, ClientDisconnect: _gone, Exception: _failed}
        self._app = Starlette(routes=routes, exception_handlers=handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _front(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._listed(name) for name in self.offer.entries]})

    async def _model(self, request: Request) -> Response:
        return JSONResponse(self._listed(self.offer.find(request.path_params["name"]).name))

    def _listed(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "mull"}

    async def _chat(self, request: Request) -> Any:
        body = parsed(await body_of(request, self.offer.serve.body_bytes))
        fields = checked(ChatFields, body)
        plan = plan_of(self.offer, fields)
        chat = Chat(f"chatcmpl-{secrets.token_hex(12)}", plan, fields, body, bank=self.bank)
        seconds = plan.budget.seconds
        if fields.stream:
            return EventStream(chat.stream)
        try:
            # A strategy keeps the deadline itself and gives the best so far; only what is passed on is cut off.
            async with asyncio.timeout(seconds if chat.is_passed_on else None):
                reply = await attended(request.receive, chat.whole())
        except TimeoutError:
            raise ApiError(504, f"no whole reply within {seconds:g} s", code="deadline") from None
        return JSONResponse(reply, headers=chat.headers)


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request. Raises `ApiError` for one that is too large, too slow or no JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # Browsers send anything else to other sites without asking.
        raise ApiError(415, "the content-type must be application/json", code="unsupported_media_type")
    too_large = ApiError(413, f"the body is larger than {most:,} bytes", code="body_too_large")
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise too_large
    parts: list[bytes] = []
    n_bytes = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                n_bytes += len(part)
                if n_bytes > most:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise ApiError(408, f"the body was not there within {BODY_SECONDS:g} s", code="body_too_slow") from None
    return b"".join(parts)


async def _front(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Gives a request an id, and keeps pages of other sites out of a gateway on this machine."""
    id = f"req_{secrets.token_hex(12)}"

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["x-request-id"] = id
        await send(message)

    host = Headers(scope=scope).get("host", "")
    if host.rpartition(":")[0] not in LOCAL and host not in LOCAL:
        error = bad(None, f"this gateway is for this machine alone: ask for {', '.join(LOCAL)}", "wrong_host")
        await JSONResponse(error.body, error.status, error.headers)(scope, receive, send_with_id)
        return
    await app(scope, receive, send_with_id)


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        told = ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}")
    else:
        told = api_error(error) or ApiError(500, "the gateway failed")
    return JSONResponse(told.body, told.status, told.headers)


async def _failed(request: Request, error: Exception) -> Response:
    told = ApiError(500, "the gateway failed; its log says why", code="internal_error")
    return JSONResponse(told.body, told.status, told.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)
