"""The catalogue in the database: read by anyone's sku, written one by one or many at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.sql import SQL, Placeholder

from regulars.kit.database import Repository
from regulars.kit.repository_search import WordRepository, anywhere
from regulars.orders.models import Product, ProductEntry

counted_exactly = 10_000
_columns = SQL("sku, name, brand, category, department, created_at, updated_at")
# Absent filters are folded away, because the statements are planned for their values.
_matches = SQL("""
    (%(brand)s::text IS NULL OR brand = %(brand)s) AND (%(category)s::text IS NULL OR category = %(category)s)
    AND (%(department)s::text IS NULL OR department = %(department)s)
""")
_contains = SQL(" AND search_text LIKE {}")
# Several writers meet in the order of the skus. What an entry does not say stays as it is known.
_upsert = """
    INSERT INTO products AS known (sku, name, brand, category, department, created_at, updated_at)
    SELECT sku, name, brand, category, department, %(now)s, %(now)s
    FROM unnest(%(sku)s::text[], %(name)s::text[], %(brand)s::text[], %(category)s::text[], %(department)s::text[])
        AS entry (sku, name, brand, category, department)
    ORDER BY sku
    ON CONFLICT (sku) DO UPDATE SET
        name = CASE WHEN 'name' = ANY (%(emptied)s) THEN NULL ELSE coalesce(excluded.name, known.name) END,
        brand = CASE WHEN 'brand' = ANY (%(emptied)s) THEN NULL ELSE coalesce(excluded.brand, known.brand) END,
        category = CASE WHEN 'category' = ANY (%(emptied)s) THEN NULL
            ELSE coalesce(excluded.category, known.category) END,
        department = CASE WHEN 'department' = ANY (%(emptied)s) THEN NULL
            ELSE coalesce(excluded.department, known.department) END,
        updated_at = excluded.updated_at
    WHERE 'name' = ANY (%(emptied)s) AND known.name IS NOT NULL
        OR 'brand' = ANY (%(emptied)s) AND known.brand IS NOT NULL
        OR 'category' = ANY (%(emptied)s) AND known.category IS NOT NULL
        OR 'department' = ANY (%(emptied)s) AND known.department IS NOT NULL
        OR excluded.name <> known.name OR excluded.name IS NOT NULL AND known.name IS NULL
        OR excluded.brand <> known.brand OR excluded.brand IS NOT NULL AND known.brand IS NULL
        OR excluded.category <> known.category OR excluded.category IS NOT NULL AND known.category IS NULL
        OR excluded.department <> known.department OR excluded.department IS NOT NULL AND known.department IS NULL
    RETURNING xmax = 0
"""


@dataclass(frozen=True)
class CatalogueChange:
    """What became of catalogue entries: how many are new, changed, or were known just so."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "CatalogueChange") -> "CatalogueChange":
        return CatalogueChange(
            self.created + other.created, self.updated + other.updated, self.unchanged + other.unchanged
        )


class ProductRepository(Repository):
    """Products on one connection."""

    async def get(self, sku: str) -> Product | None:
        """The product of this sku."""
        return await self._one(Product, SQL("SELECT {} FROM products WHERE sku = %s").format(_columns), [sku])

    async def upsert(
        self, entries: Sequence[ProductEntry], *, emptied: Collection[str] = (), now: datetime
    ) -> CatalogueChange:
        """Write entries, each of another sku.

        Args:
            entries: What is said; None leaves what is known.
            emptied: Fields that hold nothing from now on.
            now: When it happens.
        """
        columns = {name: [getattr(entry, name) for entry in entries] for name in ProductEntry.__dataclass_fields__}
        written = await self._rows(_upsert, {**columns, "emptied": list(emptied), "now": now})
        created = sum(is_new for (is_new,) in written)
        return CatalogueChange(created, len(written) - created, len(entries) - len(written))

    async def search(
        self,
        *,
        text: str | None = None,
        brand: str | None = None,
        category: str | None = None,
        department: str | None = None,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[Product], int]:
        """A page of the products that match, by sku, and how many match: counted up to 10,001, beyond estimated.

        Args:
            text: Words that all stand in the sku or the name; None for all products.
            brand: Exact, as are category and department.
            category: See there.
            department: See there.
            limit: How many at most.
            offset: How many to leave out at the start.
        """
        words = [] if text is None else await WordRepository(self._connection).words_of(text)
        if text is not None and not words:
            return [], 0
        patterns = {f"word_{position}": anywhere(word) for position, word in enumerate(words)}
        matches = _matches + SQL("").join(_contains.format(Placeholder(name)) for name in patterns)
        wanted = {"brand": brand, "category": category, "department": department, **patterns}
        parameters = {**wanted, "limit": limit, "offset": offset, "most": counted_exactly + 1}
        page = SQL("SELECT {} FROM products WHERE {} ORDER BY sku LIMIT %(limit)s OFFSET %(offset)s")
        count = SQL("SELECT count(*) FROM (SELECT FROM products WHERE {} LIMIT %(most)s) AS found")
        found = await self._all(Product, page.format(_columns, matches), parameters)
        total: int = await self._value(count.format(matches), parameters)
        if total <= counted_exactly:
            return found, total
        plan = await self._value(SQL("EXPLAIN (FORMAT JSON) SELECT FROM products WHERE {}").format(matches), wanted)
        return found, max(total, int(plan[0]["Plan"]["Plan Rows"]))
