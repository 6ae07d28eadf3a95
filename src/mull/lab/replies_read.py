"""What is said of a file whose replies are empty, hold no answer that can be read, or are never right."""

from __future__ import annotations

from dataclasses import dataclass

from mull.files.recording import SHOWN, Recording

MANY = 0.25
"""The share of replies without a readable answer from which on a note says so."""


@dataclass(slots=True)
class RepliesRead:
    """The replies of one group, problem after problem, before and after their answers were read."""

    n: int = 0
    n_empty: int = 0
    n_unread: int = 0
    needs_no_answers: bool = False
    """Nothing tells how answers are to be read."""
    _is_ungraded: bool = False
    _has_text: bool = False
    _is_answered: bool = False
    _is_right: bool = False
    _gold: str | None = None
    _kind: str | None = None
    _first: str | None = None
    _empty: str = ""
    _wrong: str | None = None
    _unread: str = ""

    def add(self, before: Recording, after: Recording | None) -> None:
        """Adds a problem as the file has it, and with its answers; `None`: they were not read."""
        self._gold = before.gold if self._gold is None else self._gold
        if before.samples:
            has_text = any(text.strip() for text in before.column("text"))
            self._has_text = self._has_text or has_text
            if not has_text:
                self.n_empty += 1
                where = f"{before.n} replies to problem {before.id!r} (line {before.line})"
                self._empty = self._empty or where
            self._first = _end(before.samples[0].text) if self._first is None else self._first
            self._is_ungraded = self._is_ungraded or None in before.verdicts
        if after is not None:
            self._look_at(before, after)

    def _look_at(self, before: Recording, after: Recording) -> None:
        self.n += after.n
        self._kind = after.kind.value if self._kind is None else self._kind
        self._is_right = self._is_right or after.n_correct > 0
        answer = next((answer for answer in after.answers if answer is not None), None)
        self._is_answered = self._is_answered or answer is not None
        if answer is not None and after.gold is not None and self._wrong is None and not self._is_right:
            of = "" if after.group is None else f" of {after.group}"
            said = f"for problem {after.id!r} the gold answer is {after.gold!r} and a draw says {answer!r}"
            self._wrong = f"no draw{of} is right: {said}"
        if None not in after.answers or None not in before.verdicts:
            return
        for text, verdict, read in zip(before.column("text"), before.verdicts, after.answers, strict=False):
            if read is None and verdict is None and text.strip():
                self.n_unread += 1
                self._unread = self._unread or f"the first, to {before.id!r}, ends {_end(text)!r}"

    def faults(self) -> list[str]:
        """Why figures would be meaningless: all replies to a problem are empty, or no draw has an answer."""
        found = []
        if self.n_empty:
            more = f", and so are those of {self.n_empty - 1:,} more problems" if self.n_empty > 1 else ""
            found.append(f"all {self._empty} are empty{more}")
        needs_answers = self._is_ungraded and self._has_text and not self.needs_no_answers
        if needs_answers and not self._is_answered and self._kind is not None:
            found.append(
                f"no draw has an answer that can be read as {self._kind}, as the gold answer {self._gold!r} is; the "
                f"first ends {self._first!r}: name the column of answers with --answer, or give the pattern of the "
                "answer within a reply with --match regex:PATTERN"
            )
        return found

    def notes(self) -> list[str]:
        """Notes if draws have answers and none is right, and if many replies that are to be read have no answer."""
        found = [] if self._wrong is None or self._is_right else [self._wrong]
        if self.n_unread and MANY * self.n <= self.n_unread < self.n:
            what = f"{self.n_unread:,} of {self.n:,} replies have no answer that can be read; {self._unread}"
            found.append(f"{what}; --match or --kind say how replies are to be read")
        return found


def _end(text: str) -> str:
    return text.strip()[-SHOWN:]
