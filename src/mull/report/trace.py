"""The page of a trace: the search tree, vote or chain of one run as a picture, with every event behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mull.report.html import environment, text
from mull.report.words import short
from mull.run.trace import Candidate, DrawEvent, Event, NoteEvent, PreferEvent, ScoreEvent, TraceFile

MOST_DRAWS = 1_500
"""Most draws in the picture and in the list of draws: the first ones, and those that led to the winner."""
MOST_EVENTS = 3_000
MOST_CHARACTERS = 4_000
"""Longest text in the list of draws."""
COLUMN, BOX, GAP = 192, 164, 8
"""Pixels: from one level to the next, width of a box, between two boxes."""
LEFT = 44
"""Pixels left of the first level, for the start."""
TALL, FLAT = 42, 22
"""Pixels: height of a box, and of one that was pruned."""
LETTERS = 20
"""Characters in a line of a box."""
WORDS = {
    "kept": "kept",
    "pruned": "pruned",
    "resampled": "resampled",
    "selected": "chosen",
    "step": "went on",
    "finish": "drawn to its end",
    "lookahead": "valued by a look ahead",
    "rollout": "valued by a roll-out",
    "escalated": "not sure enough, continued",
    "gone on": "its end taken back",
}


@dataclass(eq=False, slots=True)
class PictureNode:
    """A draw in the picture."""

    event: DrawEvent
    parent: PictureNode | None = None
    children: list[PictureNode] = field(default_factory=list)
    value: float | None = None
    steps: list[float] = field(default_factory=list)
    why: str = ""
    kind: str = "step"
    """`step`, `whole` (a complete reply that was a candidate), or `probe` (a look-ahead or a roll-out)."""
    fate: str = ""
    """`kept` or `pruned`, by the last decision on it."""
    copies: int | None = None
    """The number of continuations or copies it was given."""
    notes: list[str] = field(default_factory=list)
    answer: str | None = None
    is_winning: bool = False
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> int:
        return FLAT if self.is_flat else TALL

    @property
    def is_flat(self) -> bool:
        """Whether it needs only one line: it was pruned, and nothing continued it."""
        return self.fate == "pruned" and not self.children and not self.is_winning

    @property
    def label(self) -> str:
        """Its text in one line."""
        empty = "(nothing)" if self.event.error is None else "(failed)"
        return cut(self.event.text, LETTERS - 5 if self.is_flat else LETTERS) or empty

    @property
    def second(self) -> str:
        """Its score, its answer and its number of continuations."""
        parts = ["no score" if self.value is None else f"{self.value:.3f}"]
        if self.answer is not None:
            parts.append(f"→ {cut(self.answer, 12)}")
        elif self.copies is not None:
            parts.append(f"× {self.copies}")
        return "  ".join(parts)

    @property
    def css(self) -> str:
        names = [self.kind, self.fate, "winning" if self.is_winning else ""]
        return " ".join(name for name in names if name)


def cut(text: str, most: int) -> str:
    """A text in one line, of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def grow(trace: TraceFile) -> list[PictureNode]:
    """The draws of a trace as a forest, in draw order, with all decisions on them."""
    nodes = {event.id: PictureNode(event) for event in trace.events if isinstance(event, DrawEvent)}
    parents: dict[int, int | None] = {}
    for event in trace.events:
        if isinstance(event, ScoreEvent):
            for scored in event.scores:
                if scored.id in nodes:
                    node = nodes[scored.id]
                    node.value, node.steps, node.why = scored.value, scored.steps, scored.why
        elif isinstance(event, NoteEvent):
            if event.what in ("step", "finish"):
                parents |= {i: event.details.get("parent") for i in event.draws if i is not None}
            _decide(event, nodes)
    for node in nodes.values():
        number = node.event.id
        parent = parents[number] if number in parents else _parent(trace, node, nodes.values())
        # A parent is an earlier draw, so that no file can make a cycle.
        if parent is not None and parent in nodes and parent < number:
            node.parent = nodes[parent]
            node.parent.children.append(node)
    for node in nodes.values():
        if node.kind == "probe":
            _mark_probe(node)
    for candidate in trace.candidates:
        _elect(candidate, nodes)
    for node in _lineage(nodes.get(trace.best) if trace.best is not None else None):
        node.is_winning = True
    return list(nodes.values())


