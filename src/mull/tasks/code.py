"""Programming problems: HumanEval, MBPP, and programs that read and print. Replies are graded by running them.

Only the public tests are in `Problem.given`; the hidden ones, and reference solutions, stay here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError, NoSandboxError, SandboxError
from mull.files.lines import read_jsonl
from mull.programs import execute
from mull.programs.assertions import AssertionVerdict
from mull.programs.execute import Bench, Suite
from mull.replies.programs import asked, programs_of
from mull.replies.tests import examples_of
from mull.sandbox import LevelName
from mull.tasks import methods
from mull.types import AnswerKind, Grade, Problem, Prompt, Sample

_Pairs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """A problem with its hidden tests and, where the file has a solution that is known to be right, ways to read it."""

    problem: Problem
    suite: Suite | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodeTask:
    """Base of the programming tasks.

    A program is right if it passes every hidden test in each of `repeats` runs. If the file has reference solutions, a
    test that they fail is broken, and one that they pass only sometimes is flaky: replies to such a problem have no
    grade, and the reason names the problem. `seconds` limits the processor time of a program on all tests together; for
    a program that reads standard input, on each input. `isolation` is the minimum level of the sandbox.
    """

    path: str
    seconds: float = 4.0
    repeats: int = 1
    isolation: LevelName = "namespaces"
    _known: dict[tuple[str, str], asyncio.Task[Grade]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    kind = "code"
    domain = "code"
    date = None
    step_truth = False

    def __post_init__(self) -> None:
        self._cases  # noqa: B018 - a malformed file raises an error before any draw

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.path}"

    @property
    def size(self) -> int:
        return len(self._cases)

    def case(self, line: int, row: Mapping[str, Any]) -> Case:
        """Parses one row of the file. Raises `FileFormatError` if it is malformed."""
        raise NotImplementedError

    @cached_property
    def _cases(self) -> dict[str, Case]:
        found: dict[str, Case] = {}
        for line, row in read_jsonl(Path(self.path)):
            case = self.case(line, row)
            if case.problem.id in found:
                raise FileFormatError(self.path, line, f"problem {case.problem.id!r} is there twice")
            found[case.problem.id] = case
        if not found:
            raise FileFormatError(self.path, None, "no problems in it")
        return found

    def problems(self) -> Iterator[Problem]:
        for case in self._cases.values():
            yield case.problem

    async def grade(self, problem_id: str, sample: Sample) -> Grade:
        case = self._cases[problem_id]
        (program,) = await programs_of(case.problem, [sample])
        if program is None:
            return Grade(False, "there is no program in the reply")
        if why := await self._why_broken(case):
            return Grade(None, f"the tests of {problem_id} are broken: its own solution fails: {why}")
        return await self._graded(case, program)

    async def _why_broken(self, case: Case) -> str:
        """Why the problem's own solution fails; empty if it passes or there is none."""
        whys = []
        for reference in case.references:
            grade = await self._graded(case, reference)
            if grade.correct:
                return ""
            whys.append(grade.why)
        return whys[0] if whys else ""

    async def _graded(self, case: Case, program: str) -> Grade:
        """The grade of a program, computed once for all samples with it."""
        key = (case.problem.id, program)
        known = self._known.get(key)
        if known is None or (not known.done() and known.get_loop() is not asyncio.get_running_loop()):
            known = self._known[key] = asyncio.create_task(self._run(case, program))
        return await asyncio.shield(known)

    async def _run(self, case: Case, program: str) -> Grade:
        seen = set()
        for seed in range(self.repeats):
            grade = await self._once(case, program, seed)
            seen.add(grade.correct)
            if grade.correct is None or (grade.correct is False and len(seen) == 1):
                return grade
        if len(seen) > 1:
            return Grade(False, f"it passed only some of {self.repeats} runs")
        return grade

    async def _once(self, case: Case, program: str, seed: int) -> Grade:
        limits = execute.with_seconds(self.seconds)
        try:
            if case.suite is None:
                verdicts = await execute.run_pairs(program, case.pairs, limits, self.isolation)
            else:
                verdicts = await self._bench(case, seed).run(program, "shared")
        except NoSandboxError:
            raise
        except SandboxError as error:
            return Grade(None, f"the sandbox failed: {error}")
        return _together(case.problem.id, verdicts)

    def _bench(self, case: Case, seed: int) -> Bench:
        assert case.suite is not None
        return self._benches.setdefault(
            (case.problem.id, seed),
            Bench(case.suite, execute.with_seconds(self.seconds), self.seconds, seed=seed, isolation=self.isolation),
        )

    @cached_property
    def _benches(self) -> dict[tuple[str, int], Bench]:
        return {}


