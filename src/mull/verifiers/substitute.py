"""Substitutes a reply's values for the declarations of an SMT-LIB formula, for evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from mull.verifiers.sexpr import Form, text_of
from mull.verifiers.smtlib import Formula
from mull.verifiers.values import Values, helper

_DIVISIONS = {"/": ("Real", "/0", "0.0"), "div": ("Int", "div0", "0"), "mod": ("Int", "mod0", "0")}
"""Division operators: the sort, the function by which z3 interprets division by zero, and zero."""
_PARTIAL = {*_DIVISIONS, "rem", "seq.nth", "fp.to_ubv", "fp.to_sbv", "fp.to_real", "fp.min", "fp.max", "to_fp"}
_WHOLE = "mull!formula"


@dataclass(frozen=True)
class SmtQuestion:
    """Definitions of every symbol with a value, and of `mull!formula`, the conjunction of all assertions."""

    text: str
    missing: tuple[str, ...]
    """The names without a value."""
    is_total: bool
    """Whether the formula is fully determined: every name has a value, and every operation is defined everywhere."""


def with_values(formula: Formula, values: Values) -> SmtQuestion:
    """Substitutes values into a formula. Raises `ValueError` for a recursive definition."""
    known = {name for name in formula.free if name in values.definitions}
    divisions = {sign: _division(sign, values) for sign in _DIVISIONS if _teller(sign, values)}
    lines = [_sort(form, values) for form in formula.sorts]
    for name in values.order(known | {_DIVISIONS[sign][1] for sign in divisions}):
        free = formula.free.get(name)
        lines.append(values.definitions[name].text(name if free else helper(name), free))
    lines += divisions.values()
    for macro in formula.macros:
        if not (isinstance(macro, list) and macro[0] in ("declare-fun", "declare-const") and macro[1] in known):
            lines.append(text_of(_renamed(macro, divisions)))
    lines += [f"(assert (= ({name} {_joined(parts[:-1])}) {_joined(parts[-1:])}))" for name, parts in values.points]
    terms = [text_of(_renamed(term, divisions)) for term in formula.assertions]
    lines.append(f"(define-fun {_WHOLE} () Bool (and true {' '.join(terms)}))")
    told = known | {name for name, _ in values.points}
    missing = tuple(name for name in formula.free if name not in told)
    words = _words([*formula.assertions, *formula.macros])
    is_total = known == formula.free.keys() and not words & (_PARTIAL | formula.selectors)
    return SmtQuestion("\n".join(lines) + "\n", missing, is_total)


def _joined(parts: list[list[Form]]) -> str:
    return " ".join(text_of(part[0]) for part in parts)


def _sort(form: Form, values: Values) -> str:
    """The declaration of a sort; an uninterpreted sort has exactly the elements that the reply names."""
    match form:
        case ["declare-sort", str(name), *_] if values.elements.get(name):
            elements = " ".join(f"({element})" for element in values.elements[name].values())
            return f"(declare-datatypes (({name} 0)) (({elements})))"
    return text_of(form)


def _teller(sign: str, values: Values) -> bool:
    """Whether the reply defines division by zero."""
    definition = values.definitions.get(_DIVISIONS[sign][1])
    return definition is not None and len(definition.names) in (1, 2)


def _division(sign: str, values: Values) -> str:
    """The definition of a division that includes the reply's value at zero."""
    sort, teller, zero = _DIVISIONS[sign]
    arguments = "a b" if len(values.definitions[teller].names) == 2 else "a"
    return (
        f"(define-fun mull!{sign} ((a {sort}) (b {sort})) {sort} "
        f"(ite (= b {zero}) ({helper(teller)} {arguments}) ({sign} a b)))"
    )


def _renamed(form: Form, divisions: dict[str, str]) -> Form:
    """The expression with these divisions renamed, two arguments at a time."""
    if not divisions:
        return form
    top: list[Form] = []
    stack: list[tuple[Form, list[Form]]] = [(form, top)]
    while stack:
        part, into = stack.pop()
        if isinstance(part, str):
            into.append(part)
            continue
        head = part[0] if part else ""
        if isinstance(head, str) and head in divisions and len(part) > 3:
            part = [head, part[:-1], part[-1]]  # division is left-associative
        new: list[Form] = []
        into.append(new)
        stack += [(inner, new) for inner in reversed(part)]
        if isinstance(head, str) and head in divisions and len(part) == 3:
            stack[-1] = (f"mull!{head}", new)
    return top[0]


def _words(found: list[Form]) -> set[str]:
    words: set[str] = set()
    stack = list(found)
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            words.add(part)
        else:
            stack += part
    return words
