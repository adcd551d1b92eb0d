"""Consents when many speak at once, over connections that really commit."""

import asyncio
import random
from itertools import pairwise

from fastapi import FastAPI

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.settings import Settings
from regulars.privacy.consents_unsubscribe import UnsubscribeTokens
from regulars.privacy.models_consents import ConsentChannel
from tests.api.conftest import client_of
from tests.api.patience import settled
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer


async def test_grants_and_withdrawals_by_all_ways_follow_one_another(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        customer = await make_customer(connection, clock)
        token, _ = await sign_in(connection, settings, clock, role="admin")
    profile, link = f"/api/v1/retail-customers/{customer.id}", "/api/v1/unsubscribe/"
    link += UnsubscribeTokens.from_settings(settings).write(customer.id, ConsentChannel.EMAIL)
    ways: list[tuple[str, str, object]] = [
        ("POST", f"{profile}/consents", {"channel": "email", "action": "granted"}),
        ("POST", f"{profile}/consents", {"channel": "email", "action": "withdrawn"}),
        ("PUT", profile, {"email_marketing_consent": True}),
        ("PUT", profile, {"email_marketing_consent": False}),
        ("POST", link, None),
    ]
    calls = ways * 8
    random.Random(1).shuffle(calls)  # noqa: S311 - the same order in every run
    async with client_of(committing_app, token) as admin:
        asked = (settled(admin, method, url, json=body) for method, url, body in calls)
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
        shown = (await admin.get(f"{profile}/consents?limit=100")).json()
    actions = [event["action"] for event in shown["history"]["items"]]
    assert all(one != next_one for one, next_one in pairwise(actions))
    assert shown["email_marketing_consent"] == (actions[0] == "granted")
