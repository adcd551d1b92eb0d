"""What callers send and read about products."""

from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field

from regulars.kit.schemas import Instant, Limit, Offset, QuerySchema, RequestSchema, ResponseSchema, Text, unchanged

Sku: TypeAlias = Annotated[str, Text(200)]
"""What identifies a product: as the lines of orders name it."""

ProductText: TypeAlias = Annotated[str, Text(200)]


class ProductUpsert(RequestSchema):
    """What is known of a product; what is left out stays, null empties it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Olive soap", "brand": "Marius", "category": "Soap"}]}
    )

    name: ProductText | None = unchanged()
    brand: ProductText | None = unchanged()
    category: ProductText | None = unchanged()
    department: ProductText | None = unchanged("What categories belong to.")


class ProductImport(ProductUpsert):
    """A row of a file of products; an empty value is left out."""

    sku: Sku


class ProductResponse(ResponseSchema):
    """An entry of the catalogue."""

    sku: str
    name: str | None
    brand: str | None
    category: str | None
    department: str | None
    created_at: Instant
    updated_at: Instant


class ProductSearchFilters(QuerySchema):
    """Which products to list, by sku. All filters must hold."""

    q: Annotated[str, Text(100)] | None = Field(
        default=None,
        description="Parts of sku or name, in any order; all of them must be found. Case and accents do not matter.",
    )
    brand: ProductText | None = Field(default=None, description="Exact.")
    category: ProductText | None = Field(default=None, description="Exact.")
    department: ProductText | None = Field(default=None, description="Exact.")
    limit: Limit = 50
    offset: Offset = 0
