"""Parses an SMT-LIB 2 formula: its declarations, assertions and queries."""

from __future__ import annotations

from dataclasses import dataclass, field

from mull.verifiers.sexpr import Form, forms, is_symbol, text_of

_PASSED_OVER = {"set-info", "set-option", "get-info", "get-option", "echo"}
_ANSWERS = {
    *("get-model", "get-value", "get-unsat-core", "get-unsat-assumptions", "get-proof", "get-assignment"),
    *("get-assertions", "eval", "get-objectives"),
}
_SORTS = {"declare-sort", "define-sort", "declare-datatype", "declare-datatypes"}
_MACROS = {"define-fun", "define-fun-rec", "define-funs-rec", "define-const"}
_OPTIMA = {"minimize", "maximize", "assert-soft"}


@dataclass(frozen=True)
class Signature:
    """The parameter sorts and the result sort of a free function."""

    takes: tuple[Form, ...]
    gives: Form


@dataclass
class Formula:
    """A parsed formula. `free` has the constants and functions that a model must interpret, by name."""

    logic: str = ""
    sorts: list[Form] = field(default_factory=list)
    macros: list[Form] = field(default_factory=list)
    """Definitions and the declarations of free symbols, in order."""
    assertions: list[Form] = field(default_factory=list)
    free: dict[str, Signature] = field(default_factory=dict)
    uninterpreted: list[str] = field(default_factory=list)
    constructors: set[str] = field(default_factory=set)
    selectors: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        """The declarations, definitions and assertions."""
        told = [*self.sorts, *self.macros, *(["assert", form] for form in self.assertions)]
        return "\n".join([*([self.logic] if self.logic else []), *map(text_of, told)]) + "\n"


def formula_of(text: str) -> Formula:
    """A formula with one query, as in a benchmark file: only commands that read results may follow `check-sat`.

    Raises `ValueError` for unreadable text, several queries, and optimisation.
    """
    formula = Formula()
    is_asked = False
    for command in forms(text.removeprefix("\ufeff")):
        head = command[0] if isinstance(command, list) and command else None
        if not isinstance(command, list) or not isinstance(head, str):
            raise ValueError(f"{text_of(command, 60)} is not a command")
        if head == "exit":
            break
        if head in ("check-sat", "check-sat-using"):
            is_asked = True
        elif head in _PASSED_OVER or (head in _ANSWERS and is_asked):
            continue
        elif is_asked:
            raise ValueError(f"{text_of(command, 60)} follows the query: a formula must have one query")
        elif head in _OPTIMA:
            raise ValueError(f"optimisation is not supported: {text_of(command, 60)}")
        else:
            _add(formula, head, command)
    return formula


def _add(formula: Formula, head: str, command: list[Form]) -> None:
    match command:
        case ["set-logic", str(_)]:
            formula.logic = text_of(command)
        case ["assert", term]:
            formula.assertions.append(term)
        case ["declare-const", str(name), sort]:
            formula.free[name] = Signature((), sort)
            formula.macros.append(command)
        case ["declare-fun", str(name), list(takes), gives]:
            formula.free[name] = Signature(tuple(takes), gives)
            formula.macros.append(command)
        case [str(kind), *_] if kind in _SORTS:
            if head == "declare-sort" and command[2:] in ([], ["0"]) and is_symbol(command[1]):
                formula.uninterpreted.append(str(command[1]))
            formula.sorts.append(command)
            _constructors(formula, command)
        case [str(kind), *_] if kind in _MACROS:
            formula.macros.append(command)
        case _:
            raise ValueError(f"only declarations, definitions and assertions are allowed, not {text_of(command, 60)}")


def _constructors(formula: Formula, command: list[Form]) -> None:
    """The names that a datatype declaration defines."""
    match command:
        case ["declare-datatype", str(_), body]:
            bodies: list[Form] = [body]
        case ["declare-datatypes", list(names), list(several)]:  # before SMT-LIB 2.6 a body began with its name
            is_old = not any(isinstance(name, list) for name in names)
            bodies = [body[1:] if is_old else body for body in several if isinstance(body, list)]
        case _:
            return
    for body in bodies:
        match body:
            case ["par", _, list(inner)]:
                body = inner
        for constructor in body:
            match constructor:
                case str(name):
                    formula.constructors.add(name)
                case [str(name), *fields]:
                    formula.constructors.add(name)
                    formula.selectors.update(f[0] for f in fields if isinstance(f, list) and isinstance(f[0], str))
