"""Runs tests in a separate sandbox from the program under test, whose calls are answered from outside.

A call whose answer is not known yet returns a `Hole`, and the pass continues as far as it can to find out which other
calls follow. So the expected values in a test are never visible to the program, and no object of a type that the
program defines takes part in a comparison.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import math
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_CALLS = 5000
KNOWN, PLAIN = "known", (type(None), bool, int, float, complex, str, bytes)
COMPARE: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not"}


class AnswerNeeded(BaseException):
    """The pass cannot continue without an answer; a `BaseException`, so that tests do not catch it."""


class BrokenTest(Exception):
    """The test itself is invalid."""


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


class Pass:
    """One pass over one test: the known answers, and the results so far."""

    def __init__(self, answers: Mapping[str, list[tuple[str, Any]]]) -> None:
        self.answers = answers
        self.asked: Counter[str] = Counter()
        self.needs: list[str] = []
        self.claims: list[tuple[int, str, int, str, Any]] = []
        self.results: list[tuple[int, bool, str]] = []

    def ask(self, source: str) -> Any:
        """The program's value of an expression, or a `Hole` if it is not known yet."""
        place = self.asked[source]
        self.asked[source] += 1
        if sum(self.asked.values()) > MAX_CALLS:
            raise BrokenTest(f"it makes more than {MAX_CALLS} calls")
        known = self.answers.get(source, ())
        if place >= len(known):
            self.needs.append(source)
            return Hole(self, source, place)
        status, value = known[place]
        if status == "value":
            return thaw(value)
        if status == "opaque":
            return Hole(self, source, KNOWN)
        raise raised(value)

    def record(self, line: int, ok: bool, why: str = "") -> None:
        self.results.append((line, ok, why))

    def fail(self, line: int, error: Exception) -> None:
        """Records an exception as a failure of the program, unless only the test can have caused it."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        is_own = place is not None and place.tb_frame.f_code.co_filename in ("test", "prelude")
        # After a failure or an unknown value, a name may be undefined because of that.
        is_sound = not self.needs and all(ok for _, ok, _ in self.results)
        if isinstance(error, BrokenTest) or (is_own and is_sound and isinstance(error, (NameError, ImportError))):
            raise BrokenTest(f"line {line}: {_words(error)}")
        self.record(line, False, _words(error))


class Hole:
    """A value of the program that is unknown or cannot be transported. It can be called and passed on."""

    def __init__(self, run: Pass, source: str, place: int | str | None = None) -> None:
        self.__dict__.update(_run=run, _source=source, _place=place)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        parts = [render(a) for a in args] + [f"{name}={render(a)}" for name, a in kwargs.items()]
        return self._run.ask(f"{self._source}({', '.join(parts)})")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Hole(self._run, f"{self._source}.{name}")

    def __deepcopy__(self, memo: Any) -> Hole:
        return self


def _blind(name: str) -> Callable[..., Any]:
    def operate(self: Hole, *others: Any) -> Any:
        if self._place is None:
            value = self._run.ask(self._source)
            if not isinstance(value, Hole):
                return getattr(value, name)(*others)
            self = value
        if self._place != KNOWN:
            raise AnswerNeeded
        if name in ("__eq__", "__ne__"):
            return (self is others[0]) is (name == "__eq__")
        raise TypeError(f"{self._source} gave a value of a type that does not travel")

    return operate


_OPERATIONS = """
    eq ne lt le gt ge add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow and rand or
    ror xor rxor neg pos abs invert round int float index bool len iter next contains getitem hash str format
