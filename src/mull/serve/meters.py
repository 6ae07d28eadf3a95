"""What the gateway measures of itself, for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mull.types import Cost

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Meters:
    """Counters of one gateway. `model` is a name that is offered, or empty; nothing has a client's words."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._labelled: dict[tuple[Any, ...], Any] = {}
        self.running = Gauge("mull_requests_running", "Requests in progress.", registry=self._registry)
        of_request = ["path", "model", "status"]
        self._requests = Counter("mull_requests", "Requests by their status.", of_request, registry=self._registry)
        self._seconds = Histogram(
            "mull_request_seconds",
            "Seconds until a reply was whole.",
            ["path", "model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._calls = Counter("mull_calls", "Draws and calls of judges.", ["model"], registry=self._registry)
        self._tokens = Counter(
            "mull_tokens",
            "Tokens: prompt, cached, generated, and those of probes.",
            ["model", "kind"],
            registry=self._registry,
        )
        self._usd = Counter("mull_usd", "Dollars spent.", ["model"], registry=self._registry)

    def _of(self, meter: Any, *labels: str) -> Any:
        """The part of a meter that has these labels, kept here: the meter's own look-up takes five times as long."""
        key = meter, *labels
        if key not in self._labelled:
            self._labelled[key] = meter.labels(*labels)
        return self._labelled[key]

    def ended(self, path: str, model: str, status: int, seconds: float) -> None:
        """Counts a request that is over."""
        self._of(self._requests, path, model, str(status)).inc()
        self._of(self._seconds, path, model).observe(seconds)

    def spent(self, model: str, cost: Cost) -> None:
        """Counts what a request has spent, in parts that are known."""
        parts = {"prompt": cost.prompt_tokens, "generated": cost.tokens, "cached": cost.cached_tokens}
        for kind, n in parts.items():
            if n:
                self._of(self._tokens, model, kind).inc(n)
        if cost.calls:
            self._of(self._calls, model).inc(cost.calls)
        if cost.usd:
            self._of(self._usd, model).inc(cost.usd)

    def probed(self, model: str, cost: Cost) -> None:
        """Counts what it cost to find out what a model's server can do: no request pays for it."""
        if cost.tokens:
            self._of(self._tokens, model, "probe").inc(cost.tokens)
        if cost.usd:
            self._of(self._usd, model).inc(cost.usd)

    def text(self) -> bytes:
        """All of it in Prometheus's format."""
        return generate_latest(self._registry)
