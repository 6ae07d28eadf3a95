"""Scheduling: a time at which everybody can meet, or that there is none."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mull.equal.patterns import regex
from mull.errors import UsageError
from mull.replies.stated import plain, stated
from mull.tasks.endless import STEPS, Ask, Endless, check_between
from mull.tasks.synthetic import Split
from mull.types import Sample

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
PEOPLE = ("Alice", "Bob", "Carol", "David", "Emma", "Frank", "Grace", "Henry", "Irene", "Jack")
OPENS, CLOSES = 9 * 60, 17 * 60
"""The working day, in minutes after midnight."""
SLOT = 30
"""People are busy for whole slots of so many minutes."""
N_SLOTS = (CLOSES - OPENS) // SLOT
NONE = "none"

_NONE = regex(
    r"(?:there (?:is|are) )?(?:none|no(?: (?:such|valid|common|possible|available|suitable|free|meeting|feasible))*"
    r"(?: (?:time|slot|times|slots|meeting|solution|window))(?: (?:exists?|is available|works|is possible|found))?)"
    r"|(?:it is )?(?:not possible|impossible)"
)
_DAY = r"(?:on )?(?P<{}>mon|tue|wed|thu|fri)(?:s|rs|nes|r|day|sday|nesday|rsday|urs|ursday)?\b\.?"
_TIME = (
    r"(?P<{0}hour>[0-9]{{1,2}})(?:\s?[:.h]\s?(?P<{0}minute>[0-9]{{2}})(?::00)?)?"
    r"(?:\s?(?P<{0}half>[ap])\.?m\b\.?|\s?h(?:rs|ours)?\b|\s?o'clock)?"
)
_LABELS = regex(r"[()]|\b(?:day|time)\s?:")
_AGAIN = rf"(?:{_DAY.format('again')}\s?,?\s?(?:at )?)?"
_SLOT = regex(
    rf"(?:{_DAY.format('day')}\s?[,:]?\s?)?(?:at |from |between )?{_TIME.format('from_')}"
    rf"(?:\s?(?:--?|to|until|till|and|—)\s?{_AGAIN}{_TIME.format('to_')})?(?:,?\s?{_DAY.format('late')})?"
)


@dataclass(frozen=True)
class SlotAnswer:
    """When a meeting of `minutes` within `days` days begins, as in `Monday 09:30` or `Monday, 9:30-10:30 am`, or none.

    Where there is one day only, it need not be named.
    """

    days: int
    minutes: int

    @property
    def value(self) -> str:
        return f"meeting of {self.minutes} minutes in {self.days} days"

    def read(self, sample: Sample) -> str | None:
        return stated(sample, self.canonical)

    def canonical(self, text: str) -> str | None:
        """`Monday 09:30` or `none`; with the end if the meeting has another length; `None` if the text is neither."""
        text = " ".join(_LABELS.sub(" ", plain(text).replace("{:}", ":")).split())
        if _NONE.fullmatch(text):
            return NONE
        found = _SLOT.fullmatch(text)
        if found is None or (found["day"] and found["late"]):
            return None
        named = found["day"] or found["late"]
        if found["again"] not in (None, named):
            return None
        if named is None and self.days > 1:
            return None
        day = DAYS[0] if named is None else next(day for day in DAYS if day.lower().startswith(named))
        begin = _minutes(found["from_hour"], found["from_minute"], found["from_half"])
        if begin is None:
            return None
        if found["to_hour"] is None:
            return f"{day} {_clock(begin)}"
        end = _minutes(found["to_hour"], found["to_minute"], found["to_half"])
        if end is None:
            return None
        if found["from_half"] is None and found["to_half"] is not None and begin + 12 * 60 + self.minutes == end:
            begin += 12 * 60  # `1:00-2:00 pm`
        return f"{day} {_clock(begin)}" + ("" if end - begin == self.minutes else f" to {_clock(end)}")


def _minutes(hour: str, minute: str | None, half: str | None) -> int | None:
    """Minutes after midnight; `None` if there is no such time. `half` is `a` or `p` before `m`."""
    h, m = int(hour), int(minute or 0)
    if half is not None:
        if not 1 <= h <= 12:
            return None
        h = h % 12 + (12 if half == "p" else 0)
    return 60 * h + m if h < 24 and m < 60 else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


Busy = tuple[tuple[tuple[int, int], ...], ...]
"""For each day the times from and to which somebody is busy, in minutes after midnight."""


@dataclass(frozen=True)
class Calendars:
    """When each person is busy, and how long they want to meet."""

    people: tuple[tuple[str, Busy], ...]
    minutes: int

    @property
    def days(self) -> int:
        return len(self.people[0][1])

    @property
    def text(self) -> str:
        names = [name for name, _ in self.people]
        told = "\n".join(
            f"{name}: {'; '.join(_day(*one) for one in zip(DAYS, busy, strict=False))}" for name, busy in self.people
        )
        when = f"on {DAYS[0]}" if self.days == 1 else f"on one day from {DAYS[0]} to {DAYS[self.days - 1]}"
        return (
            f"{', '.join(names[:-1])} and {names[-1]} want to meet for {self.minutes} minutes {when}, between "
            f"{_clock(OPENS)} and {_clock(CLOSES)}. These are the times at which they are busy:\n\n{told}\n\n"
            "Find a time at which all of them are free; the meeting may begin when another ends. "
            rf"{STEPS} the day and the time at which it begins in a box, \boxed{{DAY HH:MM}}, or with "
            rf"\boxed{{{NONE}}} if there is no such time."
        )

    @property
    def kind(self) -> SlotAnswer:
        return SlotAnswer(self.days, self.minutes)

    @property
    def given(self) -> Mapping[str, Any]:
        return {"minutes": self.minutes, "busy": dict(self.people)}

    @property
    def content(self) -> str:
        """The calendars regardless of whose they are."""
        return f"calendar {self.minutes} {sorted(busy for _, busy in self.people)}"

    def clash(self, day: int, begin: int) -> str:
        """Why a meeting cannot begin at a time; empty if it can."""
        end = begin + self.minutes
        if begin < OPENS or end > CLOSES:
            return f"it is not between {_clock(OPENS)} and {_clock(CLOSES)}"
        for name, busy in self.people:
            for start, stop in busy[day]:
                if begin < stop and start < end:
                    return f"{name} is busy from {_clock(start)} to {_clock(stop)}"
        return ""

    @cached_property
    def n_slots(self) -> int:
        """How many slots a meeting can begin with; if none, it can begin at no other time either."""
        begins = range(OPENS, CLOSES, SLOT)
        return sum(not self.clash(day, begin) for day in range(self.days) for begin in begins)

    def misses(self, answer: str) -> str:
        if answer == NONE:
            return "there is a time for the meeting" if self.n_slots else ""
        day, clock, *end = answer.split(" ", 2)
        if end:
            return f"a meeting from {clock} {end[0]} does not last {self.minutes} minutes"
        if day not in DAYS[: self.days]:
            return f"{day} is none of the days"
        hour, minute = map(int, clock.split(":"))
        return self.clash(DAYS.index(day), 60 * hour + minute)


def _day(day: str, busy: tuple[tuple[int, int], ...]) -> str:
    told = ", ".join(f"{_clock(start)} to {_clock(stop)}" for start, stop in busy)
    return f"{day} {told}" if told else f"{day} free all day"


@dataclass(frozen=True)
class CalendarTask(Endless[Calendars]):
    """A time at which `people` can meet for `minutes` on one of `days` days, or none; all three are the difficulty.

    People are busy at random, so that one slot on average is free for all: about half of the problems have no time.
    Every time at which all are free is right.
    """

    called = "calendar"
    domain = "planning"

    people: int = 3
    days: int = 1
    minutes: int = 60
    seed: int = 0
    split: Split = "test"
    ask: Ask = "steps"

    def __post_init__(self) -> None:
        check_between(2, len(PEOPLE), people=self.people)
        check_between(1, len(DAYS), days=self.days)
        if self.minutes % SLOT or not SLOT <= self.minutes <= 240:
            raise UsageError(f"minutes must be a multiple of {SLOT} up to 240, not {self.minutes}")

    @property
    def level(self) -> str:
        return f"people={self.people},days={self.days},minutes={self.minutes}"

    @property
    def _busy(self) -> float:
        """The chance that a person is busy in a slot, with which one beginning of a meeting is free on average."""
        length = self.minutes // SLOT
        n_begins = self.days * (N_SLOTS - length + 1)
        return float(1 - (1 / n_begins) ** (1 / (length * self.people)))

    def draw(self, rng: random.Random) -> Calendars:
        names = sorted(rng.sample(PEOPLE, self.people))
        chance = self._busy
        return Calendars(tuple((name, _busy(rng, self.days, chance)) for name in names), self.minutes)


def _busy(rng: random.Random, days: int, chance: float) -> Busy:
    """The busy times of one person, who is busy in each slot with the given chance."""
    found = []
    for _ in range(days):
        times: list[tuple[int, int]] = []
        for start in range(OPENS, CLOSES, SLOT):
            if rng.random() < chance:
                begin = times.pop()[0] if times and times[-1][1] == start else start
                times.append((begin, start + SLOT))
        found.append(tuple(times))
    return tuple(found)
