"""Import many customers: who they are, what identifies them, who brought them."""

from regulars.flows.import_orders import source_of_ids
from regulars.flows.importing.repository_customer_rules import CustomerCheckingRepository
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, be_silent
from regulars.flows.importing.rows import ImportRows
from regulars.flows.importing.rows import customers as subject
from regulars.flows.importing.staged import ImportJob, ImportOptions, StagedImport, in_own_session
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings

customers_per_batch = 20_000


async def import_customers(
    url: str,
    rows: ImportRows,
    *,
    source: str | None,
    settings: Settings,
    clock: Clock,
    options: ImportOptions | None = None,
    on_reject: OnReject | None = None,
    on_progress: OnProgress = be_silent,
) -> ImportResult:
    """Import customers; those who are known are filled where they are empty.

    A customer is recognised as the customer of an order would be: by number, by the id in the source, by e-mail address
    or phone number. So a repeat changes nothing, whatever ended the first import. Consents are none of this: who
    agreed to what needs its evidence.

    Args:
        url: The database; the import opens a session of its own.
        rows: The customers, read once as a stream.
        source: The system whose ids the rows carry; None if they carry none, or are an export of ours.
        settings: Time zone of the installation.
        clock: Since when new customers are known whose row does not say.
        options: How it is done; by default line by line, without events.
        on_reject: Told every line that is not imported, in the order of the file.
        on_progress: Told how far it is.

    Raises:
        UnusableFile: the rows end in something that cannot be read; nothing was written.
        OperatorError: the database cannot be reached, or went away.
    """
    job = ImportJob(
        rows,
        subject,
        source_of_ids(source or rows.own_source, rows.columns),
        settings,
        clock,
        customers_per_batch,
        options or ImportOptions(),
        on_progress,
    )
    return await in_own_session(url, lambda connection: _CustomersImport(connection, job).run(on_reject))


class _CustomersImport(StagedImport):
    """One import of customers in its session."""

    def __init__(self, connection: Connection, job: ImportJob) -> None:
        super().__init__(connection, job)
        self._checking = CustomerCheckingRepository(connection)
        self._has_referrers = "referrer" in self.columns

    async def check(self) -> int:
        """Ask the rules of customers; no line may repeat another."""
        if self._has_referrers:
            await self.customers.begin_referrals()
        await self._checking.check(
            self.columns, now=self.job.clock.now(), exported_as=self.job.source if self.job.rows.own_source else None
        )
        return 0

    async def match(self) -> None:
        """Compare with the customers that are stored."""
        await self.matching.match_customers(self.columns, self.job.source)

    async def write(self, batch: Batch) -> Batch:
        """What is written of a customer is written already: count it, and note the referrers."""
        if self._has_referrers:
            await self.customers.note_referrals(batch)
        return Batch(
            batch.number,
            created=batch.customers_created,
            updated=batch.filled,
            unchanged=batch.rows - batch.customers_created - batch.filled,
            customers_created=batch.customers_created,
        )

    async def finish(self) -> None:
        """Name who brought whom."""
        if self._has_referrers:
            await self.customers.write_referrers(self.job.source)
