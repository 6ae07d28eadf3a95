"""The gateway's application: its routes, and what every request goes through."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from mull.bank import Bank
from mull.errors import UsageError
from mull.serve.accounts import Accounts, KeyWallet
from mull.serve.attend import ClientGone, Emit, EventStream, attended
from mull.serve.chats import Chat
from mull.serve.faults import KNOWN, ApiError, api_error
from mull.serve.fields import ChatFields, checked, parsed
from mull.serve.keys import Key, Keys, is_budgeted
from mull.serve.offer import Offer, lowest
from mull.serve.plans import plan_of
from mull.types import Budget

BODY_SECONDS = 30.0
"""Seconds in which a request's body must be there."""
GONE = 499
"""The status of a request whose client left; nobody reads it."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Gateway:
    """The application over an offer. `bank`, if any, keeps every finished draw, `accounts` what keys have spent.

    Raises `UsageError` for keys with budgets and no accounts.
    """

    def __init__(self, offer: Offer, bank: Bank | None = None, accounts: Accounts | None = None) -> None:
        self.offer, self.bank, self._accounts = offer, bank, accounts
        self.keys = Keys(offer.serve.keys)
        if accounts is None and any(is_budgeted(table) for table in offer.serve.keys.values()):
            raise UsageError("keys with budgets need accounts, which keep what they have spent")
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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = f"req_{secrets.token_hex(12)}"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = id
            await send(message)

        try:
            headers = Headers(scope=scope)
            scope["key"] = self.keys.of(headers)
            if not self.keys:
                check_local(headers)
        except ApiError as error:
            await JSONResponse(error.body, error.status, error.headers)(scope, receive, send_with_id)
        else:
            await self._app(scope, receive, send_with_id)

    async def _models(self, request: Request) -> Response:
        key: Key | None = request.scope["key"]
        names = [name for name in self.offer.entries if key is None or key.may_use(name)]
        return JSONResponse({"object": "list", "data": [self._listed(name) for name in names]})

    async def _model(self, request: Request) -> Response:
        return JSONResponse(self._listed(self.offer.find(request.path_params["name"], key=request.scope["key"]).name))

    def _listed(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "mull"}

    async def _chat(self, request: Request) -> Any:
        key: Key | None = request.scope["key"]
        if key is not None:
            key.admit()
        body = parsed(await body_of(request, self.offer.serve.body_bytes))
        fields = checked(ChatFields, body)
        plan = plan_of(self.offer, fields, key)
        wallet = self._wallet(key)
        id = f"chatcmpl-{secrets.token_hex(12)}"
        with _own_or(wallet, plan.budget):
            tenant = None if key is None else key.name
            chat = Chat(id, plan, fields, body, bank=self.bank, tenant=tenant, within=wallet)

        async def streamed(emit: Emit) -> None:
            with _own_or(wallet, plan.budget):
                await chat.stream(emit)

        if fields.stream:
            return EventStream(streamed)
        seconds = plan.budget.seconds
        try:
            # A strategy keeps the deadline itself and gives the best so far; only what is passed on is cut off.
            async with asyncio.timeout(seconds if chat.is_passed_on else None):
                with _own_or(wallet, plan.budget):
                    reply = await attended(request.receive, chat.whole())
        except TimeoutError:
            raise ApiError(504, f"no whole reply within {seconds:g} s", code="deadline") from None
        return JSONResponse(reply, headers=chat.headers)

    def _wallet(self, key: Key | None) -> KeyWallet | None:
        """The wallet that pays for a request. Raises `ApiError` for a key that has spent its day's budget."""
        if key is None or self._accounts is None or not is_budgeted(key.table):
            return None
        wallet = self._accounts.wallet(key)
        wallet.check()
        return wallet


@contextmanager
def _own_or(wallet: KeyWallet | None, own: Budget) -> Iterator[None]:
    """Tells a client whose request had no room for a reply that it is the key's budget, where it is."""
    try:
        yield
    except ApiError as error:
        if error.code == "budget_too_small" and wallet is not None and lowest(own, wallet.left) != own:
            raise wallet.refusal() from error
        raise


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


def check_local(headers: Headers) -> None:
    """Keeps the pages of other sites out of a gateway without keys. Raises `ApiError` (403)."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in LOCAL and host not in LOCAL:
        raise ApiError(403, f"a gateway without keys is for {', '.join(LOCAL)}, not {host[:100]!r}", code="wrong_host")


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
