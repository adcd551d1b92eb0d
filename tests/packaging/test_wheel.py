"""The built wheel as people install it: alone, and with each of its extras alone."""

import json
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regulars.kit.lazy import packages_of_extras
from tests.packaging.installation import Installation, build_wheel

Install = Callable[[str], Installation]

every_module = """
import importlib, pkgutil, regulars
for module in pkgutil.walk_packages(regulars.__path__, "regulars."):
    if module.name not in {"regulars.__main__", "regulars.migrations.env"}:
        importlib.import_module(module.name)
"""
every_help = """
from typer.main import get_command
from typer.testing import CliRunner
from regulars.cli.main import app

def walk(command, path):
    answer = CliRunner().invoke(app, [*path, "--help"])
    assert answer.exit_code == 0 and "Usage" in answer.output, (path, answer.output, answer.exception)
    print(*path)
    for name, inner in getattr(command, "commands", {}).items():
        walk(inner, [*path, name])

walk(get_command(app), [])
"""


@pytest.fixture(scope="module")
def install() -> Iterator[Install]:
    with tempfile.TemporaryDirectory(prefix="regulars-wheel-") as base:
        wheel = build_wheel(Path(base))

        @cache
        def install(extra: str) -> Installation:
            folder = Path(base) / (extra or "plain")
            folder.mkdir()
            return Installation(folder, wheel, extra)

        yield install


def test_the_plain_wheel_imports_helps_and_serves(install: Install) -> None:
    plain = install("")
    assert plain.run(str(plain.python), "-c", every_module).stderr == ""
    helped = plain.run(str(plain.python), "-c", every_help)
    assert helped.returncode == 0, helped.stderr
    assert len(helped.stdout.splitlines()) > 30
    assert plain.regulars("--version").stdout.startswith("regulars ")
    (plain.data_dir.parent / "orders.csv").write_text(
        "order_id,ordered_at,total,customer_id\nA-1,2026-01-05T10:00:00Z,19.99,7\n"
    )
    imported = plain.regulars("import", "orders", "orders.csv", "--source", "shop")
    assert imported.returncode == 0, imported.stderr
    for extra, arguments in (
        ("demo", ["demo", "--no-serve"]),
        ("parquet", ["import", "orders", "orders.parquet", "--source", "shop"]),
        ("completejourney", ["import", "orders", "--format", "completejourney", "--source", "shop"]),
    ):
        refused = plain.regulars(*arguments)
        assert refused.returncode == 2
        assert f"pip install 'regulars[{extra}]'" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert not (plain.data_dir / "demo").exists()
    _require_serving(plain)


def _require_serving(installation: Installation) -> None:
    process = subprocess.Popen(
        [str(installation.program), "serve", "--port", "0"],
        cwd=installation.data_dir.parent,
        env=installation.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    try:
        assert found, process.communicate(timeout=60)[1]
        assert httpx.get(found[0] + "/readyz", timeout=30).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_with_the_extra_demo_there_is_a_demo(install: Install) -> None:
    demo = install("demo")
    done = demo.regulars("demo", "--no-serve", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["customers"] == 23_570
    refused = demo.regulars("demo", "--data", "completejourney", "--no-serve")
    assert "regulars[completejourney]" in refused.stderr


def test_with_the_extra_parquet_such_files_are_read(install: Install) -> None:
    parquet = install("parquet")
    table = pa.table({"order_id": ["A-1"], "ordered_at": ["2026-01-05"], "total": ["19.99"], "customer_id": ["7"]})
    pq.write_table(table, parquet.data_dir.parent / "orders.parquet")
    imported = parquet.regulars("import", "orders", "orders.parquet", "--source", "shop")
    assert imported.returncode == 0, imported.stderr
    assert "regulars[demo]" in parquet.regulars("demo", "--no-serve").stderr


def test_with_the_extra_completejourney_its_orders_are_read(install: Install) -> None:
    grocer = install("completejourney")
    read = grocer.run(
        str(grocer.python),
        "-c",
        "from regulars.flows.importing.completejourney import bundled_transactions, read_completejourney\n"
        "print(len(next(iter(read_completejourney(bundled_transactions()).rows)).values))",
    )
    assert (read.stdout, read.stderr) == ("5\n", "")


def test_what_may_be_imported_by_name_comes_with_that_extra(install: Install) -> None:
    assert set(packages_of_extras) == {"demo", "parquet", "completejourney"}
    for extra, packages in packages_of_extras.items():
        installed = install(extra)
        assert installed.run(str(installed.python), "-c", f"import {', '.join(packages)}").stderr == ""
