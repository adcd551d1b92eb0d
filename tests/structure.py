"""Rules about the source that linters do not have: where SQL, the clock and commits may be, and how large things grow.

A rule takes one module and says what in it offends. `test_architecture.py` asks every rule of every module, and
`test_guards.py` plants an offence for each rule, so that none of them can fall asleep.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from regulars.kit.lazy import packages_of_extras

source = Path(__file__).parent.parent / "src" / "regulars"

longest_file, longest_function, longest_endpoint = 400, 50, 10

sql_places = re.compile(
    r"(^|/)repository\w*\.py$|^analytics/sql/|^kit/(database|idempotency|audit|events|postgres)\.py$|^migrations/"
)
clock_place = "kit/clock.py"
commit_places = re.compile(r"^kit/database\.py$|^jobs/|^cli/|^migrations/")
importing_place = "kit/lazy.py"


@dataclass(frozen=True)
class Module:
    """A module of the package.

    Attributes:
        name: Its path below the package, with slashes.
        text: Its source.
    """

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text, filename=self.name)


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Rule: TypeAlias = Callable[[Module], Iterator[str]]


def modules(folder: Path = source) -> Iterator[Module]:
    """Every module below a folder, in the order of their names."""
    for path in sorted(folder.rglob("*.py")):
        yield Module(path.relative_to(folder).as_posix(), path.read_text())


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, also those inside others."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(function: Function) -> int:
    """Lines of the body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def calls(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Every `owner.name(...)` and `name(...)` as (line, owner, name); owner is empty where it is not a plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield node.lineno, owner.id if isinstance(owner, ast.Name) else "", node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, "", node.func.id


_looks_like_sql = re.compile(
    r"^\s*(SELECT\b.+\bFROM\b|INSERT\s+INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|WITH\s+\w+.*\bAS\s*\(|CREATE\s+(TEMP|TABLE|INDEX)|TRUNCATE\b|LOCK\s+TABLE)",
    re.DOTALL,
)


def sql_outside_repositories(module: Module) -> Iterator[str]:
    """SQL stands in repositories, next to the method that runs it."""
    if sql_places.search(module.name):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _looks_like_sql.search(node.value):
            yield f"line {node.lineno}"


_times = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}


def time_asked_without_the_clock(module: Module) -> Iterator[str]:
    """Only the clock asks what time it is, so that tests can stop it."""
    if module.name != clock_place:
        yield from (f"line {line}" for line, owner, name in calls(module.tree) if (owner, name) in _times)


def commits_below_the_edges(module: Module) -> Iterator[str]:
    """Only the edges commit: one request, one transaction."""
    if not commit_places.search(module.name):
        yield from (f"line {line}" for line, _, name in calls(module.tree) if name in {"commit", "rollback"})


def long_files(module: Module) -> Iterator[str]:
    """A file fits into a head."""
    if (lines := len(module.text.splitlines())) > longest_file:
        yield f"{lines} lines"


def long_functions(module: Module) -> Iterator[str]:
    """So does a function. A migration is a list of statements, long because the schema is."""
    if not module.name.startswith("migrations/versions/"):
        yield from (f.name for f in functions(module.tree) if code_lines(f) > longest_function)


def long_endpoints(module: Module) -> Iterator[str]:
    """An endpoint parses, calls once, and returns."""
    if module.name.startswith("api/"):
        yield from (f.name for f in functions(module.tree) if _is_endpoint(f) and code_lines(f) > longest_endpoint)


def _is_endpoint(function: Function) -> bool:
    decorators = ast.Module(body=[ast.Expr(node) for node in function.decorator_list], type_ignores=[])
    return any(owner == "router" for _, owner, _ in calls(decorators))


def imports_inside_functions(module: Module) -> Iterator[str]:
    """Imports stand at the top, where they are seen."""
    inside = (node for function in functions(module.tree) for node in ast.walk(function))
    yield from (f"line {node.lineno}" for node in inside if isinstance(node, ast.Import | ast.ImportFrom))


def imports_by_name(module: Module) -> Iterator[str]:
    """One module alone imports by name."""
    if module.name != importing_place:
        names = {"import_module", "__import__"}
        yield from (f"line {line}" for line, _, name in calls(module.tree) if name in names)


def imports_of_extras(module: Module) -> Iterator[str]:
    """No package of an extra is imported by statement: without the extra, the program would not start."""
    optional = frozenset().union(*packages_of_extras.values())
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.partition(".")[0] in optional)


def missing_docstrings(module: Module) -> Iterator[str]:
    """Every module says what it is."""
    if not ast.get_docstring(module.tree):
        yield "no docstring"


rules: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        sql_outside_repositories,
        time_asked_without_the_clock,
        commits_below_the_edges,
        long_files,
        long_functions,
        long_endpoints,
        imports_inside_functions,
        imports_by_name,
        imports_of_extras,
        missing_docstrings,
    )
}
