"""Parses the values that a reply gives to the constants and functions of an SMT-LIB formula.

The text is parsed, checked against the forms of values that solvers print, and printed again. Nothing else of it
reaches the solver: anything that is not a value, such as a command, raises an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from mull.verifiers.sexpr import Form, forms, is_symbol, text_of
from mull.verifiers.smtlib import Formula, Signature

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NEGATIVE = re.compile(r"[-−][0-9]+(?:\.[0-9]+)?")
_LITERAL = re.compile(r'[0-9]+(?:\.[0-9]+)?|#x[0-9A-Fa-f]+|#b[01]+|true|false|"[^"]*(?:""[^"]*)*"', re.DOTALL)
_ROUNDING = {
    *("RNE", "RNA", "RTP", "RTN", "RTZ", "roundNearestTiesToEven", "roundNearestTiesToAway"),
    *("roundTowardPositive", "roundTowardNegative", "roundTowardZero"),
}
_INDEXED = re.compile(r"bv[0-9]+ [0-9]+|(?:[+-]oo|[+-]zero|NaN) [0-9]+ [0-9]+|[Cc]har (?:[0-9]+|#x[0-9A-Fa-f]+)")
_MAKERS = {"fp", "seq.unit", "seq.++", "str.++", "store", "set.singleton", "set.union"}
_OPERATORS = {
    *("ite", "=", "distinct", "and", "or", "not", "xor", "=>", "<", "<=", ">", ">=", "+", "-", "*", "div", "mod", "/"),
    *("abs", "to_real", "to_int", "is_int", "select", "concat", "bvnot", "bvand", "bvor", "bvneg", "bvadd", "bvsub"),
    *("bvmul", "bvudiv", "bvurem", "bvsdiv", "bvsrem", "bvshl", "bvlshr", "bvashr", "bvxor", "bvult", "bvule", "bvugt"),
    *("bvuge", "bvslt", "bvsle", "bvsgt", "bvsge", "bvcomp", "bvnand", "bvnor", "bvxnor", "bv2nat", "ubv_to_int"),
    *("fp.eq", "fp.lt", "fp.leq", "fp.gt", "fp.geq", "fp.isNaN", "fp.isZero", "fp.isInfinite", "fp.isNegative"),
    *("fp.neg", "fp.abs", "str.len", "str.at", "str.<", "str.<=", "str.prefixof", "str.suffixof", "str.contains"),
    *("seq.len", "seq.at", "seq.extract", "seq.contains"),
}
_TURNED = re.compile(
    r"(?:extract [0-9]+|zero_extend|sign_extend|repeat|rotate_left|rotate_right|int2bv|int_to_bv) [0-9]+"
)
_DEFINES = {"define-fun", "define-fun-rec", "define-const"}
_NO_VALUES = {"assert", "let", "forall", "exists", "declare-const", "declare-fun", "declare-datatypes", "set-logic"}
_ELEMENT = re.compile(r"(?P<sort>.+)!val![0-9]+|@(?:uc_)?(?P<cvc>.+)_[0-9]+|@a[0-9]+", re.DOTALL)
_SAID = re.compile(
    r"(?<![\w!.])([A-Za-z_][\w!.]*)[`*$ \t]{0,4}(?::=|=|:|→|->)[`*$ \t]{0,4}"
    r'(true|false|#x[0-9a-f]+|#b[01]+|"[^"\n]{0,200}"|[-−]?[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?)'
    r"(?![\w/?]|\.[0-9]|[ \t]*[-+*^=<>(])",
    re.IGNORECASE,
)


@dataclass
class Definition:
    """A constant or function: the names and sorts of its parameters, its own sort, and its value."""

    names: list[str]
    takes: list[Form]
    gives: Form
    body: list[Form]
    """A list of one element: the value."""

    @cached_property
    def written(self) -> str:
        """The value's text as in the reply."""
        return self.text("")

    def text(self, name: str, signature: Signature | None = None) -> str:
        """The definition in SMT-LIB, with the signature's sorts if one is given."""
        takes, gives = (signature.takes, signature.gives) if signature else (self.takes, self.gives)
        parameters: list[Form] = [[own, sort] for own, sort in zip(self.names, takes, strict=True)]
        return text_of(["define-fun", name, parameters, gives, self.body[0]])


