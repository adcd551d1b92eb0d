"""Pages that are made from the code are as the code is, and links lead somewhere."""

import csv
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

root = Path(__file__).parents[2]
pages = [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(root))


def test_the_settings_are_told_as_they_are() -> None:
    made = runpy.run_path(str(root / "docs" / "reference" / "settings.py"))["settings_page"]()
    assert (root / "docs" / "reference" / "settings.md").read_text() == made, "run `make docs`"


def made_by(program: str, function: str) -> Callable[..., Any]:
    """A function of a program below docs/ that writes a page."""
    made: Callable[..., Any] = runpy.run_path(str(root / "docs" / program))[function]
    return made


def test_the_schema_is_what_the_migrations_leave(database_url: str) -> None:
    assert (root / "docs" / "reference" / "schema.sql").read_text() == made_by("reference/schema.py", "schema_page")(
        database_url
    ), "run `make docs`"


def test_every_table_of_ours_is_in_the_schema() -> None:
    page = (root / "docs" / "reference" / "schema.sql").read_text()
    with (root / "src" / "regulars" / "migrations" / "distribution.csv").open(newline="") as register:
        tables = {row["table"] for row in csv.DictReader(register) if not row["table"].startswith("procrastinate_")}
    assert set(re.findall(r"^CREATE (?:UNLOGGED )?TABLE public\.(\w+)", page, re.MULTILINE)) == tables


def test_licences_are_those_of_the_packages_installed() -> None:
    page = (root / "docs" / "reference" / "licences.md").read_text()
    stated = dict(re.findall(r"^\| ([a-z0-9._-]+) \| (.+) \|$", page, re.MULTILINE))
    installed = dict(made_by("reference/licences.py", "licences")())
    assert {"psycopg", "fastapi", "numpy"} <= installed.keys()
    assert {name: stated.get(name) for name in installed} == installed, "run `make docs`"


def test_every_decision_has_date_and_status_and_is_in_the_index() -> None:
    assert (root / "docs" / "adr" / "README.md").read_text() == made_by("adr/index.py", "index_page")(), (
        "run `make docs`"
    )


def links_of(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text))


def test_links_lead_to_files_that_are_there() -> None:
    broken = [
        f"{name_of(page)}: {link}"
        for page in pages
        for link in links_of(page)
        if not link.startswith(("http:", "https:", "#"))
        if not (page.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def titles_of(page: Path) -> list[str]:
    return re.findall(r"^# ", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)


def test_decisions_and_pages_begin_with_one_title() -> None:
    assert [name_of(page) for page in pages if not page.read_text().startswith("# ")] == []
    assert [name_of(page) for page in pages if len(titles_of(page)) != 1] == []


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (root / "docs" / "adr").glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
