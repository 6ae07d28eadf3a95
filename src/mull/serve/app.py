"""The gateway's application: its routes, and what every request goes through."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, NoReturn, TypeVar

from starlette.datastructures import Headers
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mull.bank import Bank
from mull.errors import UsageError
from mull.models.served.behind import Background, background
from mull.run.spans import continued
from mull.run.trace import as_fields
from mull.serve.accounts import Accounts, KeyWallet
from mull.serve.answering import CUT_SHORT_AS
from mull.serve.anthropic import Messages
from mull.serve.attend import GONE, ClientGone, Closing, Emit, EventStream, attended, in_time
from mull.serve.chats import Chat
from mull.serve.completions import Completions
from mull.serve.counted import check_counted
from mull.serve.faults import FAILED, KNOWN, ApiError, DayIsSpent, api_error
from mull.serve.fields import ChatFields
from mull.serve.forms import ChatForm, in_form, translated
from mull.serve.keys import Key, Keys, is_budgeted
from mull.serve.meters import Meters
from mull.serve.offer import Offer
from mull.serve.openapi import description
from mull.serve.page import FILES, MOST_FORM_BYTES, key_of_form, page_file, run_page
from mull.serve.parsing import checked, parsed
from mull.serve.plans import plan_of
from mull.serve.responses import Responses
from mull.serve.runs import Runs
from mull.serve.shaped import shaped
from mull.serve.shapes import event, told_cost, usage
from mull.wire.body import encode
from mull.wire.routes import CHAT

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[ASGIApp]]
"""What answers a request: it gives back a reply that can be sent."""
MODELS = "/v1/models"
RUNS = "/runs"
BODY_SECONDS = 30.0
"""Seconds in which a request's body must be there."""
LONGER = 5.0
"""Seconds for which a strategy whose seconds are over may still make an answer of what it has."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")
OPEN = ("/healthz", "/readyz", *FILES)
"""Paths that need no key: what watches over processes has none, and the page asks for one."""
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FORMS: Mapping[str, ChatForm | None] = {
    "/v1/chat/completions": None,
    "/v1/completions": Completions(),
    "/v1/responses": Responses(),
    "/v1/messages": Messages(),
}
"""The paths of requests, and how each form is told as a chat; `None` is a chat."""


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
        self.meters = Meters()
        self._probes = Background(self.meters.probed)
        self.runs = Runs(offer.serve.runs)
        self.closing = Closing()
        self._paths: Mapping[str, tuple[str, Endpoint]] = {
            "/healthz": ("GET", self._healthy),
            "/readyz": ("GET", self._ready),
            "/metrics": ("GET", self._measured),
            "/openapi.json": ("GET", self._described),
            MODELS: ("GET", self._models),
            RUNS: ("GET", self._listed_runs),
            **dict.fromkeys(FILES, ("GET", self._page)),
            **{path: ("POST", partial(self._answer, form)) for path, form in FORMS.items()},
        }
        self._app = ServerErrorMiddleware(self._answered, handler=_failed)

    async def close(self) -> None:
        """Ends what goes on behind requests."""
        await self._probes.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id, status, began = secrets.token_hex(12), GONE, time.perf_counter()
        scope["id"], scope["closing"] = id, self.closing
        is_whole = not _has_body(Headers(scope=scope))

        async def receive_told() -> Message:
            nonlocal is_whole
            message = await receive()
            is_whole = is_whole or (message["type"] == "http.request" and not message.get("more_body", False))
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", b"req_" + id.encode())]
                if not is_whole:  # or the rest of the body would be read, however long it takes
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        self.meters.running.inc()
        background.set(self._probes)
        try:
            await self._app(scope, receive_told, send_with_id)
        finally:
            self.meters.running.dec()
            path = scope["path"] if scope["path"] in self._paths else "other"
            ended = scope.get("ended", status)  # a stream ends as something that its headers do not tell
            self.meters.ended(path, scope.get("model", ""), ended, time.perf_counter() - began)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, if need be with an error. Paths are looked up, since a router takes ten times as long."""
        request = Request(scope, receive)
        try:
            check_head(scope["http_version"], request.headers)
            is_form = request.method == "POST" and scope["path"].startswith(f"{RUNS}/")
            scope["key"] = None if scope["path"] in OPEN or is_form else self.keys.of(request.headers)
            if not self.keys:
                check_local(request.headers)
            with continued(request.headers):
                response = await self._endpoint(request)(request)
                await response(scope, receive, send)
        except KNOWN as error:
            told = in_form(scope.get("form"), api_error(error) or FAILED)
            await _reply(told, scope["path"])(scope, receive, send)
        except ClientGone:
            return

    def _endpoint(self, request: Request) -> Endpoint:
        """What answers a path. Raises `ApiError` (404 or 405)."""
        path = request.scope["path"]
        method, found = self._paths.get(path, ("", None))
        if path.startswith(f"{MODELS}/"):
            method, found = "GET", self._model
        if path.startswith(f"{RUNS}/"):
            method, found = ("POST", self._run_page) if request.method == "POST" else ("GET", self._run)
        if found is None:
            raise ApiError(404, f"there is no {path[:200]}: {', '.join(self._paths)}", code="not_found")
        methods = ("GET", "HEAD") if method == "GET" else (method,)
        if request.method not in methods:
            what = f"{path[:200]} takes {method}, not {request.method}"
            raise ApiError(405, what, code="method_not_allowed", allow=", ".join(methods))
        return found

    async def _healthy(self, request: Request) -> Response:
        return as_json({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        """Whether requests can be answered: what keys have spent can be read."""
        if self._accounts is not None:
            self._accounts.elsewhere("", "")
        return as_json({"status": "ready"})

    async def _measured(self, request: Request) -> Response:
        """What all models and keys did, for keys that may ask for all models."""
        key: Key | None = request.scope["key"]
        if key is not None and key.table.models is not None:
            what = "metrics are of all models and keys: a key without a list of models may read them"
            raise ApiError(403, what, code="forbidden")
        return Response(self.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _described(self, request: Request) -> Response:
        return as_json(description(self._names(request), FORMS, has_keys=bool(self.keys)))

    def _names(self, request: Request) -> list[str]:
        """The models and presets that a request's key may ask for."""
        key: Key | None = request.scope["key"]
        return [name for name in self.offer.entries if key is None or key.may_use(name)]

    async def _models(self, request: Request) -> Response:
        return as_json({"object": "list", "data": [self._listed(name) for name in self._names(request)]})

    async def _model(self, request: Request) -> Response:
        name = request.scope["path"].removeprefix(f"{MODELS}/")
        return as_json(self._listed(self.offer.find(name, key=request.scope["key"]).name))

    def _listed(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._started, "owned_by": "mull"}

    async def _page(self, request: Request) -> Response:
        return page_file(request.scope["path"])

    async def _listed_runs(self, request: Request) -> Response:
        return as_json({"object": "list", "data": self.runs.listed(_owner(request.scope["key"]))})

    async def _run(self, request: Request) -> Response:
        """A run as a trace, in the format of its file."""
        id = request.scope["path"].removeprefix(f"{RUNS}/")
        return as_json(as_fields(self.runs.find(_owner(request.scope["key"]), id).trace))

    async def _run_page(self, request: Request) -> Response:
        """A run as a page, for a form: a link could send no key, but in an address, which is kept and shown."""
        key = self.keys.of(key_of_form(await body_of(request.headers, request.receive, MOST_FORM_BYTES, FORM)))
        kept = self.runs.find(_owner(key), request.scope["path"].removeprefix(f"{RUNS}/"))
        return await run_page(kept.trace, f"A run of {kept.model}")

    async def _answer(self, form: ChatForm | None, request: Request) -> ASGIApp:
        """A chat, or what stands for one in another form."""
        key: Key | None = request.scope["key"]
        if key is not None:
            key.admit()
        body = parsed(await body_of(request.headers, request.receive, self.offer.serve.body_bytes))
        if form is None:
            asked, fields = body, checked(ChatFields, body)
        else:
            checked(form.fields, body)
            asked = form.chat(body)
            request.scope["form"] = form  # errors from here on are those of the chat
            fields = checked(ChatFields, asked)
        check_counted(fields, {} if form is None else form.names)
        plan = plan_of(self.offer, fields, key)
        request.scope["model"] = plan.entry.name
        wallet = self._wallet(key)
        path = CHAT if form is None else form.path
        try:
            chat = Chat(
                f"chatcmpl-{request.scope['id']}",
                plan,
                fields,
                asked if path == CHAT else body,
                path=path,
                bank=self.bank,
                tenant=_owner(key),
                within=wallet,
                keep=partial(self.runs.keep, _owner(key), plan.asked_as) if self.offer.serve.runs else None,
            )
        except ApiError as error:
            _raise(error, wallet)
        # A form that the model's own server takes comes back from there as it is.
        told = None if chat.is_passed_on and path != CHAT else form
        if fields.stream:
            into = None if told is None else told.stream(body)

            async def streamed(emit: Emit) -> None:
                await self._metered(chat, wallet, chat.stream(emit if into is None else translated(into, emit)))

            def failed(error: ApiError) -> bytes:
                return event(error.body) if into is None else into.fail(error, usage((), chat.wallet))

            return EventStream(streamed, failed)
        reply = await attended(request.receive, self._metered(chat, wallet, chat.whole()), self.closing)
        if told is None and chat.raw is not None:
            return Response(chat.raw, headers=chat.headers, media_type="application/json")
        return as_json(reply if told is None else told.whole(shaped(reply), body), headers=chat.headers)

    async def _metered(self, chat: Chat, wallet: KeyWallet | None, work: Coroutine[Any, Any, T]) -> T:
        """The result of a chat's work. Counts what it spends, and ends it after its seconds.

        A strategy keeps the deadline itself, and has a little longer to give the best so far.
        """
        seconds = left = chat.plan.budget.seconds
        if left is not None and not chat.is_passed_on:
            left += LONGER
        try:
            return await in_time(work, left, seconds)
        except ApiError as error:
            if chat.wallet.away is not None and error.code in CUT_SHORT_AS:
                raise chat.wallet.away from error
            _raise(error, wallet)
        finally:
            self.meters.spent(chat.plan.entry.name, told_cost(chat.wallet.paid))

    def _wallet(self, key: Key | None) -> KeyWallet | None:
        """The wallet that pays for a request. Raises `ApiError` for a key that has spent its day's budget."""
        if key is None or self._accounts is None or not is_budgeted(key.table):
            return None
        wallet = self._accounts.wallet(key)
        wallet.check()
        return wallet


def _raise(error: ApiError, wallet: KeyWallet | None) -> NoReturn:
    """Raises the error of a request; where the key's budget is why, with what is left of it and when there is more."""
    if isinstance(error, DayIsSpent) and wallet is not None:
        raise wallet.refusal(error.need) from error
    raise error


def _owner(key: Key | None) -> str | None:
    """The name under which what a key did is kept."""
    return None if key is None else key.name


def as_json(told: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply of JSON. What clients sent may be in it, also characters that no text may have."""
    return Response(encode(told), status, headers, JSON)


async def body_of(headers: Headers, receive: Receive, most: int, media_type: str = JSON) -> bytes:
    """The body of a request. Raises `ApiError` for one that is too large, too slow, compressed or of another type."""
    if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("identity", ""):
        what = f"the content-encoding must be identity, not {coding[:40]!r}: send the body as it is"
        raise ApiError(415, what, code="unsupported_media_type")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        # Browsers send anything but JSON to other sites without asking.
        raise ApiError(415, f"the content-type must be {media_type}", code="unsupported_media_type")
    too_large = ApiError(413, f"the body is larger than {most:,} bytes", code="body_too_large")
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise too_large
    parts: list[bytes] = []
    n_bytes = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            is_more = True
            while is_more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part, is_more = message.get("body", b""), message.get("more_body", False)
                n_bytes += len(part)
                if n_bytes > most:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise ApiError(408, f"the body was not there within {BODY_SECONDS:g} s", code="body_too_slow") from None
    return b"".join(parts)


def _has_body(headers: Headers) -> bool:
    """Whether a request has a body, as far as its headers tell."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def check_head(http_version: str, headers: Headers) -> None:
    """Raises `ApiError` (400) unless a request names one host: what is in front of the gateway may go by the other."""
    if (n := len(headers.getlist("host"))) > 1 or (n == 0 and http_version == "1.1"):
        raise ApiError(400, f"a request has one Host header, not {n}", code="bad_request")


def check_local(headers: Headers) -> None:
    """Keeps the pages of other sites out of a gateway without keys. Raises `ApiError` (403)."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in LOCAL and host not in LOCAL:
        raise ApiError(403, f"a gateway without keys is for {', '.join(LOCAL)}, not {host[:100]!r}", code="wrong_host")


def _reply(error: ApiError, path: str) -> Response:
    """An error in the form of the path that was asked, or that the path is under."""
    form = FORMS.get(path) or next((one for at, one in FORMS.items() if path.startswith(f"{at}/")), None)
    return as_json(error.body if form is None else form.error(error), error.status, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return _reply(FAILED, request.scope["path"])