def _together(problem_id: str, verdicts: Sequence[AssertionVerdict]) -> Grade:
    """One grade from the verdicts on all tests; an undecided test leaves it ungraded unless another failed."""
    for place, verdict in enumerate(verdicts):
        if verdict.passed is False:
            return Grade(False, f"test {place + 1}, {verdict.why}" if len(verdicts) > 1 else verdict.why)
    for place, verdict in enumerate(verdicts):
        if verdict.passed is None:
            return Grade(None, f"test {place + 1} of {problem_id} is broken: {verdict.why}")
    return Grade(True, f"passed {len(verdicts)} tests" if len(verdicts) > 1 else "passed")


def _text(path: str, line: int, row: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that exists and is text."""
    for name in names:
        value = row.get(name)
        if isinstance(value, (str, int)) and str(value).strip():
            return str(value)
    raise FileFormatError(path, line, f"no `{names[0]}`" + (f" (nor {', '.join(names[1:])})" if names[1:] else ""))


@dataclass(frozen=True)
class HumanEvalTask(CodeTask):
    """Functions to be completed, in the format of HumanEval (Chen et al. 2021, arXiv 2107.03374), as JSONL or `.gz`.

    A row has `task_id`, `prompt`, `entry_point` and `test`, a file that defines `check(candidate)`. The examples in the
    docstring are the public tests. Replies are whole functions or their bodies.
    """

    kind = "humaneval"

    def case(self, line: int, row: Mapping[str, Any]) -> Case:
        name = _text(self.path, line, row, "task_id", "problem_id")
        header = _text(self.path, line, row, "prompt")
        entry_point = _text(self.path, line, row, "entry_point")
        test = _text(self.path, line, row, "test", "tests")
        if not re.search(r"^def check\(", test, re.MULTILINE):
            raise FileFormatError(self.path, line, f"the tests of {name} define no function `check`")
        given = {"entry_point": entry_point, "header": header, "tests": examples_of(header, entry_point)}
        problem = Problem(name, Prompt.user(header), AnswerKind.CODE, given)
        solution = str(row.get("canonical_solution") or "")
        # Some files indent it unlike the docstring, or give the whole function.
        begun = re.match(rf"(?s).*?^def {re.escape(entry_point)}\(.*?:[ \t]*\n", header, re.MULTILINE)
        ways = (header, begun[0] if begun else "", asked(given).prelude)
        references = tuple(way + solution for way in dict.fromkeys(ways) if solution)
        return Case(problem, Suite(entry_point, (test,), asked(given).prelude), references=references)


@dataclass(frozen=True)
class MbppTask(CodeTask):
    """Functions to be written from a sentence and tests, in the format of MBPP (Austin et al. 2021, arXiv 2108.07732).

    A row has `task_id`, `text` (or `prompt`), `test_list` and possibly `code`, `test_setup_code`, `test_imports` and
    `challenge_test_list`. The first `public` tests are shown and may be checked; replies are graded by all.
    """

    public: int = 1

    kind = "mbpp"

    def case(self, line: int, row: Mapping[str, Any]) -> Case:
        name = _text(self.path, line, row, "task_id", "problem_id")
        text = _text(self.path, line, row, "text", "prompt")
        tests = [str(test).strip() for test in [*_list(row, "test_list"), *_list(row, "challenge_test_list")]]
        if not tests:
            raise FileFormatError(self.path, line, f"problem {name} has no `test_list`")
        entry_point = _called(tests, str(row.get("code") or ""))
        if entry_point is None:
            raise FileFormatError(self.path, line, f"the tests of {name} call no function: {tests[0][:60]!r}")
        setup = str(row.get("test_setup_code") or "").replace("\r\n", "\n")
        prelude = "\n".join(map(str, _list(row, "test_imports")))
        shown = tests[: self.public]
        given = {"entry_point": entry_point, "setup": setup, "tests": shown}
        question = f"{text}\nYour code should pass these tests:\n\n" + "\n".join(shown) + "\n" if shown else f"{text}\n"
        code = row.get("code")
        references = (str(code).replace("\r\n", "\n"),) if code else ()
        problem = Problem(name, Prompt.user(question), AnswerKind.CODE, given)
        return Case(problem, Suite(entry_point, tuple(tests), prelude, setup), references=references)


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name) or []
    return value if isinstance(value, list) else []


def _called(tests: Sequence[str], code: str) -> str | None:
    """The function that tests call: the one that the solution defines, else the first that the first test calls."""
    names = re.findall(r"(?<![\w.])([A-Za-z_]\w*)\s*\(", tests[0])
    defined = re.findall(r"^def\s+(\w+)", code, re.MULTILINE)
    known = [name for name in names if name in defined]
    own = [
        name for name in names if name not in ("set", "sorted", "list", "tuple", "str", "len", "abs", "round", "assert")
    ]
    return next(iter(known or own or names), None)


@dataclass(frozen=True)
class StdioTask(CodeTask):
    """Programs that read standard input and print, from JSONL or `.gz`.

    A row has `problem_id`, `prompt`, `public_tests` and `private_tests`, each a list of objects with `input` and
    `output`. The names of LiveCodeBench are read too: `question_id`, `question_content`, `public_test_cases` and
    `private_test_cases`, as JSON in a string and packed. Spaces at the ends of lines and empty lines at the end of what
    is printed do not count. A row whose tests are `functional` asks for the method that its `starter_code` names: its
    tests are arguments and a value, each as JSON.
    """

    kind = "stdio"

    def case(self, line: int, row: Mapping[str, Any]) -> Case:
        name = _text(self.path, line, row, "problem_id", "task_id", "question_id", "id")
        text = _text(self.path, line, row, "prompt", "question_content")
        public = self._pairs(line, row, "public_tests", "public_test_cases")
        hidden = self._pairs(line, row, "private_tests", "private_test_cases", "tests")
        if not (public or hidden):
            raise FileFormatError(self.path, line, f"problem {name} has no `private_tests` to grade by")
        kinds = {pair.get("testtype", "") for pair in (*public, *hidden)}
        if "functional" in kinds or (str(row.get("starter_code") or "").strip() and kinds != {"stdin"}):
            return self._method(line, row, name, text, public, hidden)
        given = {"pairs": _ends(public)}
        return Case(Problem(name, Prompt.user(text), AnswerKind.CODE, given), pairs=_ends([*public, *hidden]))

    def _method(self, line: int, row: Mapping[str, Any], name: str, text: str, public: _Pairs, hidden: _Pairs) -> Case:
        method, code = methods.method_of(row), str(row.get("starter_code") or "").strip("\n")
        if not method or not re.search(rf"\bdef[ \t]+{re.escape(method)}\b", code):
            raise FileFormatError(self.path, line, f"problem {name} asks for a method that its `starter_code` lacks")
        try:
            tests = [methods.assertion(method, *pair) for pair in _ends([*public, *hidden])]
        except ValueError as error:
            why = f"problem {name} asks for the method {method!r}, and a test of it is not JSON: {error}"
            raise FileFormatError(self.path, line, why) from None
        header = methods.header_of(row)
        given = {"entry_point": method, "header": header, "tests": tests[: len(public)]}
        question = f"{text.rstrip()}\n\nComplete this code:\n\n```python\n{code.rstrip()}\n```\n"
        return Case(Problem(name, Prompt.user(question), AnswerKind.CODE, given), Suite(method, tuple(tests)))

    def _pairs(self, line: int, row: Mapping[str, Any], *names: str) -> _Pairs:
        value: Any = next((row[name] for name in names if row.get(name)), [])
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.lstrip()[:1] == "[" else methods.unpacked(value)
            except ValueError as error:
                why = f"`{names[1]}` is text but not JSON: unpack it first ({error})"
                raise FileFormatError(self.path, line, why) from None
        if not isinstance(value, list) or not all(
            isinstance(pair, dict) and isinstance(pair.get("input"), str) and isinstance(pair.get("output"), str)
            for pair in value
        ):
            raise FileFormatError(self.path, line, f"`{names[0]}` must be a list of objects with `input` and `output`")
        return value


def _ends(pairs: _Pairs) -> tuple[tuple[str, str], ...]:
    return tuple((pair["input"], pair["output"]) for pair in pairs)
