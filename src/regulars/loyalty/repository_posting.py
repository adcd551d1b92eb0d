"""The one statement that writes the ledger: a transaction, its lots and allocations, the account, the event.

It serves one customer and five hundred. What it is given comes as rows: one row as plain parameters, many as an
array for each column, or one value where all rows have the same. Arrays arrive through sub-selects: so the planner does
not look at their lengths, and one plan serves them all. Which lots a use of points takes from, the statement finds
itself: two hundred lots need not come and go.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, LiteralString, TypeAlias
from uuid import UUID

from psycopg.sql import SQL
from psycopg.types.numeric import Int8

from regulars.kit.database import Connection, Repository
from regulars.kit.logs import current_trace_id
from regulars.loyalty.events import event_of
from regulars.loyalty.models import AccountChange, LoyaltyTransaction, LoyaltyTransactionCreate

Columns: TypeAlias = Mapping[LiteralString, LiteralString]
# How many rows: none, one, or 2 for many; and the columns that have one value for many. The text of the statement
# depends on it.
Shape: TypeAlias = tuple[int, frozenset[LiteralString]]

few_rows = 32
"""So many rows are arrays in every column, whatever is in them; as many awards are gathered at most."""

_entry: Columns = {
    "customer_id": "uuid", "transaction_type": "text", "points": "bigint", "qualifies": "boolean", "rule": "text",
    "reason_code": "text", "order_id": "uuid", "refund_id": "uuid", "reverses_transaction_id": "uuid",
    "programme_version": "integer", "expires_at": "timestamptz", "created_by": "uuid", "created_at": "timestamptz",
    "lifetime_points": "bigint", "tier": "text", "tier_is_manual": "boolean", "tier_until": "timestamptz",
    "event": "text", "trace_id": "text",
}  # fmt: skip
_lot: Columns = {"customer_id": "uuid", "origin_id": "uuid", "points": "bigint", "expires_at": "timestamptz"}
_change: Columns = {"customer_id": "uuid", "lot_id": "uuid", "points": "bigint"}


class PostingRepository(Repository):
    """Writes the ledger. Every write expects the customers' accounts to be locked by this transaction.

    Args:
        connection: That of the transaction.
        tells: Whether postings leave events; those of history, written long after, do not.
    """

    def __init__(self, connection: Connection, *, tells: bool = True) -> None:
        super().__init__(connection)
        self._tells = tells

    async def create_transaction(self, new: LoyaltyTransactionCreate, change: AccountChange) -> LoyaltyTransaction:
        """Write one transaction with its lots and allocations, and move the account to it."""
        return (await self.update_loyalty_points([new], [change]))[0]

    async def update_loyalty_points(
        self, new: Sequence[LoyaltyTransactionCreate], changes: Sequence[AccountChange]
    ) -> list[LoyaltyTransaction]:
        """Move the points of many customers, by one transaction for each; these are returned in the order given.

        Number, balance and hash continue from the account. Between the lots of one transaction, those given first come
        first in the order of use. Nothing else moves a balance.

        Args:
            new: The transactions, of different customers.
            changes: For each, what it means for the account beyond the balance.

        Raises:
            ValueError: Some take from the lots in their order and others do not: they do not share a statement.
        """
        spends = new[0].spends
        if any(create.spends is not spends for create in new):
            raise ValueError("transactions that take from the lots in their order are written apart from others")
        entries = [_entry_row(create, change) for create, change in zip(new, changes, strict=True)]
        lots = [
            (create.customer_id, lot.origin_id, Int8(lot.points), lot.expires_at)
            for create in new
            for lot in create.new_lots
        ]
        moves = [(create.customer_id, lot_id, Int8(points)) for create in new for lot_id, points in create.lot_changes]
        debts = [(create.customer_id, None, Int8(create.debt_change)) for create in new if create.debt_change]
        entry_shape, entry_values = _given("entry", _entry, entries)
        lot_shape, lot_values = _given("lot", _lot, lots)
        change_shape, change_values = _given("change", _change, [*moves, *debts])
        written = await self._rows(
            _posting(entry_shape, lot_shape, change_shape, moves_lots=bool(moves), spends=spends),
            {
                "tells": self._tells,
                **entry_values,
                **lot_values,
                **change_values,
            },
        )
        by_customer = {row[0]: row for row in written}
        return [_transaction_of(create, *by_customer[create.customer_id]) for create in new]


def _entry_row(create: LoyaltyTransactionCreate, change: AccountChange) -> tuple[Any, ...]:
    return (
        create.customer_id, create.transaction_type.value, Int8(create.points), create.qualifies, create.rule,
        create.reason_code, create.order_id, create.refund_id, create.reverses_transaction_id,
        create.programme_version, create.expires_at, create.created_by, create.created_at,
        Int8(change.lifetime_points), change.tier.value, change.tier_is_manual, change.tier_until,
        event_of[create.transaction_type].kind, create.trace_id or current_trace_id.get(),
    )  # fmt: skip


def _transaction_of(
    create: LoyaltyTransactionCreate, customer_id: UUID, transaction_id: UUID, seq: int, balance_before: int
) -> LoyaltyTransaction:
    """The row as it was written: the database answers only what it added."""
    return LoyaltyTransaction(
        transaction_id, customer_id, seq, create.transaction_type, create.points, balance_before,
        balance_before + create.points, create.qualifies, create.rule, create.reason_code, create.order_id,
        create.refund_id, create.reverses_transaction_id, create.programme_version, create.expires_at,
        create.created_by, create.created_at,
    )  # fmt: skip


def _given(name: str, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> tuple[Shape, dict[str, Any]]:
    """The shape of rows, and the parameters that bring them.

    The first column of many rows is always an array: it says how many there are. A column that has one value for very
    many is that value; for a few rows it would change the text of the statement more often than it is worth planning.
    """
    if len(rows) < 2:
        values = {f"{name}_{column}": value for row in rows for column, value in zip(columns, row, strict=True)}
        return (len(rows), frozenset()), values
    found = dict(zip(columns, zip(*rows, strict=True), strict=True))
    shared = list(found)[1:] if len(rows) > few_rows else []
    alike = frozenset(column for column in shared if found[column].count(found[column][0]) == len(rows))
    return (2, alike), {
        f"{name}_{column}": of_rows[0] if column in alike else _array(of_rows) for column, of_rows in found.items()
    }


def _array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it. The driver would look at each value twice: a third of the work of a batch."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        value = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{value}"'  # no number, id or instant has a quote in it


def _rows(name: LiteralString, columns: Columns, shape: Shape) -> LiteralString:
    """The rows of a parameter set, to stand in a FROM."""
    count, alike = shape
    names: LiteralString = ", ".join(columns)
    if count == 0:
        nulls = [f"NULL::{type_}" for type_ in columns.values()]
        return f"(SELECT {', '.join(nulls)} WHERE false) AS {name} ({names})"
    if count == 1:
        values = [f"%({name}_{column})s::{type_}" for column, type_ in columns.items()]
        return f"(SELECT {', '.join(values)}) AS {name} ({names})"
    own = [column for column in columns if column not in alike]
    arrays = [f"(SELECT %({name}_{column})s::{columns[column]}[])" for column in own]
    values = [column if column in own else f"%({name}_{column})s::{type_}" for column, type_ in columns.items()]
    unnested: LiteralString = f"unnest({', '.join(arrays)}) AS x ({', '.join(own)})"
    return f"(SELECT {', '.join(values)} FROM {unnested}) AS {name} ({names})"  # noqa: S608 - names of our own


@cache
def _posting(entries: Shape, lots: Shape, changes: Shape, *, moves_lots: bool, spends: bool) -> SQL:
    """The statement, for rows of these shapes; a gain alone does not come near the lots that exist.

    Without its indentation: the driver remembers how it read a statement only up to 4 KiB.
    """
    statement = _statement.format(
        entries=SQL(_rows("entry", _entry, entries)),
        lots=SQL(_rows("lot", _lot, lots)),
        changes=_first_in_order if spends else SQL(_rows("change", _change, changes)),
        lots_moved=_lots_moved if moves_lots or spends else SQL(""),
    )
    return SQL(" ".join(statement.as_string().split()))


# The row is composed apart from its hash: the hash of a plain column is computed in place, that of an expression by a
# call that plans a query of its own.
_statement = SQL("""
    WITH entry AS (
        SELECT entry.*, uuidv7() AS id, a.last_seq + 1 AS seq, a.balance AS balance_before,
            a.balance + entry.points AS balance_after, a.last_hash
        FROM {entries}
        JOIN loyalty_accounts AS a ON a.customer_id = entry.customer_id
    ), composed AS MATERIALIZED (
        SELECT entry.*, ROW(
            customer_id, seq, id, transaction_type, points, balance_before, balance_after, nullif(seq - 1, 0),
            qualifies, rule, reason_code, order_id, refund_id, reverses_transaction_id, programme_version,
            expires_at, created_by, created_at, NULL)::loyalty_transactions AS row
        FROM entry
    ), posting AS (
        SELECT composed.*, loyalty_row_hash(last_hash, row) AS hash FROM composed
    ), written AS (
        INSERT INTO loyalty_transactions (
            customer_id, seq, id, transaction_type, points, balance_before, balance_after, qualifies, rule,
            reason_code, order_id, refund_id, reverses_transaction_id, programme_version, expires_at,
            created_by, created_at, hash)
        SELECT customer_id, seq, id, transaction_type, points, balance_before, balance_after, qualifies, rule,
            reason_code, order_id, refund_id, reverses_transaction_id, programme_version, expires_at,
            created_by, created_at, hash
        FROM posting
    ), new_lot AS (
        SELECT lot.*, uuidv7() AS id FROM {lots}
    ), added AS (
        INSERT INTO point_lots (customer_id, id, seq, origin_id, earned, remaining, earned_at, expires_at)
        SELECT l.customer_id, l.id, p.seq, coalesce(l.origin_id, l.id), l.points, l.points, p.created_at,
            l.expires_at
        FROM new_lot AS l JOIN posting AS p ON p.customer_id = l.customer_id
    ), change AS (
        SELECT * FROM {changes}
    ), allocated AS (
        INSERT INTO point_allocations (customer_id, seq, lot_id, points, is_expiry)
        SELECT p.customer_id, p.seq, x.lot_id, x.points, p.transaction_type = 'EXPIRED'
        FROM (SELECT customer_id, id, points FROM new_lot
              UNION ALL SELECT customer_id, lot_id, points FROM change) AS x (customer_id, lot_id, points)
        JOIN posting AS p ON p.customer_id = x.customer_id
    ){lots_moved}, account AS (
        UPDATE loyalty_accounts AS a
        SET balance = p.balance_after, last_seq = p.seq, last_hash = p.hash, updated_at = p.created_at,
            lifetime_points = a.lifetime_points + p.lifetime_points,
            tier = p.tier, tier_is_manual = p.tier_is_manual, tier_until = p.tier_until
        FROM posting AS p WHERE a.customer_id = p.customer_id
    ), told AS (
        INSERT INTO events (occurred_at, kind, customer_id, facts, trace_id)
        SELECT created_at, event, customer_id, jsonb_build_object(
            'transaction_id', id, 'points', points, 'balance_after', balance_after, 'order_id', order_id),
            trace_id
        FROM posting WHERE %(tells)s
    )
    SELECT customer_id, id, seq, balance_before FROM posting
""")

_lots_moved = SQL(""", moved AS (
            UPDATE point_lots AS l SET remaining = l.remaining + c.points
            FROM change AS c WHERE l.customer_id = c.customer_id AND l.id = c.lot_id
        )""")

# What is needed of the lots that can be used, in the order of use.
_first_in_order = SQL("""(
            SELECT customer_id, lot_id, -least(remaining, wanted - given) AS points FROM (
                SELECT customer_id, l.id AS lot_id, remaining, -entry.points AS wanted,
                    sum(remaining) OVER (PARTITION BY customer_id ORDER BY l.expires_at, earned_at, l.id
                                         ROWS UNBOUNDED PRECEDING)::bigint - remaining AS given
                FROM entry JOIN point_lots AS l USING (customer_id)
                WHERE remaining > 0 AND (l.expires_at > entry.created_at OR l.expires_at IS NULL)
            ) AS usable WHERE given < wanted
        ) AS change""")
