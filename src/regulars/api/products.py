"""Products: a minimal catalogue, so that order lines say more than a number."""

from typing import Annotated

from fastapi import Depends, Path, Query

from regulars.api.access import requires
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.routing import Router
from regulars.kit.schemas import Page
from regulars.kit.security import Principal
from regulars.orders.products import ProductService
from regulars.orders.schemas_products import ProductResponse, ProductSearchFilters, ProductUpsert, Sku

router = Router(prefix="/api/v1/products", tags=["Orders"])

MayRead = Annotated[Principal, requires("catalog:read")]
MayWrite = Annotated[Principal, requires("catalog:write")]
SkuInPath = Annotated[Sku, Path(description="As the lines of orders name the product.")]


async def product_service(connection: TransactionDep, clock: ClockDep) -> ProductService:
    """The catalogue in the request's transaction."""
    return ProductService(connection, clock)


ProductsDep = Annotated[ProductService, Depends(product_service)]


@router.get("", operation_id="list_products", summary="Find products")
async def list_products(
    filters: Annotated[ProductSearchFilters, Query()],
    products: ProductsDep,
    caller: MayRead,  # noqa: ARG001
) -> Page[ProductResponse]:
    """By sku; all filters must hold."""
    return await products.list_products(filters)


@router.put("/{sku}", operation_id="upsert_product", summary="Add or change a product")
async def upsert_product(
    sku: SkuInPath,
    product: ProductUpsert,
    products: ProductsDep,
    caller: MayWrite,  # noqa: ARG001
) -> ProductResponse:
    """What is left out stays. Orders that named the sku before have a product now."""
    return ProductResponse.model_validate(await products.upsert_product(sku, product))


@router.get("/{sku}", operation_id="get_product", summary="Read a product")
async def get_product(sku: SkuInPath, products: ProductsDep, caller: MayRead) -> ProductResponse:  # noqa: ARG001
    """An order may have named a sku that the catalogue lacks."""
    return ProductResponse.model_validate(await products.get_product(sku))
