"""The one list of everything the API offers."""

from collections.abc import Sequence

from regulars.api import auth, clv, customers, health, loyalty, loyalty_bulk, loyalty_reports, orders, programme, rfm
from regulars.api.routing import Router

routers: Sequence[Router] = (
    auth.router,
    customers.router,
    programme.router,
    loyalty.router,
    loyalty_bulk.router,
    loyalty_reports.router,
    rfm.router,
    clv.router,
    orders.router,
    health.router,
)
