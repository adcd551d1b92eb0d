"""Reports about mails when many senders are at work, over connections that really commit."""

import asyncio
from collections import Counter

from fastapi import FastAPI

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.settings import Settings
from tests.api.conftest import client_of
from tests.api.patience import settled
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer

url = "/api/v1/engagement/events"


async def test_each_report_counts_once_however_many_bring_it(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        people = [(await make_customer(connection, clock)).id for _ in range(3)]
        token, _ = await sign_in(connection, settings, clock, role="service")
    reports = [
        {
            "event_id": f"{kind}-{mail}", "message_id": f"m{mail}", "kind": kind,
            "occurred_at": "2026-06-15T09:00:00Z", "customer_id": str(id_),
        }
        for mail in range(5) for kind in ("opened", "delivered", "sent") for id_ in people
    ]  # fmt: skip
    async with client_of(committing_app, token) as sender:
        orders = [reports, reports[::-1], reports[20:] + reports[:20]] * 4
        asked = (settled(sender, "POST", url, json={"events": order}) for order in orders)
        items = [item for answer in await asyncio.gather(*asked) for item in answer.json()["items"]]
    outcomes = Counter(item["outcome"] for item in items)
    assert outcomes == {"recorded": 45, "unchanged": 45 * 11}
    async with connect(own_database_url) as connection:
        cursor = await connection.execute(
            "SELECT DISTINCT mails_sent, mails_delivered, mails_opened, mails_clicked FROM customer_engagement"
        )
        assert await cursor.fetchall() == [(5, 5, 5, 0)]
