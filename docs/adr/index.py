"""Write docs/adr/README.md, the index of decisions: `make docs`."""

import re
from pathlib import Path

folder = Path(__file__).parent
page = folder / "README.md"

introduction = """# Decisions

Why things are as they are: one page for each decision that could have gone another way. A decision is never
rewritten; when another one takes its place, the old page gets the status *Superseded by N* and keeps its text. To add
one, copy [the template](template.md) under the next free number and run `make docs`.

| | decision | date | status |
|---|---|---|---|
"""


_head = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"\*\*Date\.\*\* (?P<date>\d{4}-\d\d-\d\d) \*\*Status\.\*\* (?P<status>.+)\n"
)


def index_page() -> str:
    """The page: a row for each decision, in the order of their numbers."""
    return introduction + "".join(_row(path) for path in sorted(folder.glob("[0-9]*.md")))


def _row(path: Path) -> str:
    """What the head of a decision says.

    Raises:
        ValueError: the page has no title with its number, no date or no status.
    """
    head = _head.match(path.read_text())
    if head is None or int(head["number"]) != int(path.name[:4]):
        raise ValueError(f"{path.name} does not begin as docs/adr/template.md says.")
    return f"| {head['number']} | [{head['title']}]({path.name}) | {head['date']} | {head['status']} |\n"


if __name__ == "__main__":
    page.write_text(index_page())