"""
for _name in _OPERATIONS.split():
    setattr(Hole, f"__{_name}__", _blind(f"__{_name}__"))


def render(value: Any) -> str:
    """Source code that evaluates to the value in the process of the program."""
    if isinstance(value, Hole):
        return str(value._source)
    kind = type(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if kind in PLAIN:
        return hex(value) if kind is int and abs(value) >= 1 << 10_000 else repr(value)
    if kind is list:
        return "[" + ", ".join(map(render, value)) + "]"
    if kind is tuple:
        return "(" + "".join(render(v) + ", " for v in value).rstrip() + ")"
    if kind is dict:
        return "{" + ", ".join(f"{render(k)}: {render(v)}" for k, v in value.items()) + "}"
    if kind in (set, frozenset):
        members = "[" + ", ".join(sorted(map(render, value))) + "]"
        return f"{kind.__name__}({members})"
    if kind is range or (
        getattr(value, "__module__", "") == "builtins" and value is vars(builtins).get(value.__name__)
    ):
        return repr(value) if kind is range else str(value.__name__)
    if kind is Decimal:
        return f'__import__("decimal").Decimal("{value}")'
    if kind is Fraction:
        return f'__import__("fractions").Fraction("{value}")'
    raise BrokenTest(f"it passes a value of the type {kind.__name__}, which does not travel")


def is_plain(value: Any) -> bool:
    """Whether a value can be compared outside this sandbox."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return all(map(is_plain, value))
    return kind in PLAIN or (kind is dict and all(is_plain(k) and is_plain(v) for k, v in value.items()))


def thaw(value: Any) -> Any:
    """Restores a transported value: values that `plain` converted get their original types back."""
    kind = type(value)
    if kind is tuple and len(value) == 2 and type(value[0]) is str and value[0][:1] == "\0":
        made: dict[str, Callable[[Any], Any]] = {
            "iterator": iter,
            "deque": deque,
            "decimal": Decimal,
            "fraction": Fraction,
            "range": lambda v: range(*v),
        }
        return made.get(value[0][1:], tuple)(thaw(value[1]))
    if kind in (list, tuple, set, frozenset):
        return kind(map(thaw, value))
    if kind is dict:
        return {thaw(k): thaw(v) for k, v in value.items()}
    return value


def raised(words: str) -> Exception:
    """The exception that the program raised, as a built-in exception of that name if there is one."""
    name, _, text = words.partition(": ")
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not UnicodeDecodeError:
        try:
            return kind(text)
        except TypeError:
            pass
    return RuntimeError(words)


class _Steps(ast.NodeTransformer):
    """Records each assertion separately, and lets a pass continue after a failure or an unknown value."""

    def body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [self.step(s) for s in statements]

    def step(self, s: ast.stmt) -> ast.stmt:
        if isinstance(s, ast.Assert):
            return self._assert(s)
        if isinstance(s, (ast.For, ast.While, ast.If)):
            s.body, s.orelse = self.body(s.body), self.body(s.orelse)
        elif isinstance(s, ast.FunctionDef) and s.name == "check":
            s.body = self.body(s.body)
            return s
        elif isinstance(
            s, (ast.FunctionDef, ast.ClassDef, ast.Return, ast.Break, ast.Continue, ast.Global, ast.Nonlocal, ast.Pass)
        ):
            return s
        is_check = isinstance(s, (ast.Expr, ast.Try, ast.With)) and any(
            isinstance(n, (ast.Call, ast.Assert)) for n in ast.walk(s)
        )
        guard = ast.parse(
            "try:\n    pass\nexcept _need:\n    pass\nexcept Exception as _error:\n"
            f"    _fail({s.lineno}, _error)\nelse:\n    {f'_pass({s.lineno})' if is_check else 'pass'}"
        ).body[0]
        assert isinstance(guard, ast.Try)
        guard.body = [s]
        return guard

    def _assert(self, s: ast.Assert) -> ast.stmt:
        test, operation = s.test, "true"
        left: ast.expr = test
        right: ast.expr = ast.Constant(None)
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in COMPARE:
            operation = COMPARE[type(test.ops[0])]
            left, right = test.left, test.comparators[0]
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            operation, left = "not", test.operand
        none = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        sides = [ast.Lambda(none, left), ast.Lambda(none, right)]
        call = ast.Call(ast.Name("_check", ast.Load()), [ast.Constant(s.lineno), ast.Constant(operation), *sides], [])
        return ast.copy_location(ast.Expr(call), s)


