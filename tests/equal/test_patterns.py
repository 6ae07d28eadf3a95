"""Expressions that are compiled late are those that `re.compile` gives."""

import importlib
import pickle
import pkgutil
import re
from pathlib import Path

import pytest

from mull.equal.patterns import regex


def test_it_does_what_the_compiled_one_does() -> None:
    late, compiled = regex(r"(?P<sign>[+-])?(\d+)", re.IGNORECASE), re.compile(r"(?P<sign>[+-])?(\d+)", re.IGNORECASE)
    text = "a -12, 7 and +3"
    for use in ("findall", "split"):
        assert getattr(late, use)(text) == getattr(compiled, use)(text)
    assert [m.span() for m in late.finditer(text)] == [m.span() for m in compiled.finditer(text)]
    assert late.sub("n", text) == compiled.sub("n", text)
    assert (late.pattern, late.flags, late.groups) == (compiled.pattern, compiled.flags, compiled.groups)
    assert pickle.loads(pickle.dumps(late)).match("5")


def test_a_faulty_one_says_so_when_it_is_used() -> None:
    with pytest.raises(re.error):
        regex("(").search("text")


@pytest.mark.parametrize("room", ["mull.equal", "mull.replies"])
def test_every_expression_of_a_room_compiles(room: str) -> None:
    (folder,) = importlib.import_module(room).__path__
    modules = [importlib.import_module(f"{room}.{one.name}") for one in pkgutil.iter_modules([folder])]
    kind = type(regex(""))
    late = [value for module in modules for value in vars(module).values() if isinstance(value, kind)]
    assert len(late) >= sum(path.read_text().count(" = regex(") for path in Path(folder).glob("*.py"))
    assert all(isinstance(one.search(""), re.Match | None) for one in late)
