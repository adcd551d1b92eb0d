"""The one list of everything the API offers."""

from collections.abc import Sequence

from regulars.api import (
    auth,
    bulk,
    clients,
    clv,
    consents,
    customer_analytics,
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
    privacy,
    products,
    programme,
    registration,
    reports,
    rfm,
    users,
    verifications,
)
from regulars.api.routing import Router

# Routes are tried one after the other: first what tills and shops call at every sale.
routers: Sequence[Router] = (
    loyalty.router,
    orders.router,
    auth.router,
    users.router,
    clients.router,
    registration.router,
    customers.router,
    verifications.router,
    bulk.router,
    programme.router,
    loyalty_bulk.router,
    loyalty_reports.router,
    reports.router,
    engagement.router,
    preferences.router,
    consents.router,
    rfm.router,
    clv.router,
    customer_analytics.router,
    privacy.router,
    jobs.router,
    products.router,
    health.router,
    metrics.router,
)
