import pytest
from psycopg import IntegrityError

from regulars.accounts.enrolment import Enrolment
from regulars.customers.errors import EmailTaken
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.validation import Validation
from tests.factories.accounts import make_user, password_hash


async def test_an_address_signs_in_one_person_in_whatever_spelling(connection: Connection, clock: Clock) -> None:
    user = await make_user(connection, clock, email=" Ann@Bücher.example ")
    assert user.email == "ann@xn--bcher-kva.example"
    with pytest.raises(EmailTaken):
        await make_user(connection, clock, email="ANN@xn--bcher-kva.example")


async def test_what_is_no_address_is_no_login(connection: Connection, clock: Clock) -> None:
    with pytest.raises(Validation) as refusal:
        await make_user(connection, clock, email="ann")
    assert "ann" not in str(refusal.value.facts["errors"]).replace("name@example.com", "")


async def test_customers_have_a_record_and_others_have_none(connection: Connection, clock: Clock) -> None:
    with pytest.raises(IntegrityError):
        await Enrolment(connection, clock).create_user("a@example.com", password_hash, role="customer")
