"""Pages that are made from the code are as the code is, and links lead somewhere."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

root = Path(__file__).parents[2]
pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(root))


def test_the_settings_are_told_as_they_are() -> None:
    made = runpy.run_path(str(root / "docs" / "reference" / "settings.py"))["settings_page"]()
    assert (root / "docs" / "reference" / "settings.md").read_text() == made, "run `make docs`"


def links_of(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text))


@pytest.mark.parametrize("page", pages, ids=name_of)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    inside = [link.partition("#")[0] for link in links_of(page) if not link.startswith(("http:", "https:", "#"))]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", pages, ids=name_of)
def test_decisions_and_pages_begin_with_one_title(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (root / "docs" / "adr").glob("[0-9]*.md")]
    assert len(numbers) == len(set(numbers))
