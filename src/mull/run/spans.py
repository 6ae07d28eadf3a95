"""OpenTelemetry spans of runs, draws and verifications, by the semantic conventions for generative AI.

Spans are made in a program that has imported `opentelemetry.trace`, as every program that exports any has; others pay
nothing. They hold names, settings and costs, and no text of a prompt, a reply or an error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from mull import __version__
from mull.types import Cost, Finish, Model, Params, Sample

FINISHES = {
    Finish.STOP: "stop",
    Finish.STOP_STRING: "stop",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.LENGTH: "length",
    Finish.ERROR: "error",
}
"""Why a draw ended, in the words of the conventions."""


def _api() -> Any:
    """The module `opentelemetry.trace`, if the program has imported it; else `None`."""
    return sys.modules.get("opentelemetry.trace")


def are_made() -> bool:
    """Whether spans are made in this program."""
    return _api() is not None


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _costs(cost: Cost) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": cost.prompt_tokens,
        "gen_ai.usage.output_tokens": cost.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": cost.cached_tokens,
        "mull.cost.verifier_tokens": cost.verifier_tokens,
        "mull.cost.usd": cost.usd,
        "mull.cost.flops": cost.flops,
        "mull.retries": cost.retries,
    }


class OpenSpan:
    """A span that is open, or nothing where no spans are made."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def is_open(self) -> bool:
        """Whether spans are made."""
        return self._span is not None

    def set(self, cost: Cost | None = None, **attributes: Any) -> None:
        """Sets `mull.NAME` for each attribute that is not `None`, and the parts of the cost that are known."""
        if self._span is not None:
            told = {f"mull.{name}": value for name, value in attributes.items()}
            self._span.set_attributes(_known({**told, **({} if cost is None else _costs(cost))}))


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """The block is part of the trace that a request's header `traceparent` names, unless it is in a span already."""
    api = _api()
    if api is None or api.get_current_span().get_span_context().is_valid:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def spanned(operation: str, name: str, **attributes: Any) -> Iterator[OpenSpan]:
    """A span `operation name` around the block, of a client if a server is among its attributes.

    Its status tells the type of an error, and not its text.
    """
    api = _api()
    if api is None:
        yield OpenSpan()
        return
    with api.get_tracer("mull", __version__).start_as_current_span(
        f"{operation} {name}",
        kind=api.SpanKind.CLIENT if "server.address" in attributes else api.SpanKind.INTERNAL,
        attributes=_known({"gen_ai.operation.name": operation, **attributes}),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield OpenSpan(span)
        except BaseException as error:
            _fail(api, span, type(error).__qualname__)
            raise


def _fail(api: Any, span: Any, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(api.StatusCode.ERROR)


def request_attributes(
    model: Model, temperature: float | None, top_p: float | None, top_k: int | None, max_tokens: int | None
) -> dict[str, Any]:
    """What a request asks of whom; `None` is left out."""
    deployment = getattr(model, "deployment", None)
    numbers = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return _known(
        {
            "gen_ai.provider.name": type(model).__module__.partition(".")[0] if deployment is None else "openai",
            "gen_ai.request.model": getattr(deployment, "served", None) or model.name,
            **{f"gen_ai.request.{name}": None if n is None else float(n) for name, n in numbers.items()},
            "gen_ai.request.max_tokens": max_tokens,
            **_server(deployment),
        }
    )


class DrawSpans:
    """The spans of draws that are requested together: each begins with the request and ends when its draw arrives."""

    def __init__(self, model: Model, params: Params) -> None:
        self._api = _api()
        if self._api is None:
            return
        self._start = time.time_ns()
        self._tracer = self._api.get_tracer("mull", __version__)
        deployment = getattr(model, "deployment", None)
        self._is_remote = deployment is not None
        self._operation = "text_completion" if getattr(deployment, "api", "chat") == "completions" else "chat"
        self._attributes = {
            "gen_ai.operation.name": self._operation,
            **request_attributes(model, params.temperature, params.top_p, params.top_k or None, params.max_tokens),
        }

    def arrived(self, sample: Sample) -> None:
        """Ends the span of a draw."""
        if self._api is None:
            return
        span = self._span(sample.draw)
        seed = {"gen_ai.request.seed": sample.seed, "gen_ai.response.finish_reasons": [FINISHES[sample.finish]]}
        span.set_attributes(_known({**seed, **_costs(sample.cost), "mull.draws_in_request": sample.batch}))
        if sample.finish is Finish.ERROR:
            _fail(self._api, span, "failed_draw")
        span.end()

    def lost(self, numbers: Sequence[int]) -> None:
        """Makes one span for all draws that were requested and never arrived: at a deadline they may be thousands."""
        if self._api is None or not numbers:
            return
        span = self._span(numbers[0])
        span.set_attribute("mull.draws", len(numbers))
        _fail(self._api, span, "cancelled")
        span.end()

    def _span(self, number: int) -> Any:
        kind = self._api.SpanKind
        return self._tracer.start_span(
            f"{self._operation} {self._attributes['gen_ai.request.model']}",
            kind=kind.CLIENT if self._is_remote else kind.INTERNAL,
            attributes=_known({**self._attributes, "mull.draw": number}),
            start_time=self._start,
        )


def _server(deployment: Any) -> dict[str, Any]:
    """The address of a deployment's first server."""
    urls = getattr(deployment, "urls", ())
    if not urls:
        return {}
    parts = urlsplit(urls[0])
    return {"server.address": parts.hostname, "server.port": parts.port or (443 if parts.scheme == "https" else 80)}
