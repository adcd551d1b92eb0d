"""Finding customers: pages in a given order, and how many there are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.sql import SQL, Composable, Composed, Placeholder

from regulars.customers.models import RetailCustomer
from regulars.customers.repository_columns import customer_rows, joined_tables
from regulars.customers.repository_filters import Conditions, conditions_of, containing, moved_between
from regulars.customers.repository_orders import parts_of
from regulars.customers.repository_segments import RunMomentRepository
from regulars.customers.schemas_search import RetailCustomerListQuery, RetailCustomerSearchFilters
from regulars.kit.clock import Clock
from regulars.kit.repository_search import WordRepository
from regulars.kit.validation import Place, Validation

counted_exactly = 10_000
# Few enough that whoever waits for the same process does not notice.
exported_at_once = 250

# A whole file may take longer than a page; no workers, as their rows come in any order; all rows will be read.
_for_long_reading = SQL("""
    SELECT set_config('statement_timeout', '300s', true), set_config('max_parallel_workers_per_gather', '0', true),
        set_config('cursor_tuple_fraction', '1', true)
""")

# A prepared statement may get one plan for all values; the best plan of a search depends on how rare its values are.
planned_for_its_values = False


@dataclass(frozen=True)
class CustomerCount:
    """How many customers match.

    Attributes:
        total: Exact, or the planner's estimate and at least 10,001.
        is_estimate: Whether it is the estimate.
    """

    total: int
    is_estimate: bool


class CustomerSearchRepository(RunMomentRepository):
    """Reading many customers at once."""

    async def search_customers(self, filters: RetailCustomerSearchFilters, clock: Clock) -> list[RetailCustomer]:
        """The page that the filters ask for, in their order."""
        conditions = await self._conditions(filters, clock)
        if conditions is None:
            return []
        return await self._read_in_order(await self._page(conditions, filters))

    async def export_customers(
        self, filters: RetailCustomerSearchFilters, clock: Clock
    ) -> AsyncIterator[list[RetailCustomer]]:
        """Every match in the order of the filters, some at a time, as of one moment; no limit or offset counts.

        One statement reads it all, so that nobody is missed or met twice who changes meanwhile: the parts of the order
        follow one another, which the server keeps as long as no workers share them.
        """
        conditions = await self._conditions(filters, clock)
        if conditions is None:
            return
        await self._execute(_for_long_reading)
        parts = [
            SQL("({}{} ORDER BY {})").format(
                customer_rows, (conditions + Conditions((part.condition,))).where(), part.order
            )
            for part in parts_of(filters.sort)
        ]
        async with self._connection.cursor(name="export", row_factory=class_row(RetailCustomer)) as cursor:
            await cursor.execute(SQL(" UNION ALL ").join(parts), conditions.parameters)
            while batch := await cursor.fetchmany(exported_at_once):
                yield batch

    async def count_customers(self, filters: RetailCustomerSearchFilters, clock: Clock) -> CustomerCount:
        """How many customers match: exact up to 10,000, else what the planner expects."""
        conditions = await self._conditions(filters, clock)
        if conditions is None:
            return CustomerCount(0, is_estimate=False)
        total = await self._count(conditions, at_most=counted_exactly + 1)
        if total <= counted_exactly:
            return CustomerCount(total, is_estimate=False)
        return CustomerCount(max(total, await self._estimate(conditions)), is_estimate=True)

    async def count_up_to(self, filters: RetailCustomerSearchFilters, clock: Clock, at_most: int) -> int:
        """How many customers match, counted up to a bound."""
        conditions = await self._conditions(filters, clock)
        return 0 if conditions is None else await self._count(conditions, at_most)

    async def find_claim(self, kind: str, value: str) -> UUID | None:
        """The id of the customer whom an identifier in its normal form belongs to."""
        customer_id: UUID | None = await self._value(
            "SELECT customer_id FROM customer_identifiers WHERE kind = %s AND value = %s", [kind, value]
        )
        return customer_id

    async def was_brought_by(self, customer_id: UUID, other_id: UUID) -> bool:
        """Whether a customer came by way of another: was brought by them, or by somebody whom they brought.

        Whoever is about to name a referrer by the answer sees the changes of all others, who wait until this one ends.
        """
        await self._execute("SELECT pg_advisory_xact_lock(hashtextextended('regulars.referrers', 0))")
        found: bool = await self._value(
            """
            WITH RECURSIVE brought_by (id) AS (
                SELECT referrer_customer_id FROM customers WHERE id = %(id)s AND referrer_customer_id IS NOT NULL
                UNION
                SELECT c.referrer_customer_id FROM brought_by JOIN customers c USING (id)
                WHERE c.referrer_customer_id IS NOT NULL
            )
            SELECT EXISTS (SELECT FROM brought_by WHERE id = %(other)s)
            """,
            {"id": customer_id, "other": other_id},
        )
        return found

    async def is_shared(self, kind: str, value: str) -> bool:
        """Whether an address or number is of so many people that it identifies nobody."""
        found: bool = await self._value(
            "SELECT EXISTS (SELECT FROM shared_contacts WHERE kind = %s AND value = %s)", [kind, value]
        )
        return found

    async def find_claims(self, kind: str, values: Sequence[str]) -> dict[str, UUID]:
        """As `find_claim()`, for many: the ids of those that belong to somebody."""
        rows = await self._rows(
            "SELECT value, customer_id FROM customer_identifiers WHERE kind = %s AND value = ANY(%s)",
            [kind, list(values)],
        )
        return {row[0]: row[1] for row in rows}

    async def _conditions(self, filters: RetailCustomerSearchFilters, clock: Clock) -> Conditions | None:
        """The conditions of the filters; None if an identifier among them belongs to nobody, or there are no words.

        Raises:
            Validation: a run that they name is unknown, not finished, or made no scores.
        """
        found = conditions_of(filters, clock) + await self._moved(filters)
        if filters.q is not None:
            words = await WordRepository(self._connection).words_of(filters.q)
            if not words:
                return None
            found += containing(words)
        for kind, value in (("email", filters.email), ("phone", filters.phone), ("number", filters.customer_number)):
            if value is not None:
                customer_id = await self.find_claim(kind, value)
                if customer_id is None:
                    return None
                owner = f"owner_by_{kind}"
                found += Conditions((SQL("c.id = {}").format(Placeholder(owner)),), {owner: customer_id})
        return found

    async def _moved(self, filters: RetailCustomerSearchFilters) -> Conditions:
        """Who moved between two runs, if the filters ask for that."""
        if filters.from_run is None or filters.to_run is None:
            return Conditions()
        moments = await self.get_moments([filters.from_run, filters.to_run])
        place: Place = "query" if isinstance(filters, RetailCustomerListQuery) else "body"
        for name, run_id in (("from_run", filters.from_run), ("to_run", filters.to_run)):
            if run_id not in moments:
                raise Validation.at(f"/{name}", "range", "must be a finished run that made RFM scores", place=place)
        return moved_between(filters, moments[filters.from_run], moments[filters.to_run])

    async def _page(self, conditions: Conditions, filters: RetailCustomerSearchFilters) -> list[UUID]:
        """The ids of the page, part by part of the order."""
        # Starting workers for a page takes longer than finding it, and takes them from those who count everything.
        await self._execute("SET LOCAL max_parallel_workers_per_gather = 0")
        page: list[UUID] = []
        to_skip = filters.offset
        for part in parts_of(filters.sort):
            asked = conditions + Conditions((part.condition,))
            found = await self._ids(asked, part.order, limit=filters.limit - len(page), offset=to_skip)
            page += found
            if len(page) == filters.limit:
                break
            if found:
                to_skip = 0
            elif to_skip:
                to_skip -= await self._count(asked)
        return page

    async def _ids(self, conditions: Conditions, order: Composable, *, limit: int, offset: int) -> list[UUID]:
        query = SQL("SELECT c.id FROM customers c {}{} ORDER BY {} LIMIT {} OFFSET {}").format(
            joined_tables, conditions.where(), order, limit, offset
        )
        async with self._connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(query, conditions.parameters, prepare=planned_for_its_values)
            return await cursor.fetchall()

    async def _read_in_order(self, ids: list[UUID]) -> list[RetailCustomer]:
        """The customers behind the ids. Finding first and reading after keeps what has to be sorted small."""
        found = await self._all(RetailCustomer, customer_rows + SQL(" WHERE c.id = ANY(%s)"), [ids]) if ids else []
        by_id = {customer.id: customer for customer in found}
        return [by_id[customer_id] for customer_id in ids]

    async def _count(self, conditions: Conditions, at_most: int | None = None) -> int:
        query = SQL("SELECT count(*) FROM ({} LIMIT {}) AS found").format(_matching(conditions), at_most)
        cursor = await self._connection.execute(query, conditions.parameters, prepare=planned_for_its_values)
        [total] = await cursor.fetchone() or (0,)
        return int(total)

    async def _estimate(self, conditions: Conditions) -> int:
        query = SQL("EXPLAIN (FORMAT JSON) {}").format(_matching(conditions))
        cursor = await self._connection.execute(query, conditions.parameters, prepare=planned_for_its_values)
        [plan] = await cursor.fetchone() or ([],)
        return int(plan[0]["Plan"]["Plan Rows"])


def _matching(conditions: Conditions) -> Composed:
    return SQL("SELECT FROM customers c {}{}").format(joined_tables, conditions.where())