@dataclass
class Values:
    """A reply's values: definitions by name, helper functions included, and values of functions at points."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    points: list[tuple[str, list[list[Form]]]] = field(default_factory=list)
    """The name of a function, its arguments and its value at that point, each as a list of one element."""
    elements: dict[str, dict[str, str]] = field(default_factory=dict)
    """Elements of uninterpreted sorts: the name of each in the reply, and in the printed text."""
    uses: dict[str, set[str]] = field(default_factory=dict)

    def order(self, wanted: set[str]) -> list[str]:
        """The names of definitions in dependency order. Raises `ValueError` for a recursive one."""
        graph: dict[str, set[str]] = {}
        left = sorted(wanted)
        while left:
            name = left.pop()
            if name not in graph:
                graph[name] = self.uses.get(name, set())
                left += sorted(graph[name])
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:
            raise ValueError("a function's definition refers to itself") from None


def values_of(text: str, formula: Formula) -> Values:
    """The values in a text, as `get-model` or `get-value` prints them, else as `x = 5`.

    Raises `ValueError` for anything that is not a value, and for two values of one name.
    """
    values = Values(elements={sort: {} for sort in formula.uninterpreted})
    for form in _telling(forms(text, is_loose=True)):
        _take(values, formula, form)
    if not any(name in formula.free for name in values.definitions) and not values.points:
        for name, value in _SAID.findall(text):
            if name in formula.free:
                _define(values, name, Definition([], [], "", [_spoken(value, formula.free[name].gives)]))
    reader = _ValueReader(values, formula)
    for name, definition in values.definitions.items():
        if name in formula.free:
            takes = len(formula.free[name].takes)
            if len(definition.names) != takes:
                raise ValueError(f"{name[:40]} takes {takes} arguments, but its value takes {len(definition.names)}")
            reader.read(name, definition)
    left = [used for name in formula.free for used in values.uses.get(name, ())]
    left += [name for name in ("/0", "div0", "mod0") if name in values.definitions and name not in formula.free]
    while left:
        name = left.pop()
        if name not in values.uses:
            reader.read(name, values.definitions[name])
            left += values.uses[name]
    for _, parts in values.points:
        for part in parts:
            reader.read("", Definition([], [], "", part))
    return values


def _telling(found: list[Form]) -> Iterator[list[Form]]:
    """The expressions that may give values: at the top level, in a model, or in a list of lists."""
    stack = [form for form in reversed(found) if isinstance(form, list)]
    while stack:
        form = stack.pop()
        yield form
        if not form or isinstance(form[0], list) or form[0] not in _DEFINES | _NO_VALUES:
            stack += [part for part in reversed(form) if isinstance(part, list)]


def _take(values: Values, formula: Formula, form: list[Form]) -> None:
    match form:
        case ["define-fun" | "define-fun-rec", str(name), list(parameters), gives, body]:
            names = [p[0] for p in parameters if isinstance(p, list) and len(p) == 2 and isinstance(p[0], str)]
            if len(names) != len(parameters) or not all(map(is_symbol, names)):
                raise ValueError(f"{name[:40]} is not defined as a constant or function")
            _define(values, name, Definition(names, [p[1] for p in parameters], gives, [body]))
        case ["define-const", str(name), gives, body]:
            _define(values, name, Definition([], [], gives, [body]))
        case [str(head), str(name), *_] if head in _DEFINES:
            raise ValueError(f"{name[:40]} is not defined as a constant or function")
        case ["declare-fun", str(name), [], str(sort)] if sort in values.elements:
            values.elements[sort].setdefault(name, f"mull!{len(values.elements[sort])}!of!{_bare(sort)}")
        case [[_, _], *_] if all(isinstance(pair, list) and len(pair) == 2 for pair in form):
            for pair in form:
                _take_pair(values, formula, pair)


def _take_pair(values: Values, formula: Formula, pair: Form) -> None:
    match pair:
        case [str(name), ["lambda", list(parameters), body]] if name in formula.free and formula.free[name].takes:
            _take(values, formula, ["define-fun", name, parameters, "", body])
        case [str(name), value] if name in formula.free:
            _define(values, name, Definition([], [], "", [value]))
        case [[str(name), *arguments], _] if name in formula.free and arguments:
            values.points.append((name, [[part] for part in (*arguments, pair[1])]))


def _define(values: Values, name: str, definition: Definition) -> None:
    known = values.definitions.setdefault(name, definition)
    if known is not definition and known.written != definition.written:
        raise ValueError(f"it gives two values for {name[:40]}")


def _spoken(value: str, sort: Form) -> Form:
    """A value written in words or in Python notation, converted to SMT-LIB."""
    value = value.replace("−", "-")
    if value.lower() in ("true", "false"):
        return value.lower()
    if re.fullmatch(r"-?[0-9]+", value) and isinstance(sort, list) and sort[:2] == ["_", "BitVec"]:
        return ["_", f"bv{value}", *sort[2:]]
    above, _, below = value.partition("/")
    return ["/", above, below] if below else value


def _bare(name: str) -> str:
    return re.sub(r"\W", "_", name)


class _ValueReader:
    """Checks definitions against the forms of values; normalises numbers, strings and names of helpers."""

    def __init__(self, values: Values, formula: Formula) -> None:
        self.values, self.formula = values, formula

    def read(self, name: str, definition: Definition) -> None:
        """Reads one definition. Raises `ValueError` if it is not a value."""
        self.bound = set(definition.names)
        self.used = self.values.uses.setdefault(name, set())
        if not all(map(_is_sort, definition.takes)):
            raise ValueError(f"{name[:40]} has a parameter with an invalid sort")
        stack = [(definition.body, 0, bool(definition.names))]
        while stack:
            holder, at, is_body = stack.pop()
            form = holder[at]
            if isinstance(form, str):
                holder[at] = self._word(form, is_body)
            else:
                stack += self._list(holder, at, form, is_body)

    def _word(self, word: str, is_body: bool) -> Form:
        if word in self.bound or word in self.formula.constructors or word in _ROUNDING:
            return word
        if _LITERAL.fullmatch(word):
            return word if word.isascii() else "".join(c if c.isascii() else f"\\u{{{ord(c):x}}}" for c in word)
        if _NEGATIVE.fullmatch(word):
            return ["-", word[1:]]
        if element := self._element(word):
            return element
        if is_body and word in self.values.definitions and not self.values.definitions[word].names:
            return self._use(word)
        raise _no_value(word)

    def _element(self, word: str, sort: Form = "") -> str:
        """The printed name of an element of an uninterpreted sort; empty if the word is not one."""
        for known, names in self.values.elements.items():
            if word in names and sort in ("", known):
                return names[word]
        match = _ELEMENT.fullmatch(word)
        known = str(sort or (match and (match["sort"] or match["cvc"])) or "")
        if match and known in self.values.elements:
            names = self.values.elements[known]
            return names.setdefault(word, f"mull!{len(names)}!of!{_bare(known)}")
        return ""

    def _use(self, name: str) -> str:
        self.used.add(name)
        return name if name in self.formula.free else helper(name)

    def _list(self, holder: list[Form], at: int, form: list[Form], is_body: bool) -> list[tuple[list[Form], int, bool]]:
        """The subexpressions still to be read."""
        rest = [(form, i, is_body) for i in range(1, len(form))]
        match form:
            case ["-", _]:
                return rest
            case ["/" | "div" | "mod" as sign, above, below] if is_body or (sign == "/" and _is_number(above)):
                if not _is_number(below) or not re.search("[1-9]", text_of(below)):
                    raise ValueError(f"a value may divide only by a number other than 0, not {text_of(form, 60)}")
                return rest
            case ["root-obj", polynomial, str(place)] if _is_polynomial(polynomial) and place.isdecimal():
                return []
            case ["_", "as-array", str(name)] if name in self.values.definitions:
                if stores := _stores(self.values.definitions[name]):
                    holder[at] = stores
                    return [(holder, at, is_body)]
                form[2] = self._use(name)
                return []
            case ["_", *_] if _INDEXED.fullmatch(text_of(form[1:]).strip("() ")):
                return []
            case ["as", str(name), sort] if _is_sort(sort):
                if element := self._element(name, sort):
                    holder[at] = element
                elif name not in self.formula.constructors | {"seq.empty", "set.empty"}:
                    raise _no_value(form)
                return []
            case ["lambda", list(variables), _] | ["let", list(variables), _]:
                return self._binding(form, variables, is_body)
            case [str(head), _, *_]:
                if head in _MAKERS or head in self.formula.constructors:
                    return rest
                if is_body and head in self.values.definitions:
                    form[0] = self._use(head)
                    return rest
                known = self.formula.selectors | {f"is-{name}" for name in self.formula.constructors}
                if is_body and (head in _OPERATORS or head in known) and head not in ("/", "div", "mod"):
                    return rest
            case [["as", str(name), sort], _, *_] if _is_sort(sort) and name in self.formula.constructors | {"const"}:
                return rest
            case [["_", "to_fp", str(_), str(_)], *_] if _is_sort(form[0]):
                return rest
            case [["_", "map", operator], *_] if text_of(operator) in ("and", "or", "not", "=>"):
                return rest
            case [["_", "is", str(name)], _] if is_body and name in self.formula.constructors:
                return rest
            case [["_", *_], *_] if is_body and _TURNED.fullmatch(text_of(form[0]).strip("() ").removeprefix("_ ")):
                return rest
        raise _no_value(form)

    def _binding(self, form: list[Form], variables: list[Form], is_body: bool) -> list[tuple[list[Form], int, bool]]:
        parts = []
        for pair in variables:
            match pair:
                case [str(name), sort] if is_symbol(name) and name not in _OPERATORS:
                    self.bound.add(name)
                    if form[0] == "let":
                        parts.append((pair, 1, is_body))
                    elif not _is_sort(sort):
                        raise _no_value(form)
                case _:
                    raise _no_value(form)
        return [*parts, (form, 2, is_body or form[0] == "lambda")]


def _stores(definition: Definition) -> Form | None:
    """The array of a function defined by its values at single points; `None` for any other function.

    Solvers can compare such arrays, but often cannot decide whether two functions are equal.
    """
    points: list[tuple[list[Form], Form]] = []
    rest = definition.body[0]
    while True:
        match rest:
            case ["ite", ["=", str(name), at], value, otherwise] if [name] == definition.names:
                points.append(([at], value))
            case ["ite", ["and", *parts], value, otherwise] if len(parts) == len(definition.names):
                pairs = [part[2] for part, name in zip(parts, definition.names, strict=True) if part[:2] == ["=", name]]
                if len(pairs) != len(parts):
                    return None
                points.append((pairs, value))
            case _:
                break
        rest = otherwise
    array: Form = [["as", "const", ["Array", *definition.takes, definition.gives]], rest]
    for at, value in reversed(points):
        array = ["store", array, *at, value]
    words = set(text_of(array).split())
    return None if words & {*definition.names, "ite"} else array


def helper(name: str) -> str:
    """The printed name of a reply's helper function, distinct from every name in the formula."""
    return f"mull!helper!{name.encode().hex()}"


