"""What a vote counts."""

from __future__ import annotations

from collections.abc import Iterable


class Answers(list[str | None]):
    """The class of each sample's answer, by the canonical form of its most frequent member; `None` does not vote.

    `undecided` samples might belong to another class than their own: nobody could say.
    """

    def __init__(self, answers: Iterable[str | None] = (), undecided: int = 0) -> None:
        super().__init__(answers)
        self.undecided = undecided
