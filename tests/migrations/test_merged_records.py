"""What becomes of contacts, logins and consents that were stored before contacts had to be proved."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
from alembic import command

from regulars.migrations import _config, migrate

at = "2026-06-01T10:00:00Z"
registered = "register_customer"


class Shop:
    """A database of before, filled by hand."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._count = 0

    def customer(self, name: str, *, audited: str = registered, login: str | None = None, **columns: Any) -> UUID:
        """A customer with an address and a number that identify it."""
        self._count += 1
        fields: dict[str, Any] = {
            "id": uuid4(), "customer_number": f"CUST-20260601-{self._count:04}", "email": f"{name}@example.com",
            "phone": f"+49301234{self._count:04}", "created_at": at, "updated_at": at, **columns,
        }  # fmt: skip
        if login:
            fields["user_id"] = uuid4()
            self._insert("users", id=fields["user_id"], email=login, password_hash="x", role="customer",
                customer_id=fields["id"], created_at=at, updated_at=at)  # fmt: skip
        self._insert("customers", **fields)
        for kind in ("email", "phone"):
            self.identifier(fields["id"], kind, fields[kind])
        self.audit(fields["id"], audited)
        customer_id: UUID = fields["id"]
        return customer_id

    def identifier(self, customer_id: UUID, kind: str, value: str) -> None:
        self._insert("customer_identifiers", kind=kind, value=value, customer_id=customer_id, created_at=at)

    def audit(self, customer_id: UUID, action: str, actor: UUID | None = None, fields: list[str] | None = None) -> None:
        self._insert("audit_log", occurred_at=at, actor_kind="user" if actor else "system", actor_id=actor,
            action=action, object_kind="customer", object_id=customer_id, fields=fields or [])  # fmt: skip

    def order(self, customer_id: UUID) -> None:
        self._insert("orders", customer_id=customer_id, source="till", external_id=str(customer_id), status="paid",
            currency="EUR", ordered_at=at, ordered_on=at[:10], total=10, content_hash=b"", created_at=at,
            updated_at=at)  # fmt: skip

    def identified(self, customer_id: UUID) -> set[str]:
        rows = self._connection.execute(
            "SELECT kind FROM customer_identifiers WHERE customer_id = %s AND kind IN ('email', 'phone')", [customer_id]
        )
        return {kind for (kind,) in rows}

    def _insert(self, table: str, **columns: Any) -> None:
        names, places = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})".encode(), columns)


def test_what_people_only_typed_identifies_them_no_more_where_that_is_safe(own_database_url: str) -> None:
    command.downgrade(_config(own_database_url), "0028")
    with psycopg.connect(own_database_url) as connection:
        shop = Shop(connection)
        typed = shop.customer("typed", login="typed@example.com", email_marketing_consent=True,
            sms_marketing_consent=True, push_notification_consent=True)  # fmt: skip
        half = shop.customer("half", login="half@example.com", is_phone_verified=True, sms_marketing_consent=True)
        bought = shop.customer("bought", login="bought@example.com", email_marketing_consent=True)
        shop.order(bought)
        by_staff = shop.customer("by-staff", audited="create_customer")
        mended = shop.customer("mended", login="mended@example.com")
        shop.audit(mended, "update_customer", actor=uuid4(), fields=["email"])
        listed = shop.customer("listed", login="listed@example.com")
        shop.identifier(listed, "ext:erp", "17")
        guest = shop.customer("guest", is_guest=True)
    migrate(own_database_url)
    with psycopg.connect(own_database_url) as connection:
        shop = Shop(connection)
        assert {name: shop.identified(id_) for name, id_ in {
            "typed": typed, "half": half, "bought": bought, "by staff": by_staff, "mended": mended, "listed": listed,
            "guest": guest,
        }.items()} == {
            "typed": set(), "half": {"phone"}, "bought": {"email", "phone"}, "by staff": {"email", "phone"},
            "mended": {"email"}, "listed": {"email", "phone"}, "guest": {"email", "phone"},
        }  # fmt: skip
        flags = connection.execute(
            "SELECT id, email_marketing_consent, sms_marketing_consent, push_notification_consent FROM customers"
            " WHERE id = ANY(%s)",
            [[typed, half, bought]],
        ).fetchall()
        assert {row[0]: row[1:] for row in flags} == {
            typed: (False, False, True), half: (False, True, False), bought: (True, False, False)
        }  # fmt: skip


def test_a_login_that_stayed_behind_follows_the_proved_address_where_it_is_free(own_database_url: str) -> None:
    command.downgrade(_config(own_database_url), "0028")
    with psycopg.connect(own_database_url) as connection:
        shop = Shop(connection)
        moved = shop.customer("new", login="old@example.com", is_email_verified=True)
        unproved = shop.customer("unproved", login="still@example.com")
        blocked = shop.customer("taken", login="mine@example.com", is_email_verified=True)
        shop.customer("other", login="taken@example.com")
        owner = connection.execute("SELECT user_id FROM customers WHERE id = %s", [moved]).fetchone()
        connection.execute(
            "INSERT INTO verifications (kind, subject_id, address, created_at, expires_at)"
            " VALUES ('password_reset', %s, 'old@example.com', now(), now())",
            owner,
        )
    migrate(own_database_url)
    with psycopg.connect(own_database_url) as connection:
        logins = dict(
            connection.execute(
                "SELECT customer_id, email FROM users WHERE customer_id = ANY(%s)", [[moved, unproved, blocked]]
            ).fetchall()
        )
        assert logins == {moved: "new@example.com", unproved: "still@example.com", blocked: "mine@example.com"}
        assert connection.execute("SELECT count(*) FROM verifications").fetchone() == (0,)
