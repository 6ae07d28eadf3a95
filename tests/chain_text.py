"""Chains worked out from their text alone, as a reader would."""

import re

from mull.tasks.synthetic import apply


def derive(text: str) -> int:
    """The asked quantity, worked out from a chain's text alone."""
    *facts, asked = text.split(";")
    values: dict[str, str] = dict(fact.split(":") for fact in facts)

    def value(name: str) -> int:
        match = re.fullmatch(r"([a-z])([-+*])(\d+)", values[name])
        if match is None:
            return int(values[name])
        result = apply(match[2], value(match[1]), int(match[3]))
        assert result is not None
        return result

    return value(asked.removesuffix("?"))


def content_of_text(text: str) -> str:
    """The content of a chain, read back from its text: names, order and distractors do not count."""
    facts = dict(fact.split(":") for fact in text.split(";")[:-1])
    name, steps = text.split(";")[-1].removesuffix("?"), list[str]()
    while match := re.fullmatch(r"([a-z])([-+*]\d+)", facts[name]):
        steps.append(match[2])
        name = match[1]
    return f"chain {facts[name]}" + "".join(reversed(steps))
