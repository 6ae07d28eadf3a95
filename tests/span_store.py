"""A store of the OpenTelemetry spans that this process makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest


@cache
def _store() -> tuple[Any, Any]:
    """The store, and a switch: a provider stays for the life of a process, and records only while the switch is on.

    OpenTelemetry is imported here: a process that has not imported it makes no spans, and other tests need none.
    """
    pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult

    class Switch(Sampler):
        chosen = ALWAYS_OFF

        def should_sample(self, *about: Any, **more: Any) -> SamplingResult:
            return self.chosen.should_sample(*about, **more)

        def get_description(self) -> str:
            return "Switch"

    switch = Switch()
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=switch)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter, switch


@contextmanager
def kept_spans() -> Iterator[Any]:
    """The store of the spans that end while the block runs."""
    exporter, switch = _store()
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    switch.chosen = ALWAYS_ON
    try:
        yield exporter
    finally:
        switch.chosen = ALWAYS_OFF
