"""Whoever may not see a person gets nothing that identifies one."""

from collections.abc import Callable
from datetime import date
from uuid import uuid4

import pytest

from regulars.customers.masking import mask_email, mask_name, mask_phone
from regulars.customers.schemas import RetailCustomerListResponse, RetailCustomerResponse
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer

canary = "Qz7"


@pytest.mark.parametrize(
    ("mask", "value", "masked"),
    [
        (mask_name, "John", "J."),
        (mask_name, "Ö", "Ö."),
        (mask_email, "john@example.com", "j***@***"),
        (mask_phone, "+919876543210", "***10"),
    ],
)
def test_masks_keep_what_tells_records_apart(mask: Callable[[str | None], str | None], value: str, masked: str) -> None:
    assert mask(value) == masked
    assert mask(None) is None


@pytest.mark.parametrize("schema", [RetailCustomerResponse, RetailCustomerListResponse])
async def test_no_identifying_value_gets_through(
    connection: Connection, clock: Clock, schema: type[RetailCustomerListResponse]
) -> None:
    identifying = {
        "first_name": f"J{canary}",
        "last_name": f"D{canary}",
        "email": f"x{canary}@{canary}.example",
        "phone": "+4930123456",
        "date_of_birth": date(1977, 7, 17),
        "address_line1": canary,
        "address_line2": canary,
        "postal_code": canary,
        "notes": canary,
        "referrer_customer_id": uuid4(),
    }
    ann = await make_customer(connection, clock, city="Berlin", **identifying)
    settings = Settings(_env_file=None)
    text = schema.of(ann, settings, masked=True).model_dump_json()
    for value in (canary, "30123", "1977-07-17", str(identifying["referrer_customer_id"])):
        assert value.lower() not in text.lower()
    assert '"masked":true' in text
    assert "Berlin" in text
    shown = schema.of(ann, settings, masked=False).model_dump()
    assert {name: shown[name] for name in identifying.keys() & shown.keys()} == {
        name: value for name, value in identifying.items() if name in shown
    }
    assert shown["masked"] is False


async def test_the_login_of_a_masked_person_stays_hidden(connection: Connection, clock: Clock) -> None:
    ann = await make_customer(connection, clock, user_id=uuid4())
    settings = Settings(_env_file=None)
    assert RetailCustomerResponse.of(ann, settings, masked=True).user_id is None
    assert RetailCustomerResponse.of(ann, settings, masked=False).user_id == ann.user_id
