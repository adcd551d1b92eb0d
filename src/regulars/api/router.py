"""The one list of everything the API offers."""

from collections.abc import Sequence

from regulars.api import auth, clv, customers, health, orders, rfm
from regulars.api.routing import Router

routers: Sequence[Router] = (auth.router, customers.router, rfm.router, clv.router, orders.router, health.router)