def _decide(event: NoteEvent, nodes: dict[int, PictureNode]) -> None:
    counts = event.details.get("counts")
    for place, i in enumerate(event.draws):
        node = nodes.get(i) if i is not None else None
        if node is None:
            continue
        if event.what in ("kept", "pruned", "resampled"):
            node.fate = "pruned" if event.what == "pruned" else "kept"
        if isinstance(counts, list) and place < len(counts):
            node.copies = counts[place]
        value = event.details.get("value")
        if event.what in ("lookahead", "rollout"):
            node.value = value if isinstance(value, int | float) else None
            end = event.details.get("end")
            if isinstance(end, int) and end in nodes:
                nodes[end].kind = "probe"
        node.notes.append(WORDS.get(event.what, event.what) + (f" × {node.copies}" if counts and node.copies else ""))


def _parent(trace: TraceFile, node: PictureNode, nodes: Iterable[PictureNode]) -> int | None:
    """The parent if the trace names none: the latest earlier draw that this one continues or responds to."""
    own = node.event
    messages = trace.prompts[own.prompt] if own.prompt < len(trace.prompts) else []
    for other in reversed([n.event for n in nodes if n.event.id < own.id]):
        reply = other.prefix + other.text
        if not reply.strip():
            continue
        if own.prompt == other.prompt and own.prefix and own.prefix.startswith(reply):
            return other.id
        if own.prompt != other.prompt and any(m.get("content", "").strip() == reply.strip() for m in messages):
            return other.id
    return None


def _mark_probe(end: PictureNode) -> None:
    """Marks the draws that lead only to the end of a look-ahead as part of it."""
    for node in _lineage(end.parent):
        if node.fate or node.value is not None or any(child.kind != "probe" for child in node.children):
            return
        node.kind = "probe"


def _elect(candidate: Candidate, nodes: dict[int, PictureNode]) -> None:
    node = nodes.get(candidate.id) if candidate.id is not None else None
    if node is not None:
        node.kind, node.answer = "whole", candidate.answer
        node.value = candidate.value if candidate.value is not None else node.value


def _lineage(node: PictureNode | None) -> Iterator[PictureNode]:
    while node is not None:
        yield node
        node = node.parent


