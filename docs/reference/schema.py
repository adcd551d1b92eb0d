"""Write docs/reference/schema.sql, the whole schema as the migrations leave it: `make docs`."""

import re
import tempfile
from pathlib import Path

from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.postgres_account import Programs, server_account
from regulars.migrations import migrate

page = Path(__file__).with_suffix(".sql")

introduction = """-- The schema as all migrations leave it, for reading; made by `make docs`, never edited, never run.
-- What runs are the migrations in src/regulars/migrations/versions. Rights of the runtime role: distribution.csv beside
-- them. Tables of the job queue (procrastinate_*) belong to that library and are left out.
"""

_heading = re.compile(r"^--\n-- (?:Data for )?Name: (?P<name>.+?); Type: (?P<kind>.+?); Schema: .*\n--\n", re.MULTILINE)


def schema_page(url: str) -> str:
    """The page: types and functions, then the tables by name, each with its keys, indexes and triggers.

    Args:
        url: A migrated database, as a user who may read its catalogue.
    """
    dump = Programs(server_account()).run(
        "pg_dump", "--schema-only", "--schema=public", "--no-owner", "--no-privileges", "--dbname", url
    )
    dump.check_returncode()
    return introduction + "".join(f"\n{statement}\n" for statement in _statements(dump.stdout))


def _statements(dump: str) -> list[str]:
    """The statements of a dump that are ours, without pg_dump's headings, each table's statements together."""
    headings = list(_heading.finditer(dump))
    ends = [heading.start() for heading in headings[1:]] + [dump.find("--\n-- PostgreSQL database dump complete")]
    found = []
    for heading, end in zip(headings, ends, strict=True):
        statement = re.sub(r"^SET default_\w+ = .*;\n", "", dump[heading.end() : end], flags=re.MULTILINE).strip()
        if "procrastinate" not in heading["name"] and heading["kind"] != "SCHEMA":
            found.append((_place(heading["name"], heading["kind"], statement), statement))
    return [statement for _, statement in sorted(found, key=lambda pair: pair[0])]


def _place(name: str, kind: str, statement: str) -> tuple[int, str, int]:
    """Where a statement is sorted: what no table owns comes first; then by table, in the order of pg_dump."""
    order = ("TYPE", "FUNCTION", "TABLE", "SEQUENCE", "CONSTRAINT")
    rank = order.index(kind) if kind in order else len(order)
    if kind in {"TYPE", "FUNCTION"}:
        return (0, name, rank)
    table = re.search(r"\b(?:TABLE|ON)(?: ONLY)? public\.(\w+)", statement)
    return (1, table[1] if table else name, rank)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data", durable=False) as url:
        migrate(url)
        page.write_text(schema_page(url))
