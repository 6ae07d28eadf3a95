"""The answers that a vote counts."""

from __future__ import annotations

from collections.abc import Iterable


class Answers(list[str | None]):
    """The class of each sample's answer, named by the canonical form of its most frequent member; `None`: no vote.

    `undecided` is the number of samples that may belong to another class: a comparison with it was not decided.
    """

    def __init__(self, answers: Iterable[str | None] = (), undecided: int = 0) -> None:
        super().__init__(answers)
        self.undecided = undecided
