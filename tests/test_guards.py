"""The guards are awake: for every rule of structure and every import contract, a planted offence turns it red."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.structure import Module, longest_file, longest_function, rules

root = Path(__file__).parent.parent

long_function = "def long():\n" + "    work()\n" * (longest_function + 1)
long_endpoint = "@router.get('/')\nasync def read():\n" + "    work()\n" * 11

offences = {
    "sql_outside_repositories": ("loyalty/service.py", 'query = "SELECT id FROM customers"'),
    "time_asked_without_the_clock": ("loyalty/service.py", "now = datetime.now(UTC)"),
    "commits_below_the_edges": ("flows/nightly.py", "async def f(c):\n    await c.commit()"),
    "long_files": ("kit/pages.py", "x = 1\n" * (longest_file + 1)),
    "long_functions": ("kit/pages.py", long_function),
    "long_endpoints": ("api/orders.py", long_endpoint),
    "imports_inside_functions": ("kit/pages.py", "def f():\n    import json"),
    "imports_by_name": ("kit/pages.py", "importlib.import_module('json')\n"),
    "imports_of_extras": ("flows/importing/parquet.py", "import pyarrow.parquet"),
    "missing_docstrings": ("kit/pages.py", "x = 1"),
}
"""For each rule, where a module stands that offends, and its text."""

allowed = {
    "sql_outside_repositories": ("loyalty/repository.py", 'query = "SELECT id FROM customers"'),
    "time_asked_without_the_clock": ("kit/clock.py", "now = datetime.now(UTC)"),
    "commits_below_the_edges": ("cli/score.py", "async def f(c):\n    await c.commit()"),
    "long_files": ("kit/pages.py", "x = 1\n" * longest_file),
    "long_functions": ("migrations/versions/0001_customers.py", long_function),
    "long_endpoints": ("flows/nightly.py", long_endpoint),
    "imports_inside_functions": ("kit/pages.py", "import json"),
    "imports_by_name": ("kit/lazy.py", "import_module('json')"),
    "imports_of_extras": ("kit/pages.py", "import numpy\nfrom scipy import special"),
    "missing_docstrings": ("kit/pages.py", '"""Pages."""'),
}
"""For each rule, a module that comes near to an offence and is none."""


@pytest.mark.parametrize("name", rules)
def test_a_rule_finds_a_planted_offence(name: str) -> None:
    assert list(rules[name](Module(*offences[name])))


@pytest.mark.parametrize("name", rules)
def test_a_rule_lets_pass_what_is_allowed(name: str) -> None:
    assert list(rules[name](Module(*allowed[name]))) == []


forbidden_imports = {
    "floors": ("customers/numbers.py", "regulars.loyalty.models"),
    "no-cycles": ("kit/clock.py", "regulars.kit.settings"),
    "formulas-pure": ("formulas/rfm.py", "psycopg"),
    "migrations-apart": ("migrations/rights.py", "regulars.formulas.rfm"),
    "psycopg-where-sql-is": ("api/orders.py", "psycopg"),
    "fastapi-at-the-doors": ("flows/nightly.py", "fastapi"),
    "doors-use-services": ("api/orders.py", "regulars.orders.repository"),
}
"""For each contract of pyproject.toml, a module and an import that it must not have."""


@pytest.fixture(scope="module")
def copy_of_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what import-linter looks at."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(root / "src" / "regulars", folder / "regulars", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    return folder


def contracts() -> list[str]:
    with (root / "pyproject.toml").open("rb") as file:
        return [contract["id"] for contract in tomllib.load(file)["tool"]["importlinter"]["contracts"]]


@pytest.mark.parametrize("contract", contracts())
def test_a_contract_finds_a_planted_import(contract: str, copy_of_source: Path) -> None:
    place, imported = forbidden_imports[contract]
    module = copy_of_source / "regulars" / place
    text = module.read_text()
    module.write_text(f"{text}\nimport {imported}\n")
    try:
        found = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--contract", contract],
            cwd=copy_of_source, env={"PYTHONPATH": str(copy_of_source)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        module.write_text(text)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "1 broken" in found.stdout
