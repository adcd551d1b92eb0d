"""A shop of its own database into which tests import orders."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from regulars.flows.import_orders import import_orders
from regulars.flows.importing.readers import read_csv, read_ndjson
from regulars.flows.importing.result import ImportResult, Progress, Reject, be_silent
from regulars.flows.importing.rows import ImportProduct, ImportRow, ImportRows
from regulars.flows.importing.staged import ImportOptions
from regulars.kit.clock import Clock
from regulars.kit.settings import Settings


def csv_rows(text: str) -> ImportRows:
    return read_csv(iter(text.strip().splitlines(keepends=True)), {})


def ndjson_rows(text: str) -> ImportRows:
    return read_ndjson(iter(text.strip().splitlines(keepends=True)), {})


def rows_of(
    columns: Sequence[str], values: Iterable[Sequence[str]], products: Iterable[ImportProduct] = ()
) -> ImportRows:
    """Rows without a file, as a program hands them in."""
    return ImportRows(
        tuple(columns), (ImportRow(line, row) for line, row in enumerate(values, start=1)), list(products)
    )


@dataclass
class Shop:
    """Imports into one database and looks into it."""

    url: str
    clock: Clock
    settings: Settings = field(default_factory=lambda: Settings(_env_file=None, store_timezone="Europe/Berlin"))
    rejects: list[Reject] = field(default_factory=list)

    async def load(
        self,
        rows: ImportRows | str,
        *,
        source: str = "web",
        on_progress: Callable[[Progress], None] = be_silent,
        **options: bool,
    ) -> ImportResult:
        self.rejects = []
        return await import_orders(
            self.url,
            csv_rows(rows) if isinstance(rows, str) else rows,
            source=source,
            settings=self.settings,
            clock=self.clock,
            options=ImportOptions(**options),
            on_reject=self.rejects.append,
            on_progress=on_progress,
        )

    @property
    def codes(self) -> dict[int, str]:
        """Why lines of the latest import were rejected."""
        return {reject.line: reject.code for reject in self.rejects}

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def customer_of(self, kind: str, value: str) -> Any:
        """The id of the customer who holds an identifier, or None."""
        rows = self.query("SELECT customer_id FROM customer_identifiers WHERE kind = %s AND value = %s", [kind, value])
        return rows[0][0] if rows else None

    def orders_of(self, customer_id: object) -> list[str]:
        rows = self.query("SELECT external_id FROM orders WHERE customer_id = %s ORDER BY external_id", [customer_id])
        return [external_id for (external_id,) in rows]

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything an import writes, without ids that are made anew and the instants of writing."""
        return {
            "orders": self.query(
                """
                SELECT o.source, o.external_id, i.value, o.status, o.currency, o.ordered_at, o.ordered_on, o.total,
                    o.discount_total, o.tax_total, o.shipping_total, o.refunded_total, o.channel, o.content_hash,
                    array(SELECT (line_number, sku, quantity, unit_price, discount, total)::text FROM order_lines l
                        WHERE l.customer_id = o.customer_id AND l.order_id = o.id ORDER BY line_number)
                FROM orders o JOIN customer_identifiers i ON i.customer_id = o.customer_id AND i.kind LIKE 'ext:%%'
                JOIN order_identifiers k ON (k.source, k.external_id) = (o.source, o.external_id)
                    AND k.order_id = o.id AND k.customer_id = o.customer_id
                ORDER BY o.source, o.external_id
                """
            ),
            "customers": self.query(
                """
                SELECT i.kind, i.value, left(c.customer_number, 13), c.first_name, c.city, c.email, c.phone,
                    c.created_at,
                    m.total_orders, m.net_spent, m.first_order_at, m.last_order_at, m.purchase_days
                FROM customers c JOIN customer_identifiers i ON i.customer_id = c.id AND i.kind LIKE 'ext:%%'
                JOIN customer_metrics m ON m.customer_id = c.id
                ORDER BY i.kind, i.value
                """
            ),
            "counts": self.query(
                """
                SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_identifiers),
                    (SELECT count(*) FROM customers), (SELECT count(*) FROM customer_identifiers),
                    (SELECT count(*) FROM customer_metrics), (SELECT count(*) FROM order_lines)
                """
            ),
        }

    def writes(self) -> list[tuple[Any, ...]]:
        """Which version of every row is there: equal before and after if nothing was written."""
        tables = ("customers", "customer_identifiers", "orders", "order_identifiers", "order_lines", "products")
        versions = [f"SELECT '{table}', ctid::text, xmin::text FROM {table}" for table in (*tables, "customer_metrics")]
        return self.query(" UNION ALL ".join(versions) + " ORDER BY 1, 2")

    def wrong_metrics(self) -> list[tuple[Any, ...]]:
        """Customers whose metrics are not what their orders say."""
        return self.query(
            """
            WITH facts AS (
                SELECT c.id AS customer_id, count(o.id) AS orders, coalesce(sum(o.total - o.refunded_total), 0) AS net,
                    min(o.ordered_at) AS first, max(o.ordered_at) AS last, count(DISTINCT o.ordered_on) AS days
                FROM customers c
                LEFT JOIN orders o ON o.customer_id = c.id AND o.status NOT IN ('cancelled', 'refunded')
                GROUP BY c.id
            )
            SELECT * FROM facts FULL JOIN customer_metrics m USING (customer_id)
            WHERE (orders, net, first, last, days)
                IS DISTINCT FROM (m.total_orders, m.net_spent, m.first_order_at, m.last_order_at, m.purchase_days)
            """
        )


def kill_when_rows_appear(shop: Shop, table: str, program: str, *arguments: object) -> None:
    """Run a Python program on the shop's database in a process of its own, until it has written to a table."""
    process = subprocess.Popen([sys.executable, "-c", program, shop.url, *map(str, arguments)])
    while shop.query(f"SELECT count(*) FROM {table}") == [(0,)]:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
