"""Which orders a list shows."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from regulars.kit.schemas import Day, Id, Limit, Money, Offset, QuerySchema, Source, Text
from regulars.orders.models import OrderStatus

OrderSortKey: TypeAlias = Literal["created_at", "-created_at", "ordered_at", "-ordered_at"]


class OrderSearchFilters(QuerySchema):
    """Which orders: all filters must hold; of a list, one value is enough. Ranges include both ends."""

    customer_id: Id | None = None
    source: Source | None = None
    external_id: Annotated[str, Text(200)] | None = None
    status: Annotated[list[OrderStatus], Field(max_length=50)] = []
    channel: Annotated[str, Text(100)] | None = None
    ordered_from: Day | None = Field(default=None, description="Store day.")
    ordered_to: Day | None = None
    total_min: Money | None = None
    total_max: Money | None = None
    has_refunds: bool | None = None
    sort: OrderSortKey = Field(default="-created_at", description="`-` for descending; ties by id.")
    limit: Limit = 50
    offset: Offset = 0

    @field_validator("ordered_to", "total_max")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a day or an amount
        start = {"ordered_to": "ordered_from", "total_max": "total_min"}[info.field_name or ""]
        least = info.data.get(start)
        if value is not None and least is not None and value < least:
            raise PydanticCustomError("range", "{expected}", {"expected": f"must not be below {start}"})
        return value
