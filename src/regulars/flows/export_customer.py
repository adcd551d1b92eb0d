"""All that is stored about one person, for that person: as JSON, or as a zip of JSON and CSV files.

What belongs to it is in the register of columns. Rows are read some at a time and written as they come, so that memory
does not grow with the customer. The sections are read one after the other: what is bought meanwhile may be in one and
not in another.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, Final
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile

from regulars.analytics.clv import CLVService
from regulars.analytics.rfm import RFMService
from regulars.customers.access import require_own_or, require_visible
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.privacy.columns import ColumnRule, by_table, column_rules, exported_columns
from regulars.privacy.export_files import JsonExport, csv_rows
from regulars.privacy.models import Person
from regulars.privacy.repository_tables import PersonalTables

json_name: Final = "customer.json"
_in_memory_bytes: Final = 1 << 20

ReportProgress = Callable[[int, int], None]


def be_silent(done: int, of: int) -> None:
    """Report nothing."""


def sections() -> Mapping[str, Sequence[ColumnRule]]:
    """The tables that an export has, and their rules; the profile comes first."""
    tables = {table: rules for table, rules in by_table(column_rules()).items() if exported_columns(rules)}
    return {"customers": tables.pop("customers"), **tables}


@dataclass(frozen=True)
class _Section:
    name: str
    columns: Sequence[str]
    batches: AsyncIterator[list[tuple[Any, ...]]]


class CustomerDataExports:
    """Exports of one person's data, in the caller's transaction."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._tables = PersonalTables(connection)

    async def write_json(
        self, customer_id: UUID, into: IO[bytes], *, by: Principal, wanted: Sequence[str] | None = None
    ) -> None:
        """Write a `CustomerDataExport`.

        Args:
            customer_id: Whose data.
            into: Where the text goes, as it comes.
            by: Who asks; it is written down.
            wanted: Names of sections; None for all.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            Validation: there is no such section.
        """
        chosen = _chosen(wanted)
        person = await self._admit(customer_id, by)
        export = await self._json(person, into)
        async for section in self._read(chosen, person):
            export.begin(section.name)
            async for rows in section.batches:
                export.add(section.columns, rows)
            export.end()
        export.close()

    async def write_zip(
        self,
        customer_id: UUID,
        into: IO[bytes],
        *,
        by: Principal,
        wanted: Sequence[str] | None = None,
        report_progress: ReportProgress = be_silent,
    ) -> None:
        """Write a zip with `customer.json`, as `write_json()` does, and a CSV file for each section.

        Args:
            customer_id: Whose data.
            into: A file, from its beginning.
            by: Who asks; it is written down.
            wanted: Names of sections; None for all.
            report_progress: Told how many sections are done, and of how many.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            Validation: there is no such section.
        """
        chosen = _chosen(wanted)
        person = await self._admit(customer_id, by)
        with ExitStack() as stack:
            archive = stack.enter_context(ZipFile(into, "w", ZIP_DEFLATED))
            text = stack.enter_context(tempfile.SpooledTemporaryFile(max_size=_in_memory_bytes))
            export = await self._json(person, text)
            done = 0
            async for section in self._read(chosen, person):
                with archive.open(f"{section.name}.csv", "w") as file:
                    await _write_section(section, export, file)
                done += 1
                report_progress(done, len(chosen))
            export.close()
            text.seek(0)
            with archive.open(json_name, "w") as file:
                shutil.copyfileobj(text, file)

    async def start_job(self, customer_id: UUID, *, by: Principal, wanted: Sequence[str] | None = None) -> Job:
        """Start a job that makes a zip, to be fetched once; refuses as `write_zip()` does, at once.

        Who asks again before it is done is given the same job.
        """
        chosen = _chosen(wanted)
        await self._require(customer_id, by)
        return await Jobs(self._connection, self._clock).start(
            "export_customer_data",
            by=by,
            arguments={"sections": ",".join(chosen)},
            customer_id=customer_id,
            is_fetched_once=True,
            same_as=f"export_customer_data:{customer_id}:{by.id}:{','.join(chosen)}",
        )

    async def _admit(self, customer_id: UUID, by: Principal) -> Person:
        """By what the person's rows are found, if the caller may have them; that it was asked for is written down."""
        await self._require(customer_id, by)
        await record_audit(
            self._connection,
            "export_customer_data",
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
        )
        return await self._tables.find_person(customer_id)

    async def _require(self, customer_id: UUID, by: Principal) -> None:
        require_own_or("privacy:export", customer_id, by)
        require_visible(await RetailCustomerRepository(self._connection).get(customer_id), by, "privacy:export")

    async def _read(self, chosen: Mapping[str, Sequence[ColumnRule]], person: Person) -> AsyncIterator[_Section]:
        for name, rules in chosen.items():
            yield _Section(name, exported_columns(rules), self._tables.export(rules, person))

    async def _json(self, person: Person, into: IO[bytes]) -> JsonExport:
        return JsonExport(into, person.customer_id, self._clock.now(), await self._explanations(person.customer_id))

    async def _explanations(self, customer_id: UUID) -> dict[str, object]:
        """How the scores came about, as the analytics tell it."""
        services = (self._connection, self._settings, self._clock)
        rfm = await RFMService(*services).get_customer_rfm(customer_id, by=operator)
        clv = await CLVService(*services).get_customer_clv(customer_id, by=operator)
        return {"rfm": rfm.model_dump(mode="json"), "clv": clv.model_dump(mode="json")}


def _chosen(wanted: Sequence[str] | None) -> Mapping[str, Sequence[ColumnRule]]:
    known = sections()
    if wanted is None:
        return known
    for position, name in enumerate(wanted):
        if name not in known:
            raise Validation.at(f"/sections/{position}", "enum", "must be the name of a section")
    return {name: rules for name, rules in known.items() if name in wanted}


async def _write_section(section: _Section, export: JsonExport, file: IO[bytes]) -> None:
    """Write the rows of a section to both, reading them once."""
    export.begin(section.name)
    file.write(csv_rows([section.columns]))
    async for rows in section.batches:
        export.add(section.columns, rows)
        file.write(csv_rows(rows))
    export.end()
