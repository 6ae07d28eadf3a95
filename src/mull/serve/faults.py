"""Errors of the gateway, in the form that OpenAI's clients read."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from mull.errors import (
    BankError,
    MissingExtraError,
    ModelError,
    MullError,
    ParamError,
    PromptError,
    SandboxError,
    SetupError,
    UsageError,
    VerifierError,
)
from mull.shown import Inert
from mull.types import Cost
from mull.wire.faults import Broken, Failure, Refused, Rejected, Unusable

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""Seconds after which to come back where the server that failed does not say."""
TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    408: "timeout_error",
    429: "rate_limit_error",
}
"""The `type` of an error by its status; else `invalid_request_error` or `server_error`."""


class ApiError(Exception):
    """An error as the client gets it.

    `param` is the path of the field that is wrong, such as `messages[0].role`. `retry_after` is in seconds; a client
    is told not to repeat a request without one, since it would fail again or be paid again. `allow` is the method that
    a path takes.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        more: Mapping[str, Any] | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after, self.more, self.allow = retry_after, more or {}, allow

    def at(self, path: str) -> ApiError:
        """The same error at another path."""
        what = self.message.removeprefix(f"{self.param}: ")
        return ApiError(self.status, f"{path}: {what}", param=path, code=self.code, more=self.more)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body; `more` has further facts, such as what is left of a budget."""
        kind = TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": {**told, **self.more}}

    @property
    def headers(self) -> dict[str, str]:
        told = {"x-should-retry": "false" if self.retry_after is None else "true"}
        if self.retry_after is not None:
            told["retry-after"] = f"{max(1, math.ceil(self.retry_after))}"
        if self.allow is not None:
            told["allow"] = self.allow
        return told


DAY_IS_SPENT = "budget_exceeded"
KNOWN = (ApiError, MullError, Failure)
"""The errors that `api_error` tells a client of; any other is a fault of the gateway."""


FAILED = ApiError(500, "the gateway failed; its log says why", code="internal_error")
"""What a client is told of a fault of the gateway."""


class DayIsSpent(ApiError):
    """The key's budget of the day leaves no room for what takes at least `need`; the application adds what is left."""

    def __init__(self, need: Cost) -> None:
        super().__init__(402, "the budget of this key for today leaves no room for a reply", code=DAY_IS_SPENT)
        self.need = need


def late(seconds: float) -> ApiError:
    """The error for a request that had nothing whole when its seconds were over."""
    return ApiError(504, f"no whole reply within {seconds:g} s", code="deadline")


def stopping() -> ApiError:
    """The error for a request that still ran when the gateway could wait for it no longer."""
    what = "the gateway is stopping, and could not finish this request"
    return ApiError(503, what, code="stopping", retry_after=RETRY_SECONDS)


def bad(param: str | None, message: str, code: str | None = None) -> ApiError:
    """The error for a request that is wrong at `param`."""
    return ApiError(400, message if param is None else f"{param}: {message}", param=param, code=code)


def in_body(text: str) -> str:
    """A message for the command line, with fields of a request in place of options, and without hints for operators."""
    text = re.sub(r"[:;] (set|run) (mull |\w+ = |\w+ in mull).*", "", text)
    text = re.sub(r" or (verifier|judge)=(?![\w.(])", "", text)
    return re.sub(r"--([a-z][a-z-]*)", lambda one: f"{_PLACES.get(one[1], '')}{one[1].replace('-', '_')}", text)


_PLACES = dict.fromkeys(("strategy", "verifier", "judge"), "mull.")


def api_error(error: Exception) -> ApiError | None:
    """What a client is told of an error of mull or of a server behind it; `None`: it is a fault of the gateway.

    What a client cannot mend, such as an address or the name of a key, is for the operator: it goes to the log.
    """
    told = _told(error)
    if told is not None and told.status >= 500 and not isinstance(error, ApiError):
        cause = error.__cause__ if isinstance(error.__cause__, Failure) else error
        log.warning("HTTP %d: %s", told.status, Inert(cause.plain if isinstance(cause, Failure) else cause))
        log.debug("%s", Inert(error))
    return told


def _told(error: Exception) -> ApiError | None:
    match error:
        case ApiError():
            return error
        case PromptError():
            return bad("messages", in_body(str(error)))
        case ParamError():
            return bad(error.param, in_body(str(error)))
        case MissingExtraError():
            return ApiError(501, "a package that this needs is not installed at the gateway", code="not_installed")
        case SetupError():
            return _misconfigured()
        case UsageError():
            return ApiError(400, in_body(str(error)))
        case Rejected() if 400 <= error.status < 500:
            return ApiError(error.status, f"the server of the model: {error}", code="upstream_rejected")
        case Rejected():
            return _misconfigured(error.status)
        case Refused():
            what = f"the model's server cannot answer now: {error.plain}"
            return ApiError(503, what, code="upstream_unavailable", retry_after=error.wait or RETRY_SECONDS)
        case Unusable():
            return _unusable(error)
        case Broken():
            return ApiError(502, f"the model's server failed: {error.plain}", code="upstream_failed")
        case ModelError() if isinstance(error.__cause__, Rejected):
            return _misconfigured(error.__cause__.status)
        case ModelError() if isinstance(error.__cause__, Failure):
            return _told(error.__cause__)
        case ModelError():
            return ApiError(
                503, "the model failed", code="upstream_unavailable", retry_after=error.wait or RETRY_SECONDS
            )
        case BankError():
            return ApiError(503, "the gateway's database is away", code="bank_away", retry_after=RETRY_SECONDS)
        case SandboxError():
            return ApiError(500, "the gateway cannot run programs safely", code="verification_failed")
        case VerifierError():
            return ApiError(500, "a verifier or judge of the gateway failed", code="verification_failed")
    return None


def _misconfigured(status: int | None = None) -> ApiError:
    """The error for a server that will answer no request of the gateway's until its operator mends something."""
    http = f" (HTTP {status})" if status else ""
    what = f"the model's server does not take requests of the gateway{http}: its operator must mend the configuration"
    return ApiError(502, what, code="upstream_misconfigured")


def _unusable(error: Unusable) -> ApiError:
    """The error for a server of which no endpoint can be used: for now, or until the operator mends something."""
    if None in error.statuses:
        why = "it asks to wait longer than the gateway does"
    elif 429 in error.statuses:
        why = "the quota of the gateway's account there is used up"
    else:
        return _misconfigured(error.statuses[0] if error.statuses else None)
    what = f"the model's server cannot be used now: {why}"
    return ApiError(503, what, code="upstream_unavailable", retry_after=error.wait or RETRY_SECONDS)


def draw_error(told: str | None) -> str | None:
    """What a client is told of the error of a draw: words of its server only if they are about the request."""
    if told is None:
        return None
    if (http := re.match(r"(?:prompt and reply[^(]*\()?HTTP (\d+)", told)) is None:
        return told.partition(":")[0]
    return told if http[1].startswith("4") else f"HTTP {http[1]}"
