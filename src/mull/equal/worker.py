"""The worker process: math-verify's verdict on two answers, confirmed numerically to 50 and to 500 digits.

Runs as `python -m mull.equal.worker`, since sympy on untrusted text can hang, exhaust memory, or worse. It sets its
limits before reading anything; its parent kills it when it takes too long.
"""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import signal
import sys
from typing import Any

from mull.equal.forms import sign_at
from mull.equal.numeric import constant_size
from mull.equal.polynomial import Gen, Poly
from mull.equal.reader import read
from mull.equal.sameness import same

MEMORY = 1 << 30
DIGITS = (50, 500)
"""Equality must hold at both precisions: nearly equal values differ at one of them."""
N_POINTS = 3
MAX_HARD = 300
MAX_EXPONENT = 10_000
_HARMLESS = re.compile(r"[A-Za-z0-9\\{}()\[\]^_+\-*/=<>|,.:;!%&\s']*")
_HUGE = re.compile(r"\d{5,}\}?\s*!|\^\s*\{?\s*-?\d{4,}|!\s*!|__|(?:\^[^^]*){4,}|\d{60,}")


class Incomparable(Exception):
    """The expressions are too large or of a kind that cannot be compared here."""


def expression(text: str) -> Any:
    """A text as a sympy expression, parsed by mull or else by math-verify. Raises `Incomparable`."""
    form = read(text)
    if form is not None and form.kind in ("value", "relation"):
        return of_poly(form.value)
    if form is not None and form.kind != "hard":
        raise Incomparable("of different kinds")
    return of_latex(text)


def of_latex(text: str) -> Any:
    import math_verify
    import sympy

    if len(text) > MAX_HARD or not _HARMLESS.fullmatch(text) or _HUGE.search(text) or text.count("{") > 30:
        raise Incomparable("too long or too large to be read")
    config = [math_verify.LatexExtractionConfig()]
    found = math_verify.parse(f"${text}$", config, fallback_mode="no_fallback", parsing_timeout=None)
    if not found or not isinstance(found[0], sympy.Expr):
        raise Incomparable("math-verify cannot read it")
    return found[0].doit()


def of_poly(poly: Poly) -> Any:
    import sympy

    total = sympy.Integer(0)
    for mono, c in poly.terms.items():
        term = sympy.Rational(c.numerator, c.denominator) * sympy.sqrt(mono.radicand)
        for gen, x in mono.gens:
            term *= of_gen(gen) ** sympy.Rational(x.numerator, x.denominator)
        total += term
    return total


def of_gen(gen: Gen) -> Any:
    import sympy

    constants = {
        "i": sympy.I,
        "pi": sympy.pi,
        "e": sympy.E,
        "oo": sympy.oo,
        "degree": sympy.pi / 180,
        "percent": sympy.Rational(1, 100),
    }
    if not gen.function:
        return constants.get(gen, sympy.Symbol(gen))
    if gen.function == "pow":
        base, exponent = gen.args
        if exponent.is_constant and is_huge(exponent):
            raise Incomparable("an exponent that is too large")
        return of_poly(base) ** of_poly(exponent)
    if gen.function in ("factorial", "binom"):
        sizes = [constant_size(arg) for arg in gen.args]
        if any(
            arg.is_constant and (size is None or size > MAX_EXPONENT) for arg, size in zip(gen.args, sizes, strict=True)
        ):
            raise Incomparable("a factorial that is too large")
    names = {"abs": "Abs", "ceil": "ceiling", "binom": "binomial"}
    args = [of_poly(arg) for arg in gen.args]
    return args[0] if gen.function == "sum" else getattr(sympy, names.get(gen.function, gen.function))(*args)


def is_huge(constant: Poly) -> bool:
    """Whether a constant is too large for an exponent or the argument of a factorial."""
    size = constant_size(constant)
    return size is None or size > MAX_EXPONENT


def points(symbols: list[Any]) -> list[dict[Any, Any]]:
    """Values to substitute for letters: on both sides of 0, and off the real line."""
    import sympy

    found = []
    for point in range(N_POINTS):
        turn = sympy.I if point == 2 else 0
        found.append(
            {s: sympy.Rational(str(round(sign_at(s.name, point), 6))) + turn * sympy.Rational(2, 7) for s in symbols}
        )
    return found


def is_confirmed(a: Any, b: Any) -> bool | None:
    """Whether two expressions agree to 50 and to 500 significant digits; `None` if they cannot be evaluated."""
    import sympy

    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    n_seen = 0
    for at in points(symbols) if symbols else [{}]:
        x, y = a.subs(at), b.subs(at)
        for digits in DIGITS:
            u, v = (sympy.N(side, digits + 10, maxn=4 * digits) for side in (x, y))
            if not (u.is_number and v.is_number and u.is_finite and v.is_finite):
                break
            size = max(abs(u), abs(v))
            zero = sympy.Float(10, digits) ** (-digits)
            if abs(u - v) > zero * (size if u != 0 and v != 0 else 1) * 1000:
                return False
            n_seen += 1
    return True if n_seen else None


def decide(a: str, b: str) -> bool | None:
    """math-verify's verdict in either order; a yes counts only if the digits confirm it."""
    import math_verify

    x, y = expression(a), expression(b)
    confirmed = is_confirmed(x, y)
    if confirmed is False:
        return False
    is_symbolic = any(math_verify.verify(u, v, timeout_seconds=None) for u, v in ((x, y), (y, x)))
    return True if is_symbolic and confirmed else None


def answer(question: dict[str, str]) -> dict[str, Any]:
    """The reply to one question; an exception that untrusted text causes in sympy means undecided, with its name."""
    why = ""
    try:
        if question["do"] == "size":
            import sympy

            x = expression(question["a"])
            return {"size": abs(complex(sympy.N(x.subs(points(sorted(x.free_symbols, key=str))[0]), 50)))}
        one, other = read(question["a"]), read(question["b"])
        if one is None or other is None:
            raise Incomparable("no answer")
        found = same(one, other, decide)
        return {"is_equal": found, "why": "" if found is not None else "neither proved equal nor shown to differ"}
    except Incomparable as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - sympy raises anything on hostile text; this process is the fence
        why = f"math-verify failed with {type(error).__name__}"
    return {"is_equal": None, "why": why}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not become a reply
    logging.disable(logging.CRITICAL)
    try:
        import math_verify  # noqa: F401 - before the first question, which has to be fast
        import sympy  # noqa: F401
    except ImportError:
        return
    out.write("ready\n")
    for line in sys.stdin:
        question = json.loads(line)
        # The kernel ends this process when its processor time for the question is used up, also inside a library's C.
        signal.setitimer(signal.ITIMER_PROF, question["seconds"])
        found = answer(question)
        left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(json.dumps({**found, "seconds": question["seconds"] - left}) + "\n")


if __name__ == "__main__":
    main()
