"""The catalogue: little more than what makes sense of order lines."""

from collections.abc import Sequence

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Page
from regulars.orders.models import Product, ProductEntry
from regulars.orders.repository_products import CatalogueChange, ProductRepository, counted_exactly
from regulars.orders.schemas_products import ProductResponse, ProductSearchFilters, ProductUpsert


class ProductService:
    """Reads and writes products. An order may name one that the catalogue lacks."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._products = ProductRepository(connection)

    async def upsert_product(self, sku: str, change: ProductUpsert) -> Product:
        """Add a product, or change what is said about it; what the change leaves out stays."""
        sent = change.model_dump(exclude_unset=True)
        emptied = [name for name, value in sent.items() if value is None]
        await self._products.upsert([ProductEntry(sku, **sent)], emptied=emptied, now=self._clock.now())
        return await self.get_product(sku)

    async def upsert_products(self, entries: Sequence[ProductEntry]) -> CatalogueChange:
        """Add or change many products in one statement; of several entries for one sku the last one counts.

        What an entry does not say stays as it is known. Writing the same again changes nothing.
        """
        latest = {entry.sku: entry for entry in entries}
        change = await self._products.upsert(list(latest.values()), now=self._clock.now())
        return change + CatalogueChange(unchanged=len(entries) - len(latest))

    async def get_product(self, sku: str) -> Product:
        """The product of this sku.

        Raises:
            NotFound: the catalogue has none.
        """
        product = await self._products.get(sku)
        if product is None:
            raise NotFound
        return product

    async def list_products(self, filters: ProductSearchFilters) -> Page[ProductResponse]:
        """A page of the products that match, by sku."""
        found, total = await self._products.search(
            text=filters.q,
            brand=filters.brand,
            category=filters.category,
            department=filters.department,
            limit=filters.limit,
            offset=filters.offset,
        )
        return Page[ProductResponse](
            items=[ProductResponse.model_validate(product) for product in found],
            total=total,
            total_is_estimate=total > counted_exactly,
            limit=filters.limit,
            offset=filters.offset,
        )
