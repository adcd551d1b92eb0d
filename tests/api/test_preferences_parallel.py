"""Preferences when many write at once, over connections that really commit."""

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


async def test_of_many_at_once_the_bound_and_the_key_hold(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        customer = await make_customer(connection, clock)
        token, _ = await sign_in(connection, settings, clock, role="admin")
    url = f"/api/v1/retail-customers/{customer.id}/preferences"
    kind = {"preference_type": "DELIVERY", "preference_value": 1}
    async with client_of(committing_app, token) as admin:
        for part in ("a", "b"):
            keys = [f"{part}{number}" for number in range(98)]
            many = {"preferences": [kind | {"preference_key": key} for key in keys]}
            await settled(admin, "POST", f"{url}/bulk", json=many)
        ones = (settled(admin, "POST", url, json=kind | {"preference_key": "one"}) for _ in range(10))
        assert Counter(answer.status_code for answer in await asyncio.gather(*ones)) == {201: 1, 409: 9}
        others = (settled(admin, "POST", url, json=kind | {"preference_key": f"x{n}"}) for n in range(10))
        assert Counter(answer.status_code for answer in await asyncio.gather(*others)) == {201: 3, 422: 7}
        assert len((await admin.get(url)).json()) == 200
