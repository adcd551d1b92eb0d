"""The one list of everything the API offers."""

from collections.abc import Sequence

from regulars.api import (
    auth,
    bulk,
    clients,
    clv,
    consents,
    customers,
    engagement,
    health,
    jobs,
    loyalty,
    loyalty_bulk,
    loyalty_reports,
    metrics,
    orders,
    preferences,
    products,
    programme,
    registration,
    reports,
    rfm,
    users,
    verifications,
)
from regulars.api.routing import Router

routers: Sequence[Router] = (
    auth.router,
    users.router,
    clients.router,
    registration.router,
    customers.router,
    verifications.router,
    bulk.router,
    programme.router,
    loyalty.router,
    loyalty_bulk.router,
    loyalty_reports.router,
    reports.router,
    engagement.router,
    preferences.router,
    consents.router,
    rfm.router,
    clv.router,
    orders.router,
    jobs.router,
    products.router,
    health.router,
    metrics.router,
)
