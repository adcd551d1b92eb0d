"""What linters cannot see: where SQL, the clock and commits may be, how large things grow, what every refusal says."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from regulars.kit.errors import Refusal
from regulars.kit.lazy import packages_of_extras

root = Path(__file__).parent.parent
source = root / "src" / "regulars"
modules = sorted(path for path in source.rglob("*.py"))

sql_places = re.compile(
    r"repository\w*\.py$|^analytics/sql/|^kit/(database|idempotency|audit|events|postgres)\.py$|^migrations/"
)
clock_place = "kit/clock.py"
commit_places = re.compile(r"^kit/database\.py$|^jobs/|^cli/|^migrations/")

longest_file, longest_function, longest_endpoint = 400, 50, 10


def name_of(path: Path) -> str:
    return path.relative_to(source).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


looks_like_sql = re.compile(
    r"^\s*(SELECT\b.+\bFROM\b|INSERT\s+INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|WITH\s+\w+.*\bAS\s*\(|CREATE\s+(TEMP|TABLE|INDEX)|TRUNCATE\b|LOCK\s+TABLE)",
    re.DOTALL,
)


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_sql_stays_in_its_places(path: Path) -> None:
    if sql_places.search(name_of(path)):
        return
    texts = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = [node.lineno for node in texts if looks_like_sql.search(node.value)]
    assert not found, f"SQL outside repositories, lines {found}"


def calls_of(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Every `owner.name(...)` as (line, owner, name); owner is empty where it is not a plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield node.lineno, owner.id if isinstance(owner, ast.Name) else "", node.func.attr


times = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_only_the_clock_asks_for_the_time(path: Path) -> None:
    if name_of(path) == clock_place:
        return
    asked = [line for line, owner, name in calls_of(parse(path)) if (owner, name) in times]
    assert not asked, f"asks the time itself, lines {asked}"


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_only_the_edges_commit(path: Path) -> None:
    if commit_places.search(name_of(path)):
        return
    commits = [line for line, _, name in calls_of(parse(path)) if name in {"commit", "rollback"}]
    assert not commits, f"commits, lines {commits}"


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= longest_file
    if name_of(path).startswith("migrations/versions/"):
        return  # a migration is a list of statements, long because the schema is
    long = {f.name: code_lines(f) for f in functions(parse(path)) if code_lines(f) > longest_function}
    assert not long


def is_endpoint(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = ast.Module(body=[ast.Expr(node) for node in function.decorator_list], type_ignores=[])
    return any(owner == "router" for _, owner, _ in calls_of(decorators))


@pytest.mark.parametrize("path", [path for path in modules if name_of(path).startswith("api/")], ids=name_of)
def test_endpoints_parse_call_once_and_return(path: Path) -> None:
    endpoints = [function for function in functions(parse(path)) if is_endpoint(function)]
    long = {endpoint.name: code_lines(endpoint) for endpoint in endpoints if code_lines(endpoint) > longest_endpoint}
    assert not long


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    nodes = [node for function in functions(parse(path)) for node in ast.walk(function)]
    inside = [node.lineno for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not inside, f"imports inside functions, lines {inside}"


importing_place = "kit/lazy.py"


def imports_by_name(tree: ast.AST) -> list[int]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [(call.lineno, getattr(call.func, "attr", getattr(call.func, "id", ""))) for call in calls]
    return [line for line, name in names if name in {"import_module", "__import__"}]


def test_one_module_alone_imports_by_name() -> None:
    found = {name_of(path): lines for path in modules if (lines := imports_by_name(parse(path)))}
    assert list(found) == [importing_place]
    assert imports_by_name(ast.parse("importlib.import_module('pyarrow')\n__import__('pyarrow')")) == [1, 2]


def optional_imports(tree: ast.AST) -> list[str]:
    """Packages of extras that an import statement names: without the extra, the program would not start."""
    names = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    optional = frozenset().union(*packages_of_extras.values())
    return [name for name in names if name.partition(".")[0] in optional]


def test_no_extra_is_needed_to_import_a_module() -> None:
    assert {name_of(path): found for path in modules if (found := optional_imports(parse(path)))} == {}
    assert optional_imports(ast.parse("import pyarrow.parquet\nfrom mimesis.enums import Gender")) == [
        "pyarrow.parquet",
        "mimesis.enums",
    ]


@pytest.mark.parametrize("path", modules, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parse(path))


def subclasses_of(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses_of(subclass)


@pytest.fixture(scope="module")
def refusals() -> list[type[Refusal]]:
    """Every kind of refusal; where they are defined is imported first."""
    for path in modules:
        if path.name == "errors.py" or path.parent.name == "kit":
            import_module(f"regulars.{name_of(path)[:-3].replace('/', '.')}")
    return list(subclasses_of(Refusal))


def test_every_refusal_says_in_one_sentence_what_happened(refusals: list[type[Refusal]]) -> None:
    for refusal in refusals:
        assert refusal.__doc__, refusal
        assert refusal.title().endswith("."), refusal


def test_slugs_are_unique(refusals: list[type[Refusal]]) -> None:
    slugs = [refusal.slug() for refusal in refusals]
    assert len(slugs) == len(set(slugs))