OPERATE: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "is": lambda a, b: a is b or (type(a) is type(b) and type(a) in PLAIN and a == b),
    "is not": lambda a, b: not OPERATE["is"](a, b),
    "true": lambda a, b: a,
    "not": lambda a, b: not a,
}


def _checker(run: Pass) -> Callable[[int, str, Callable[[], Any], Callable[[], Any]], None]:
    def check(line: int, operation: str, left: Callable[[], Any], right: Callable[[], Any]) -> None:
        before = len(run.needs)
        try:
            a, b = _value(left()), _value(right())
            holes = [v for v in (a, b) if isinstance(v, Hole) and v._place != KNOWN]
            if len(holes) == 1 and len(run.needs) == before + 1:
                other = b if holes[0] is a else a
                if is_plain(other):
                    run.claims.append((line, holes[0]._source, holes[0]._place, operation, other))
                    return
            if holes and "is" in operation:
                raise AnswerNeeded
            ok = bool(OPERATE[operation](a, b))
        except AnswerNeeded:
            return
        except Exception as error:  # noqa: BLE001 - whatever the test or the answer makes it raise is a failure
            run.fail(line, error)
        else:
            run.record(line, ok, "" if ok else "the assertion is false")

    return check


def _value(value: Any) -> Any:
    if isinstance(value, Hole) and value._place is None:
        return value._run.ask(value._source)
    return value


def _free(tree: ast.AST, bound: Mapping[str, Any]) -> set[str]:
    """The names that a test reads and that neither it nor its prelude defines: those of the program."""
    read: set[str] = set()
    made = set(bound) | set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    return read - made


def _awaits(node: ast.AST) -> bool:
    """Whether a part of a test waits for a coroutine: `await f(2)`, `asyncio.run(f(2))`."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in ("run_until_complete", "Runner") or (
            ast.unparse(node.func) in ("asyncio.run", "anyio.run", "trio.run")
        )
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)


def run_test(prelude: str, test: str, entry_point: str, answers: Any, seed: int = 0) -> dict[str, Any]:
    """Makes one pass over one test.

    `results` are the decided assertions as (line, held, why), `needs` the expressions whose values are missing,
    `claims` the comparisons that can be decided outside once the values are known, `broken` why the test is invalid.
    """
    run = Pass(answers)
    random.seed(seed)
    found: dict[str, Any] = {"results": run.results, "needs": run.needs, "claims": run.claims, "broken": ""}
    try:
        tree = ast.parse(test)
        if any(map(_awaits, ast.walk(tree))):
            raise BrokenTest("it awaits what it calls, and async functions are not run here")
        space: dict[str, Any] = {"__name__": "test"}
        exec(compile(prelude, "prelude", "exec", dont_inherit=True), space)
        for name in _free(tree, space) | ({entry_point} - {""}):
            space[name] = importlib.import_module(name) if name in sys.stdlib_module_names else Hole(run, name)
        tree.body = _Steps().body(tree.body)
        space |= {
            "_check": _checker(run),
            "_need": AnswerNeeded,
            "_fail": run.fail,
            "_pass": lambda line: run.record(line, True),
        }
        exec(compile(ast.fix_missing_locations(tree), "test", "exec", dont_inherit=True), space)
        if "check" in space and not isinstance(space["check"], Hole) and entry_point:
            del run.results[:]
            space["check"](Hole(run, entry_point))
    except AnswerNeeded:
        pass
    except Exception as error:  # noqa: BLE001 - a test may raise anything before it checks anything
        found["broken"] = str(error) if isinstance(error, BrokenTest) else _words(error)
        return found
    if not (run.results or run.needs or run.claims):
        found["broken"] = "it checks nothing"
    return found