@dataclass(frozen=True, slots=True)
class Edge:
    """The line between a node and its parent, or the start."""

    path: str
    css: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes with their positions, the lines between them, and the total size in pixels."""

    nodes: list[PictureNode]
    lines: list[Edge]
    width: float
    height: float
    n_left_out: int


def draw(nodes: Sequence[PictureNode]) -> Picture:
    """Places the nodes: one column per level, left to right, each node as high as earlier nodes and its parent allow.

    The draws that led to the winner come first, so that they form a straight row; pruned ones come last. Lines never
    cross.
    """
    shown = [node for i, node in enumerate(nodes) if i < MOST_DRAWS or node.is_winning]
    visible = set(map(id, shown))
    roots = sorted((n for n in shown if n.parent is None or id(n.parent) not in visible), key=_order)
    depth: dict[int, int] = {}
    free: dict[int, float] = {}
    """By level: the position of the next box."""
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting:
        node, level = waiting.pop()
        depth[id(node)] = level
        above = node.parent.y if level and node.parent else 0.0
        node.x, node.y = LEFT + level * COLUMN, max(free.get(level, 0.0), above)
        is_last = node.parent is not None and node is max(node.parent.children, key=_order)
        free[level] = node.y + node.height + GAP * (2 if is_last else 1)
        children = sorted((child for child in node.children if id(child) in visible), key=_order, reverse=True)
        waiting += [(child, level + 1) for child in children]
    lines = [_line(node, node.parent if depth[id(node)] else None) for node in shown]
    # The winner's line is drawn last, above all others.
    lines.sort(key=lambda line: "winning" in line.css)
    width = LEFT + (max(depth.values(), default=0) + 1) * COLUMN
    return Picture(shown, lines, width, max(free.values(), default=0.0), len(nodes) - len(shown))


def _order(node: PictureNode) -> tuple[bool, bool, bool, int]:
    return not node.is_winning, node.fate == "pruned", node.kind == "probe", node.event.id


def _line(node: PictureNode, parent: PictureNode | None) -> Edge:
    x0, y0 = (13.0, TALL / 2) if parent is None else (parent.x + BOX, parent.y + parent.height / 2)
    x1, y1 = node.x, node.y + node.height / 2
    middle = (x0 + x1) / 2
    return Edge(f"M{x0:.0f} {y0:.1f}C{middle:.0f} {y0:.1f} {middle:.0f} {y1:.1f} {x1:.0f} {y1:.1f}", node.css)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer class in the vote: its weight and share, its number of replies, and whether it won."""

    answer: str
    weight: float
    share: float
    n: int
    is_winner: bool


def vote(trace: TraceFile) -> list[Answered]:
    """The tally; without one, the frequency of each answer."""
    counts: dict[str, int] = {}
    for candidate in trace.candidates:
        if candidate.answer is not None:
            counts[candidate.answer] = counts.get(candidate.answer, 0) + 1
    tally = trace.tally or sorted(((a, float(n)) for a, n in counts.items()), key=lambda row: -row[1])
    whole = math.fsum(weight for _, weight in tally)
    return [
        Answered(answer, weight, weight / whole if whole else 0.0, counts.get(answer, 0), answer == trace.answer)
        for answer, weight in tally
    ]


def reason(trace: TraceFile, nodes: Sequence[PictureNode]) -> list[str]:
    """The winner's origin and why it won, in sentences."""
    if trace.best is None:
        return [f"Nothing was chosen: no reply was complete when the run stopped ({trace.stopped})."]
    notes = [e for e in trace.events if isinstance(e, NoteEvent) and e.what == "selected"]
    how = str(notes[-1].details.get("how", "")) if notes else ""
    ended = [c for c in trace.candidates if c.answer is not None]
    answers = vote(trace)
    first = next((row for row in answers if row.is_winner), None)
    sentences = []
    if how == "best" or not trace.tally:
        best = next((c.value for c in trace.candidates if c.id == trace.best), None)
        score = "" if best is None else f", with a score of {best:.3f}"
        among = f"the best scored of {len(trace.candidates)} whole replies" if best is not None else "the only choice"
        sentences.append(f"It is {among}{score}.")
    elif first is not None:
        is_weighted = how == "weighted" or any(row.weight != row.n for row in answers)
        kind = "vote weighted by scores" if is_weighted else "plain vote"
        sentences.append(
            f"The {kind} over {len(ended)} whole replies gave “{cut(first.answer, 40)}” {100 * first.share:.0f} % of "
            f"{'the weight' if is_weighted else 'the votes'}"
            + (f", the next answer {100 * answers[1].share:.0f} %." if len(answers) > 1 else ".")
        )
    path = [node for node in nodes if node.is_winning]
    if len(path) > 1:
        values = " → ".join("?" if node.value is None else f"{node.value:.2f}" for node in path)
        is_scored = any(node.value is not None for node in path)
        along = f"; their scores along the way: {values}" if is_scored else ""
        sentences.append(f"Its reply grew in {len(path)} draws{along}.")
    pruned = sum(node.fate == "pruned" for node in nodes)
    if pruned:
        sentences.append(f"{pruned} of {len(nodes)} draws were pruned on the way.")
    if trace.stopped not in ("complete", "early"):
        sentences.append(f"The run was cut short: {trace.stopped}.")
    return sentences