def _no_value(form: Form) -> ValueError:
    return ValueError(f"a value must be a literal or what solvers print for one, not {text_of(form, 60)}")


def _is_number(form: Form) -> bool:
    match form:
        case str(word):
            return bool(_NUMBER.fullmatch(word) or _NEGATIVE.fullmatch(word))
        case ["-", str(word)]:
            return bool(_NUMBER.fullmatch(word))
    return False


def _is_polynomial(form: Form) -> bool:
    """Whether an expression is a polynomial in one variable with integer coefficients, of degree at most 200."""
    words = text_of(form).replace("(", " ").replace(")", " ").split()
    names = {word for word in words if is_symbol(word) and word not in ("+", "-", "*", "^")}
    powers = [int(m) for m in re.findall(r"\( ?\^ \w+ ([0-9]{1,4}) ?\)", text_of(form))]
    return (
        len(names) == 1
        and all(word in names or word in ("+", "-", "*", "^") or word.isdecimal() for word in words)
        and len(powers) == words.count("^")
        and max(powers, default=0) <= 200
    )


def _is_sort(form: Form) -> bool:
    """Whether an expression could be a sort: symbols and numbers alone."""
    stack = [form]
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack += part
        elif not is_symbol(part) and not part.isdecimal():
            return False
    return True
