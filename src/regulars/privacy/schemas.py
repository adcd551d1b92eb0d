"""What callers send and read about exports and erasures."""

from typing import Annotated, Any, Literal

from pydantic import Field

from regulars.customers.schemas import CustomerNumberText
from regulars.kit.schemas import Id, Instant, RequestSchema, ResponseSchema
from regulars.privacy.models import Erasure

export_format = 1

own_erasure_fields = frozenset({"customer_number", "password"})
"""What customers may send who erase themselves."""


class DataExportRequest(RequestSchema):
    """Which data; all, if nothing is said."""

    sections: list[Annotated[str, Field(pattern=r"^[a-z_]{1,63}$")]] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        description="Names of sections, such as `customers`, `orders`, `loyalty_transactions`; absent or null: all.",
        examples=[["customers", "orders"]],
    )


class CustomerDataExport(ResponseSchema):
    """All that is stored about one person."""

    format: int = Field(description="Counts incompatible changes of this format.", examples=[export_format])
    customer_id: Id
    exported_at: Instant
    explanations: dict[str, dict[str, Any] | None] = Field(
        description="How the scores came about: `rfm` and `clv`, as the analytics endpoints tell it.",
        examples=[{"rfm": None, "clv": None}],
    )
    sections: dict[str, list[dict[str, Any]]] = Field(
        description="The rows of each table that are about the person, oldest first, by the table's name.",
        examples=[{"customers": [{"first_name": "John", "last_name": "Doe", "email": "john@example.com"}]}],
    )


class ErasureRequest(RequestSchema):
    """The word that it is meant: it cannot be undone."""

    customer_number: CustomerNumberText = Field(
        description="Of the customer in the path, so that nobody else is erased by mistake."
    )
    password: Annotated[str, Field(min_length=1, max_length=128, json_schema_extra={"format": "password"})] | None = (
        Field(default=None, description="Their own, from customers who erase themselves; nobody else sends one.")
    )
    reason: Literal["request", "other"] = "request"


class ErasureResponse(ResponseSchema):
    """What was erased."""

    customer_id: Id
    erased_at: Instant
    points_closed: int = Field(
        description="Points that were taken off the account; below zero where debt was forgiven."
    )
    rows: dict[str, int] = Field(
        description="Rows that were deleted or changed, by table.", examples=[{"customers": 1, "sessions": 2}]
    )
    proof: str = Field(description="Keyed hash of the customer number, in hexadecimal, as the erasure log keeps it.")

    @classmethod
    def of(cls, erasure: Erasure) -> "ErasureResponse":
        """The answer about an erasure of the log."""
        return cls(
            customer_id=erasure.customer_id,
            erased_at=erasure.erased_at,
            points_closed=erasure.points_closed,
            rows=erasure.rows,
            proof=erasure.proof.hex(),
        )
