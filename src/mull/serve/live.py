"""What the runs of a request tell while they go on, and the traces that they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from mull import __version__
from mull.replies.answers import answer_of
from mull.run import Run
from mull.run.events import DrawArrived, RunEvent, VerdictsArrived
from mull.run.trace import Trace, TraceFile, trace_of
from mull.serve import shapes
from mull.serve.faults import draw_error
from mull.serve.plans import ChatPlan
from mull.serve.schemas import JsonReply
from mull.types import Cost, Outcome, Pair, Problem, Sample

Tell = Callable[[bytes], None]
Keep = Callable[[TraceFile], str]
MADE_BY = {"command": "mull serve", "mull": __version__}


class Live:
    """The progress of a request, in the form that it asks for: comments, pieces of reasoning, or events.

    `tell` gets what is sent to the client, `keep` each trace; `None`: nothing is told, or no trace is kept.
    """

    def __init__(self, id: str, plan: ChatPlan, tell: Tell | None = None, keep: Keep | None = None) -> None:
        self._id, self._plan, self._tell = id, plan, tell
        self._keep = keep if "trace" in plan.returns else None
        self._n_draws = 0
        self._n_runs = 0
        self.kept: list[str] = []
        """The ids of the traces that were kept."""

    def begin(self, plan: ChatPlan, problem: Problem) -> Observer:
        """Observes one more run, of this plan on this problem."""
        at, self._n_runs = self._n_runs, self._n_runs + 1
        return Observer(self, at, plan, problem, None if self._keep is None else Trace(problem))

    @property
    def is_told(self) -> bool:
        return self._tell is not None

    def arrived(self, sample: Sample, told: Callable[[], dict[str, Any]]) -> None:
        """Tells of a draw; `told` makes its event, where events are asked for."""
        self._n_draws += 1
        if "events" in self._plan.returns:
            self.happened(told())
        elif "progress" in self._plan.returns:
            words = f"draw {self._n_draws}: {sample.cost.output_tokens} tokens\n"
            choice = {"index": 0, "delta": {"reasoning_content": words}, "finish_reason": None}
            self._send(shapes.event(shapes.chunk(self._id, self._plan, [choice])))
        else:
            self._send(f": {self._n_draws} draws\n\n".encode())

    def happened(self, event: dict[str, Any]) -> None:
        """Tells of an event, if events are asked for."""
        if "events" in self._plan.returns:
            self._send(shapes.event(shapes.chunk(self._id, self._plan, [], mull={"event": event})))

    def _send(self, data: bytes) -> None:
        if self._tell is not None:
            self._tell(data)

    def end(self, trace: TraceFile) -> None:
        """Keeps the trace of a run that is over."""
        if self._keep is not None:
            self.kept.append(self._keep(trace))


class Observer:
    """Observes one run. Draws are numbered as they arrive; `choice` is the number of the run in its request."""

    def __init__(self, live: Live, choice: int, plan: ChatPlan, problem: Problem, trace: Trace | None) -> None:
        self._live, self._choice, self._plan, self._problem = live, choice, plan, problem
        self.trace = trace
        self._samples: list[Sample] = []  # kept alive, so that no id is reused
        self._numbers: dict[int, int] = {}
        self._by_text: dict[str, int] = {}

    @property
    def watch(self) -> Callable[[RunEvent], None] | None:
        """What the run calls with its events; `None` where nobody listens."""
        return self._happened if self._live.is_told else None

    def _happened(self, event: RunEvent) -> None:
        if isinstance(event, DrawArrived):
            self._live.arrived(event.sample, lambda: self._draw(event))
        elif isinstance(event, VerdictsArrived):
            self._live.happened(self._verdicts(event))

    def _draw(self, event: DrawArrived) -> dict[str, Any]:
        sample, number = event.sample, len(self._samples)
        prefix = sample.prompt.prefix
        parent = self._by_text.get(prefix) if prefix else None
        self._samples.append(sample)
        self._numbers[id(sample)] = number
        self._by_text.setdefault(prefix + sample.text, number)
        return {
            "event": "draw",
            "choice": self._choice,
            "draw": number,
            "goes_on_from": parent,
            "text": sample.text,
            "answer": answer_of(self._problem, sample) if _is_quick(self._problem, sample) else None,
            "finish_reason": shapes.finish_of(sample),
            "output_tokens": sample.cost.output_tokens,
            "model": event.model,
            "banked": event.is_banked,
            "error": draw_error(sample.error),
            **_spent(event.fresh, event.seconds),
        }

    def _verdicts(self, event: VerdictsArrived) -> dict[str, Any]:
        verdicts = []
        for item, verdict in zip(event.items, event.verdicts, strict=True):
            if isinstance(item, Sample):
                verdicts.append({"draw": self._number(item), "score": getattr(verdict, "value", None)})
            elif isinstance(item, Pair):
                pair = {"first": self._number(item.first), "second": self._number(item.second)}
                verdicts.append({**pair, "first_is_better": getattr(verdict, "first", None)})
        told = {"event": "verdicts", "choice": self._choice, "by": event.by, "verdicts": verdicts}
        return {**told, **_spent(event.fresh, event.seconds)}

    def _number(self, sample: Sample) -> int | None:
        """The number of a draw; `None`: it was composed, not drawn."""
        return self._numbers.get(id(sample))

    def end(self, run: Run, outcome: Outcome) -> None:
        """Keeps the trace of the run, if one is wanted."""
        if self.trace is not None:
            made = trace_of(self.trace, outcome, run, self._plan.name or "none", MADE_BY)
            self._live.end(replace(made, budget=asdict(self._plan.budget)))  # the run has none beside its request's


def _is_quick(problem: Problem, sample: Sample) -> bool:
    """Whether an answer can be read while others wait: the check against a schema may take long."""
    return not isinstance(problem.kind, JsonReply) or problem.kind.is_quick(sample.reply)


def _spent(spent: Cost, seconds: float) -> dict[str, Any]:
    """What was paid for the run so far."""
    return {"spent": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.usd}, "seconds": round(seconds, 3)}
