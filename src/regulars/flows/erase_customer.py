"""A person is erased: everything that tells who it was is removed, orders and points stay without a name.

The first transaction makes the person unreachable for good: the record is emptied and marked, identifiers, login and
sessions are gone, the account is at zero, the log has its row. What is left to remove is found by the customer's id,
and is removed table by table, each in a transaction of its own. Whatever breaks that off, doing it again goes on with
it, and every night does. Once more, a while later, everything is looked through again: for what somebody was writing
at that very moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from regulars.accounts.customer_logins import CustomerLogins
from regulars.customers.access import require_own_or, require_visible
from regulars.customers.events import CustomerErased
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.service_lifecycle import deletion_undo
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions, allow_long_work
from regulars.kit.errors import NotFound
from regulars.kit.events import record_events
from regulars.kit.jobs import Jobs
from regulars.kit.one_by_one import one_by_one
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.loyalty.closing import AccountClosing
from regulars.privacy.columns import ColumnRule, by_table, column_rules
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.erased_people import hash_of, lasting_hashes
from regulars.privacy.models import Erasure, ErasureReason, Person
from regulars.privacy.repository import ErasureRepository
from regulars.privacy.repository_tables import PersonalTables, is_reached, needs_the_person

looked_through_again_after: Final = timedelta(hours=1)
hashes_are_kept_for: Final = timedelta(days=365)
people_at_once: Final = 100


@dataclass(frozen=True)
class Request:
    """Why a person is erased, and for whom.

    Attributes:
        reason: What the log says.
        by: Who asks; None for the program itself.
        customer_number: What the caller takes the customer's number to be; None if nobody typed one.
        erased_at: When it was done, if it is done again after a restore.
    """

    reason: ErasureReason
    by: Principal | None = None
    customer_number: str | None = None
    erased_at: datetime | None = None


class Erasures:
    """Erases people, one at a time.

    Args:
        database: Transactions are opened here, several for each person.
        settings: Of the installation.
        clock: Of the shop.
        rules: The register of columns; a test may hand in another.
    """

    def __init__(
        self,
        database: Transactions,
        settings: Settings,
        clock: Clock,
        rules: Sequence[ColumnRule] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._hashes = lasting_hashes(settings)
        self._inactive_after_days = settings.anonymise_inactive_after_days
        tables = by_table(column_rules() if rules is None else rules)
        self._tables = {table: rules for table, rules in tables.items() if is_reached(rules)}

    async def erase(self, customer_id: UUID, request: Request) -> Erasure:
        """Erase a person; an erasure that was broken off is finished.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller, or nothing is left to erase.
            Validation: the customer has another number.
        """
        rows = await self._begin(customer_id, request)
        return await self._finish(customer_id, rows, confirm=False)

    async def finish_open(self) -> int:
        """Go on with erasures that were broken off, and look through those of an hour ago again; how many."""
        before = self._clock.now() - looked_through_again_after

        async def find(left: Sequence[UUID]) -> Sequence[UUID]:
            async with self._database.transaction() as connection:
                return await ErasureRepository(connection).find_open(before=before, limit=people_at_once, but=left)

        async def finish(customer_id: UUID) -> None:
            await self._finish(customer_id, {}, confirm=True)

        return await one_by_one(find, finish, at_once=people_at_once)

    async def erase_due(self) -> Mapping[str, int]:
        """Erase who was deleted 30 days ago, and who was not heard of for as long as the setting says; how many."""
        now, days = self._clock.now(), self._inactive_after_days
        due: dict[ErasureReason, datetime] = {"deletion": now - deletion_undo}
        if days is not None:
            due["inactivity"] = now - timedelta(days=days)
        return {reason: await self._erase_all(reason, before) for reason, before in due.items()}

    async def forget_hashes(self) -> int:
        """Forget by what people were recognised who were erased twelve months ago; how many."""
        before = self._clock.now() - hashes_are_kept_for
        async with self._database.transaction() as connection:
            return await ErasureRepository(connection).forget_hashes(before, at_most=people_at_once * 100)

    async def replay(self, log: Iterable[Erasure]) -> int:
        """Erase again whom a restored backup brought back; how many.

        Args:
            log: The erasures of the database that was lost or left.
        """
        count = 0
        for entry in log:
            count += await self._replay(entry)
        return count

    async def _erase_all(self, reason: ErasureReason, before: datetime) -> int:
        async def find(left: Sequence[UUID]) -> Sequence[UUID]:
            async with self._database.transaction() as connection:
                log = ErasureRepository(connection)
                find_due = log.find_deleted if reason == "deletion" else log.find_inactive
                return await find_due(before=before, limit=people_at_once, but=left)

        async def erase(customer_id: UUID) -> None:
            await self._erase_if_due(customer_id, reason, before)

        return await one_by_one(find, erase, at_once=people_at_once)

    async def _erase_if_due(self, customer_id: UUID, reason: ErasureReason, before: datetime) -> None:
        """Erase a person unless something was heard meanwhile: seen under the lock that a purchase takes too."""
        request = Request(reason)
        async with self._database.transaction() as connection:
            customer = await self.require_erasable(connection, customer_id, request)
            log = ErasureRepository(connection)
            is_due = reason != "inactivity" or await log.find_inactive(before=before, limit=1, only=customer_id)
            if customer is None or not is_due:
                return
            rows = await self._make_unreachable(connection, customer, request)
        await self._finish(customer_id, rows, confirm=False)

    async def _replay(self, entry: Erasure) -> bool:
        async with self._database.transaction() as connection:
            try:
                customer = await RetailCustomerRepository(connection).get(entry.customer_id)
            except NotFound:  # came after the backup, or is in no database any more
                customer = None
            if customer is None or customer.erased_at is not None:
                await ErasureRepository(connection).add(entry)
                return False
        await self.erase(entry.customer_id, Request(entry.reason, operator, erased_at=entry.erased_at))
        return True

    async def require_erasable(
        self, connection: Connection, customer_id: UUID, request: Request
    ) -> RetailCustomer | None:
        """Lock a customer who can be erased, for this caller; None where that was begun before and broken off.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller, or nothing is left to erase.
            Validation: the customer has another number.
        """
        by = request.by or operator
        require_own_or("customers:erase", customer_id, by)
        customer = await RetailCustomerRepository(connection).lock(customer_id)
        if customer.erased_at is not None:
            entry = await ErasureRepository(connection).get(customer_id)
            if entry is not None and entry.completed_at is None:
                return None
        require_visible(customer, by, "customers:erase")
        if request.customer_number not in {None, customer.customer_number}:
            raise Validation.at("/customer_number", "enum", "is not the number of this customer")
        return customer

    async def find(self, customer_id: UUID) -> Erasure | None:
        """What the log says about a customer."""
        async with self._database.transaction() as connection:
            return await ErasureRepository(connection).get(customer_id)

    async def _begin(self, customer_id: UUID, request: Request) -> dict[str, int]:
        """Make the person unreachable, if that was not done before; how many rows that took."""
        async with self._database.transaction() as connection:
            await allow_long_work(connection)
            customer = await self.require_erasable(connection, customer_id, request)
            return await self._make_unreachable(connection, customer, request) if customer else {}

    async def _make_unreachable(
        self, connection: Connection, customer: RetailCustomer, request: Request
    ) -> dict[str, int]:
        by, at = request.by or operator, request.erased_at or self._clock.now()
        tables, log = PersonalTables(connection), ErasureRepository(connection)
        await CustomerLogins(connection, self._clock).sign_out([customer.id])  # nobody signs in from here on
        points = await AccountClosing(connection, self._clock).close(customer.id, by=by)
        person = await tables.find_person(customer.id)
        first = {table: rules for table, rules in self._tables.items() if needs_the_person(table)}
        rows = {table: await tables.erase(rules, person) for table, rules in first.items()}
        # The record allows nothing any more: the events must say so too.
        await ConsentJournal(connection, self._clock).follow_flags([customer.id], source="erasure", by=request.by)
        await Jobs(connection, self._clock).forget_customer(customer.id)
        await log.close_record(customer.id, at=at)
        await log.add(self._entry(customer, request, at, points))
        await record_audit(
            connection,
            "erase_customer",
            by=request.by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer.id,
        )
        await record_events(
            connection, self._clock.now(), CustomerErased(customer_id=customer.id, reason=request.reason)
        )
        return rows

    def _entry(self, customer: RetailCustomer, request: Request, at: datetime, points: int) -> Erasure:
        is_own = request.by is not None and request.by.customer_id == customer.id
        return Erasure(
            customer_id=customer.id,
            erased_at=at,
            reason=request.reason,
            requested_by=request.by.id if request.by and not is_own else None,
            proof=self._hashes.of("erased-number", customer.customer_number),
            email_hash=hash_of(self._hashes, "email", customer.email),
            phone_hash=hash_of(self._hashes, "phone", customer.phone),
            points_closed=points,
        )

    async def _finish(self, customer_id: UUID, rows: Mapping[str, int], *, confirm: bool) -> Erasure:
        """Remove what is found by the customer's id, and take off what was credited meanwhile."""
        counts, person = dict(rows), Person(customer_id)
        for table, rules in self._tables.items():
            async with self._database.transaction() as connection:
                await allow_long_work(connection)
                changed = await PersonalTables(connection).erase(rules, person)
            counts[table] = counts.get(table, 0) + changed
        async with self._database.transaction() as connection:
            log = ErasureRepository(connection)
            if points := await AccountClosing(connection, self._clock).close(customer_id, by=operator):
                await log.add_points(customer_id, points)
            erasure = await log.complete(customer_id, counts, at=self._clock.now(), confirm=confirm)
        assert erasure is not None, "begun before"  # noqa: S101
        return erasure
