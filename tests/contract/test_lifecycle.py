"""Over real HTTP, with the worker running: a customer's whole life, and the seed's usage examples as printed."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import httpx
import pytest

from tests.contract.conftest import Shop, people

Found = TypeVar("Found")


def soon(look: Callable[[], Found | None], what: str) -> Found:
    """What the worker brings about, within 30 seconds."""
    for _ in range(300):
        if (found := look()) is not None:
            return found
        time.sleep(0.1)
    pytest.fail(f"waited 30 s in vain: {what}")


def last_message(outbox: Path, suffix: str, to: str, pattern: str) -> str | None:
    for path in sorted(outbox.glob(f"*.{suffix}"), reverse=True):
        text = path.read_text()
        if to in text and (found := re.search(pattern, text.replace("=\n", ""))):
            return found[1]
    return None


@pytest.fixture
def staff(shop: Shop) -> Iterator[httpx.Client]:
    """The owner, signed in."""
    with httpx.Client(base_url=shop.url, timeout=30, headers=shop.headers()) as client:
        yield client


@pytest.fixture
def mia(shop: Shop) -> Iterator[httpx.Client]:
    """A customer, who is about to register."""
    with httpx.Client(base_url=shop.url, timeout=30) as client:
        yield client


def test_a_customers_whole_life(shop: Shop, staff: httpx.Client, mia: httpx.Client) -> None:  # noqa: PLR0915 - it is long
    outbox = shop.data_dir / "outbox"

    def sent(answer: httpx.Response, status: int = 200) -> dict[str, object]:
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    # The programme is the shop's own: tiers within reach of one order.
    programme = sent(staff.get(f"{people}/loyalty/programme"))
    changed = {"based_on": programme["version"], "silver_from": 500, "gold_from": 5_000, "platinum_from": 50_000}
    sent(staff.put(f"{people}/loyalty/programme", json=changed))

    email, phone = f"mia.{uuid4().hex[:8]}@example.com", f"+4930{uuid4().int % 10**7:07}"
    person = {"first_name": "Mia", "last_name": "Roe", "email": email, "phone": phone, "password": "SecurePass123"}
    registered = sent(mia.post(f"{people}/register", json=person), 201)
    own = f"{people}/{registered['id']}"
    number = str(registered["customer_number"])
    assert re.fullmatch(r"CUST-\d{8}-\d{4,6}", number)

    token = soon(
        lambda: last_message(outbox, "eml", email, r"(?:token=|Token: )([\w-]{20,})"), "the mail with the link"
    )
    sent(mia.post(f"{own}/verify-email", json={"token": token}))
    login = {"grant_type": "password", "username": email, "password": "SecurePass123"}
    mia.headers["Authorization"] = f"Bearer {sent(mia.post('/api/v1/auth/token', data=login))['access_token']}"
    sent(mia.post(f"{own}/verify-phone/send"), 202)
    code = soon(lambda: last_message(outbox, "json", phone, r"code is (\d{6})"), "the text message with the code")
    assert sent(mia.post(f"{own}/verify-phone", json={"code": code}))["is_phone_verified"] is True

    def balance() -> dict[str, object]:
        return sent(mia.get(f"{own}/loyalty/balance"))

    assert (balance()["spendable"], balance()["tier"]) == (100, "bronze")

    def order(external_id: str, total: str, days_ago: int) -> dict[str, object]:
        ordered_at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"external_id": external_id, "source": "life", "customer_number": number, "ordered_at": ordered_at}
        return sent(staff.post("/api/v1/orders", json={**body, "total": total}), 201)

    order("L-1", "120.00", 40)
    big = order("L-2", "480.00", 5)
    assert (balance()["spendable"], balance()["tier"]) == (700, "silver")
    sent(
        mia.post(
            f"{people}/loyalty/redeem", json={"customer_id": registered["id"], "points": 50, "description": "Mug"}
        ),
        201,
    )
    assert balance()["spendable"] == 650

    scored = sent(staff.post(f"{people}/analytics/rfm/calculate", json={"recalculate": True}))
    assert scored["coverage"] == "full"
    assert sent(staff.get(f"{own}/analytics/rfm"))["frequency"] == 2
    sent(staff.post(f"{people}/analytics/clv/calculate", json={"recalculate": True}))
    value = sent(staff.get(f"{own}/analytics/clv"))
    assert float(str(value["clv"])) > 0
    assert value["historic_value"] == "600.00"
    assert sent(staff.get(f"{own}/analytics/summary"))["purchases"]["net"] == "600.00"  # type: ignore[index]
    expiring = sent(mia.get(f"{own}/loyalty/expiring?days=365"))
    assert expiring["points"] == 650

    refund = {"refund_id": "R-1", "amount": "480.00"}
    sent(staff.post(f"/api/v1/orders/{big['id']}/refunds", json=refund), 201)
    assert balance()["spendable"] == 170
    assert sent(staff.get(f"{own}/purchase-history"))["net"] == "120.00"

    consents = sent(mia.post(f"{own}/consents", json={"channel": "email", "action": "granted"}))
    assert consents["email_marketing_consent"] is True
    assert sent(mia.get(own))["email_marketing_consent"] is True

    export = mia.post(f"{own}/export", headers={"Prefer": "respond-async"})
    job = sent(export, 202)
    done = soon(
        lambda: found if (found := sent(mia.get(f"/api/v1/jobs/{job['id']}")))["state"] == "succeeded" else None,
        "the export",
    )
    assert mia.get(str(done["result_url"])).status_code == 200

    erased = sent(mia.post(f"{own}/erase", json={"customer_number": number, "password": "SecurePass123"}))
    assert erased["points_closed"] == 170
    assert mia.get(own).status_code in {
        401,
        404,
    }  # the token may be remembered for five seconds; there is nothing to see
    gone = staff.get(own)
    assert (gone.status_code, gone.json()["type"]) == (410, "/problems/customer-erased")
    audit = sent(staff.get(f"{people}/loyalty/audit?scope=all"))
    assert audit["violations"] == 0


def test_the_usage_examples_of_the_seed_answer_as_documented(staff: httpx.Client) -> None:
    john = {
        "first_name": "John",
        "last_name": "Doe",
        "email": "john@example.com",
        "phone": "+919876543210",
        "password": "SecurePass123",
        "city": "Mumbai",
        "email_marketing_consent": True,
    }
    registered = staff.post(
        f"{people}/register", content=json.dumps(john), headers={"Content-Type": "application/json"}
    )
    if registered.status_code == 409:  # requests made from the document use the same example
        found = staff.post(f"{people}/search", json={"email": "john@example.com"}).json()["items"]
        customer_id = found[0]["id"]
    else:
        assert registered.status_code == 201, registered.text
        customer_id = registered.json()["id"]
    earn = {
        "customer_id": customer_id,
        "points": 200,
        "description": "Purchase reward",
        "order_id": str(uuid4()),
        "expiry_days": 365,
    }
    earned = staff.post(f"{people}/loyalty/earn", json=earn)
    assert (earned.status_code, earned.json()["points"]) == (201, 200)
    scored = staff.post(f"{people}/analytics/rfm/calculate", json={"customer_ids": None, "recalculate": False})
    assert scored.status_code == 200
    analysis = staff.get(f"{people}/analytics/clv/analysis?limit=100")
    assert analysis.status_code == 200
    assert len(analysis.json()["top_customers"]) <= 100
