"""Errors of the gateway, in the form that OpenAI's clients read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mull.errors import BankError, ModelError, MullError, PromptError, SandboxError, UsageError, VerifierError
from mull.wire.faults import Broken, Refused, Rejected, Unusable

RETRY_SECONDS = 5.0
"""Seconds after which to come back where the server that failed does not say."""
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
"""The `type` of an error by its status; any other is a `server_error`."""


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

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body; `more` has further facts, such as what is left of a budget."""
        kind = TYPES.get(self.status, "server_error")
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
KNOWN = (ApiError, MullError, Refused, Broken, Rejected, Unusable)
"""The errors that `api_error` tells a client of; any other is a fault of the gateway."""


FAILED = ApiError(500, "the gateway failed; its log says why", code="internal_error")
"""What a client is told of a fault of the gateway."""


def day_is_spent() -> ApiError:
    """The error where the key's budget of the day is what leaves no room; the application adds what is left of it."""
    return ApiError(402, "the budget of this key for today leaves no room for a reply", code=DAY_IS_SPENT)


def late(seconds: float) -> ApiError:
    """The error for a request that had nothing whole when its seconds were over."""
    return ApiError(504, f"no whole reply within {seconds:g} s", code="deadline")


def bad(param: str | None, message: str, code: str | None = None) -> ApiError:
    """The error for a request that is wrong at `param`."""
    return ApiError(400, message if param is None else f"{param}: {message}", param=param, code=code)


def api_error(error: Exception) -> ApiError | None:
    """What a client is told of an error of mull or of a server behind it; `None`: it is a fault of the gateway."""
    match error:
        case ApiError():
            return error
        case PromptError():
            return bad("messages", str(error))
        case UsageError():
            return ApiError(400, str(error))
        case Rejected():
            status = error.status if 400 <= error.status < 500 else 502
            return ApiError(status, f"the server of the model: {error}", code="upstream_rejected")
        case Refused() | Unusable() | ModelError():
            return ApiError(503, str(error), code="upstream_unavailable", retry_after=error.wait or RETRY_SECONDS)
        case Broken():
            return ApiError(502, str(error), code="upstream_failed")
        case BankError():
            return ApiError(503, "the gateway's database is away", code="bank_away", retry_after=RETRY_SECONDS)
        case SandboxError() | VerifierError():
            return ApiError(500, str(error), code="verification_failed")
    return None
