"""The register of columns: of every column of every table, what it says about a person, and what becomes of it.

`columns.csv` is the register. Export and erasure do what it says, so a column that stands in it is neither forgotten
nor left behind. Whoever adds a column adds a line; a test names the lines that are missing. Its columns:

    class     what it is: identifier, contact, behaviour, inferred, secret, or none for what is about nobody
    export    yes or no: whether the person gets it
    erasure   what erasing the person does to it:
                delete       the row goes, and with it every column of the table
                set VALUE    it gets this value; `set null`, `set {}`, `set false`
                strip        free text is taken out of it, the rest stays
                keep         it stays
    because   why something personal is not exported, or stays

`*` for a column stands for all columns of a table that is not ours and about nobody. Tables are erased in the order of
the file: what refers to a row goes before the row.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

ColumnClass = Literal["identifier", "contact", "behaviour", "inferred", "secret", "none"]

whole_table = "*"


@dataclass(frozen=True)
class ColumnRule:
    """One line of the register.

    Attributes:
        column_class: What the column is; `none` for what is about nobody.
        exported: Whether the person gets it.
        erasure: `delete`, `set VALUE`, `strip` or `keep`.
        because: Why something personal is not exported, or stays.
    """

    table: str
    column: str
    column_class: ColumnClass
    exported: bool
    erasure: str
    because: str

    @property
    def is_personal(self) -> bool:
        """Whether it says something about a person."""
        return self.column_class != "none"

    @property
    def new_value(self) -> str | None:
        """What erasure sets it to, as PostgreSQL writes it; None stands for null.

        Raises:
            ValueError: erasure does not set it.
        """
        word, _, value = self.erasure.partition(" ")
        if word != "set":
            raise ValueError(f"{self.table}.{self.column} is not set")
        return None if value == "null" else value

    def faults(self) -> list[str]:
        """What is wrong with the line, in words; nothing if it can be followed."""
        found = []
        if self.column_class not in get_args(ColumnClass):
            found.append(f"class must be one of {', '.join(get_args(ColumnClass))}")
        if self.erasure not in {"delete", "strip", "keep"} and not self.erasure.startswith("set "):
            found.append("erasure must be delete, set VALUE, strip or keep")
        if self.column_class == "secret" and self.exported:
            found.append("a secret is never exported")
        if self.column == whole_table and (self.is_personal or self.erasure != "keep"):
            found.append("* is for tables that are about nobody")
        is_explained = bool(self.because) or self.column_class == "secret"
        if self.is_personal and not self.exported and not is_explained:
            found.append("personal and not exported: because?")
        if self.is_personal and self.erasure == "keep" and not self.because:
            found.append("personal and kept: because?")
        return found


@cache
def column_rules() -> tuple[ColumnRule, ...]:
    """The register, in the order in which tables are erased."""
    text = (files("regulars.privacy") / "columns.csv").read_text(encoding="utf-8")
    return tuple(
        ColumnRule(
            line["table"],
            line["column"],
            line["class"],  # type: ignore[arg-type]  # faults() says if it is none
            line["export"] == "yes",
            line["erasure"],
            line["because"],
        )
        for line in csv.DictReader(text.splitlines())
    )


def by_table(rules: Sequence[ColumnRule]) -> Mapping[str, Sequence[ColumnRule]]:
    """The rules of each table, in the order of the register."""
    tables: dict[str, list[ColumnRule]] = {}
    for rule in rules:
        tables.setdefault(rule.table, []).append(rule)
    return tables


def deletes_rows(rules: Sequence[ColumnRule]) -> bool:
    """Whether erasure deletes the rows of the table with these rules."""
    return any(rule.erasure == "delete" for rule in rules)


def exported_columns(rules: Sequence[ColumnRule]) -> list[str]:
    """The columns of a table that the person gets."""
    return [rule.column for rule in rules if rule.exported]