def facts(trace: TraceFile) -> list[tuple[str, str, str]]:
    """The run's cost: label, value, note."""
    draws = [event for event in trace.events if isinstance(event, DrawEvent)]
    banked = sum(event.is_banked for event in draws)
    spent = trace.spent

    def known(value: float | None) -> str:
        return "unknown" if value is None else short(value)

    cached = "" if spent.cached_tokens is None else f", {short(spent.cached_tokens)} of them cached"
    return [
        (
            "Confidence",
            "unknown" if trace.confidence is None else f"{trace.confidence:.2f}",
            "as reported by the strategy",
        ),
        ("Draws", f"{len(draws):,}", f"{banked:,} of them from the bank" if banked else "all made in this run"),
        ("Tokens written", known(spent.output_tokens), f"{known(spent.verifier_tokens)} more by verifiers"),
        ("Tokens read", known(spent.prompt_tokens), f"prompts{cached}"),
        ("FLOPs", known(spent.flops), "matrix products and attention, if the model's sizes are known"),
        ("Dollars", known(spent.usd), "as priced"),
        ("Seconds", f"{trace.seconds:.2f}", "elapsed time"),
    ]


def timeline(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Each event in words: when, what, on which draws."""
    rows = []
    for event in events[:MOST_EVENTS]:
        if isinstance(event, DrawEvent):
            what, on = f"draw {event.draw} of its question", f"#{event.id}{' (banked)' if event.is_banked else ''}"
            what += f" on {event.model}" if event.model else ""
            on += "" if event.cost.output_tokens is None else f", {event.cost.output_tokens} tokens"
        elif isinstance(event, ScoreEvent):
            what = f"scored by {event.by}"
            on = ", ".join(f"{_name(s.id)}: {'none' if s.value is None else f'{s.value:.3f}'}" for s in event.scores)
        elif isinstance(event, PreferEvent):
            what = f"compared by {event.by}"
            on = ", ".join(
                f"{_name(p.first)} over {_name(p.second)}: {'none' if p.value is None else f'{p.value:.2f}'}"
                for p in event.pairs
            )
        else:
            what = WORDS.get(event.what, event.what)
            details = "; ".join(f"{k}: {cut(str(v), 80)}" for k, v in event.details.items() if v is not None)
            on = ", ".join(map(_name, event.draws)) + (f" ({details})" if details else "")
        rows.append((f"{event.at:.3f}", what, cut(on, 400)))
    return rows


def _name(number: int | None) -> str:
    return "?" if number is None else f"#{number}"


def render(trace: TraceFile, title: str = "") -> str:
    """The page as HTML: one file, without scripts or external resources."""
    nodes = grow(trace)
    picture = draw(nodes)
    is_tree = any(node.parent for node in nodes)
    page: dict[str, Any] = {
        "title": title or f"Trace: {cut(trace.problem, 60)}",
        "trace": trace,
        "style": text("page.css") + text("trace.css"),
        "picture": picture,
        "nodes": picture.nodes,
        "is_tree": is_tree,
        "is_chain": is_tree and all(len(node.children) <= 1 for node in nodes),
        "answers": vote(trace),
        "reason": reason(trace, nodes),
        "facts": facts(trace),
        "timeline": timeline(trace.events),
        "n_events_left_out": max(0, len(trace.events) - MOST_EVENTS),
        "most": MOST_CHARACTERS,
        "box": BOX,
        "start": TALL / 2,
        "winner": [node for node in nodes if node.is_winning],
        "params": {k: v for k, v in trace.params.items() if v not in (None, [], ())},
        "budget": {k: v for k, v in trace.budget.items() if v is not None},
    }
    return str(environment().get_template("trace.html.j2").render(page))
