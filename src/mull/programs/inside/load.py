"""Loads a program's definitions without running the code after them. Runs in the process of the program, before it.

A program may tamper with it, which only changes its own definitions; it could have written those directly.
"""

from typing import Any


def __mull_load(source: str, name: str, others: set[str], space: dict[str, Any]) -> None:
    """Runs a program up to the first definition of `name`, and of the rest only the definitions.

    Those are functions, classes and imports, and statements that bind or change a name that these, the definition or
    `others` read; exceptions in them are ignored. Demonstrations, tests, main guards and loops that read input are thus
    skipped. If `name` is a method, it is bound to an instance of its class. Text after complete definitions that cannot
    be parsed is ignored. What an import cannot find is an error only where it is used. Without `name` the whole program
    is run.
    """
    import __future__

    import ast
    import contextlib
    import sys

    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    inner = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    settings = ("sys.setrecursionlimit", "sys.set_int_max_str_digits", "random.seed", "threading.stack_size")
    modules: set[str] = set()
    flags = 0

    class Missing:
        """Stands for what could not be imported."""

        def __init__(self, error: ImportError) -> None:
            self.__dict__["error"] = error

        def __getattr__(self, attribute: str) -> Any:
            raise self.error

        def __call__(self, *args: object, **kwargs: object) -> Any:
            raise self.error

    def root(node: ast.AST) -> str:
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        return node.id if isinstance(node, ast.Name) else ""

    def touched(statement: ast.stmt) -> set[str]:
        """The names outside functions that a statement binds or whose value it changes."""
        found = set()
        waiting: list[ast.AST] = [statement]
        while waiting:
            node = waiting.pop()
            if isinstance(node, scopes):
                found.add(node.name)
                continue
            if isinstance(node, inner):
                continue
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
                found.add(root(node))
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                call = node.value.func
                if isinstance(call, ast.Attribute) and root(call) not in modules:
                    found.add(root(call))
            waiting.extend(ast.iter_child_nodes(node))
        return found - {""}

    def has_method(statement: ast.stmt) -> bool:
        return isinstance(statement, ast.ClassDef) and any(
            isinstance(part, scopes) and part.name == name for part in statement.body
        )

    def is_definition(statement: ast.stmt) -> bool:
        return name in touched(statement) or has_method(statement)

    def parsed() -> list[ast.stmt]:
        try:
            return ast.parse(source, "program.py").body
        except SyntaxError as error:
            lines = source.split("\n")
            end = min(error.lineno or 0, len(lines))
            for _ in range(8 if name else 0):  # starts at unindented lines, from the error upwards
                while end > 0 and (not lines[end - 1].strip() or lines[end - 1][0] in " \t#)]}"):
                    end -= 1
                end -= 1
                try:
                    body = ast.parse("\n".join(lines[: max(0, end)]), "program.py").body
                except SyntaxError:
                    continue
                if any(map(is_definition, body)):
                    return body
            raise

    def run(*statements: ast.stmt) -> None:
        exec(compile(ast.Module(list(statements), []), "program.py", "exec", flags, dont_inherit=True), space)

    def define(statements: list[ast.stmt]) -> None:
        """Runs statements one by one; a module may be missing that nothing but a demonstration uses."""
        for statement in statements:
            try:
                run(statement)
            except ImportError as error:
                if not isinstance(statement, (ast.Import, ast.ImportFrom)):
                    raise
                for one in statement.names:
                    space.setdefault((one.asname or one.name).partition(".")[0], Missing(error))

    def read(*statements: ast.stmt) -> set[str]:
        """The names outside functions that statements, and the functions in them, may read."""
        found: set[str] = set()
        waiting: list[Any] = []
        with contextlib.suppress(SyntaxError):  # such as a top-level `return`, which is not run
            waiting.append(compile(ast.Module(list(statements), []), "", "exec", flags, dont_inherit=True))
        while waiting:
            code = waiting.pop()
            if hasattr(code, "co_names"):
                found.update(code.co_names)
                waiting.extend(code.co_consts)
        return found

    def is_taken(statement: ast.stmt) -> bool:
        if isinstance(statement, (*scopes, ast.Import, ast.ImportFrom)) or touched(statement) & wanted:
            return True
        call = statement.value if isinstance(statement, ast.Expr) else None
        return isinstance(call, ast.Call) and ast.unparse(call.func) in settings

    body = parsed()
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules.update((one.asname or one.name).partition(".")[0] for one in node.names)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for one in node.names:
                flags |= getattr(__future__, one.name).compiler_flag
    space["__name__"] = "program"
    sys.modules["program"] = sys.modules["__main__"]

    places = [i for i, s in enumerate(body) if name in touched(s)] or [i for i, s in enumerate(body) if has_method(s)]
    stop = places[0] + 1 if name and places else len(body)
    if name:
        define(body[:stop])
    else:
        run(*body)
    behind = list(enumerate(body))[stop:]
    wanted = {name, *others} | read(*body[:stop])
    taken: list[tuple[int, ast.stmt]] = []
    while more := [(i, s) for i, s in behind if is_taken(s)]:
        behind = [one for one in behind if one not in more]
        taken += more
        for _, statement in more:
            wanted |= read(statement)
    for _, statement in sorted(taken, key=lambda one: one[0]):
        with contextlib.suppress(BaseException):  # code after the definition must not affect the result
            run(statement)
    if name and name not in space:
        classes = [s.name for s in body if isinstance(s, ast.ClassDef) and has_method(s) and s.name in space]
        if classes:
            space[name] = getattr(space["Solution" if "Solution" in classes else classes[-1]](), name)
