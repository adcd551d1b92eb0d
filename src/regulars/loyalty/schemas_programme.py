"""The rules of the programme as callers read and change them."""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from regulars.kit.bounds import most_points, most_points_of_order, point_value_digits, rate_digits
from regulars.kit.schemas import Instant, RequestSchema, ResponseSchema, decimal_form
from regulars.loyalty.models import EarningBase, RefundPolicy
from regulars.loyalty.schemas import StoreDays


def _number(digits: int, decimals: int) -> BeforeValidator:
    form = re.compile(decimal_form(digits, decimals))

    def parse(value: object) -> object:
        if isinstance(value, str) and form.fullmatch(value):
            return Decimal(value)
        if isinstance(value, Decimal):
            return value
        expected = f'must be a number in a string such as "0.5": up to {digits} digits, and {decimals} decimals'
        raise PydanticCustomError("format", "{expected}", {"expected": expected})

    return BeforeValidator(parse)


PointsPerUnit: TypeAlias = Annotated[
    Decimal,
    _number(rate_digits, 4),
    WithJsonSchema({"type": "string", "pattern": f"^{decimal_form(rate_digits, 4)}$"}),
]
PointValue: TypeAlias = Annotated[
    Decimal,
    _number(point_value_digits, 6),
    WithJsonSchema({"type": "string", "pattern": f"^{decimal_form(point_value_digits, 6)}$"}),
]
Bonus: TypeAlias = Annotated[int, Field(ge=0, le=most_points)]
DebtFloor: TypeAlias = Annotated[int, Field(ge=-1_000_000_000, le=0)]
TierStart: TypeAlias = Annotated[int, Field(ge=1, le=most_points_of_order)]


class LoyaltyProgrammeUpdate(RequestSchema):
    """Settings of the programme to change; an absent one stays, null for `expiry_days` is never."""

    based_on: int = Field(ge=1, description="The version that the change was made from.")
    points_per_unit: PointsPerUnit = Decimal(1)
    earning_base: EarningBase = "with_tax"
    earns_on_shipping: bool = False
    expiry_days: StoreDays | None = None
    restore_grace_days: StoreDays = 30
    welcome_bonus_points: Bonus = 100
    point_value: PointValue = Decimal("0.01")
    refund_policy: RefundPolicy = "allow_debt"
    debt_floor: DebtFloor = -10_000_000
    silver_from: TierStart = 10_000
    gold_from: TierStart = 50_000
    platinum_from: TierStart = 100_000
    downgrades_at_once: bool = False


class LoyaltyProgrammeResponse(ResponseSchema):
    """The rules of the programme, of one version."""

    version: int = Field(description="Awards keep the version that they were given by.")
    points_per_unit: Decimal = Field(description="Points for one unit of the currency, rounded down.")
    earning_base: EarningBase
    earns_on_shipping: bool
    expiry_days: int | None = Field(description="Store days until earned points expire; null is never.")
    restore_grace_days: int
    welcome_bonus_points: int
    point_value: Decimal = Field(description="What one point is worth, in the currency of the installation.")
    refund_policy: RefundPolicy
    debt_floor: int
    silver_from: int
    gold_from: int
    platinum_from: int
    downgrades_at_once: bool
    created_by: UUID | None
    created_at: Instant
