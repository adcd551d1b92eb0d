"""The catalogue entries that come with an import."""

from collections.abc import Iterable
from datetime import datetime

from psycopg.sql import SQL, Literal

from regulars.flows.importing.rows import ImportProduct
from regulars.kit.database import Repository

# Of several entries for one product the last one counts; what an entry leaves out stays as it is known.
_upsert_products = SQL("""
    INSERT INTO products AS known (sku, name, brand, category, department, created_at, updated_at)
    SELECT DISTINCT ON (sku) sku, nullif(name, ''), nullif(brand, ''), nullif(category, ''), nullif(department, ''),
        {now}, {now}
    FROM (
        SELECT sku, name, brand, category, department, 0 AS line, place FROM catalogue
        UNION ALL
        SELECT item ->> 0, item ->> 1, item ->> 2, item ->> 3, item ->> 4, matched.line, place
        FROM matched JOIN incoming ON incoming.line = matched.line,
            jsonb_array_elements(products::jsonb) WITH ORDINALITY AS entry (item, place)
        WHERE matched.code IS NULL AND products IS NOT NULL
    ) AS entries
    ORDER BY sku, line DESC, place DESC
    ON CONFLICT (sku) DO UPDATE SET
        name = coalesce(excluded.name, known.name), brand = coalesce(excluded.brand, known.brand),
        category = coalesce(excluded.category, known.category),
        department = coalesce(excluded.department, known.department), updated_at = excluded.updated_at
    WHERE (known.name, known.brand, known.category, known.department) IS DISTINCT FROM (
        coalesce(excluded.name, known.name), coalesce(excluded.brand, known.brand),
        coalesce(excluded.category, known.category), coalesce(excluded.department, known.department))
""")


class ImportProductsRepository(Repository):
    """Brings the catalogue up to what an import says about products."""

    async def copy_products(self, products: Iterable[ImportProduct]) -> None:
        """Fill `catalogue` with the entries that do not come with an order line."""
        await self._execute("""
            CREATE TEMP TABLE catalogue (
                place bigint GENERATED ALWAYS AS IDENTITY,
                sku text, name text, brand text, category text, department text
            )
        """)
        async with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY catalogue (sku, name, brand, category, department) FROM STDIN") as copy,
        ):
            for product in products:
                await copy.write_row(product)

    async def write_products(self, now: datetime) -> None:
        """Insert new products and change those of which something else is said now."""
        await self._execute(_upsert_products.format(now=Literal(now)))
