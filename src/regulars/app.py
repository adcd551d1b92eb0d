"""The application: settings and a database become something that answers HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from regulars import __version__
from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHashing
from regulars.accounts.service import AccountsService
from regulars.accounts.users import UserService
from regulars.api import problems
from regulars.api.awards import Awards
from regulars.api.edge import Edge
from regulars.api.health import Shutdown
from regulars.api.limits import InFlight, Limits
from regulars.api.open_connections import OpenConnections, most_connections
from regulars.api.rates import CallerRates
from regulars.api.router import routers
from regulars.api.routing import Route, RouteWithoutPolicy
from regulars.flows.register_customer import RegistrationFlow
from regulars.kit.clock import Clock
from regulars.kit.database import Database, Transactions
from regulars.kit.errors import OperatorError
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.measures import RequestMeasures
from regulars.kit.settings import Settings, load_settings


def create_app(
    settings: Settings | None = None,
    *,
    database: Transactions | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """Put the application together. Whatever is not given comes from the settings.

    Args:
        settings: By default read from the environment.
        database: An open database; by default the one of the settings, opened when the server starts.
        clock: By default that of the shop.
        limits: What one request may ask for.

    Raises:
        OperatorError: a setting is missing or cannot be used.
        RouteWithoutPolicy: a route does not say who may call it.
    """
    settings, limits = settings or load_settings(), limits or Limits()
    app = FastAPI(
        title="regulars",
        version=__version__,
        lifespan=_lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.limits = settings, limits
    app.state.clock = clock or settings.clock
    app.state.hashes = KeyedHashes.from_settings(settings)
    app.state.trusted_proxies = [ip_network(proxy) for proxy in settings.trusted_proxies]
    app.state.shutdown, app.state.reference_page, app.state.contract = Shutdown(), None, None
    app.state.database = database or _database_of(settings)
    parts = (app.state.database, settings, app.state.clock, PasswordHashing())
    app.state.accounts, app.state.passwords = AccountsService(*parts), PasswordService(*parts)
    app.state.users = UserService(*parts)
    app.state.registrations = RegistrationFlow(*parts)
    app.state.awards = Awards(app.state.database, settings, app.state.clock)
    for router in routers:
        app.include_router(router)
    _require_policies(app)
    problems.install(app)
    app.state.in_flight, app.state.measures = InFlight(limits.in_flight), RequestMeasures()
    app.state.caller_rates = CallerRates(settings)
    app.state.connections = OpenConnections(
        most_waiting=settings.waiting_connections_per_address,
        most=most_connections(),
        trusted=app.state.trusted_proxies,
    )
    app.add_middleware(
        Edge,
        limits=limits,
        allowed_hosts=settings.allowed_hosts,
        measures=app.state.measures,
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not isinstance(app.state.database, Database):
        yield
        return
    async with app.state.database:
        yield


def _database_of(settings: Settings) -> Database:
    if settings.database_url is None:
        raise OperatorError(
            "No database is given to the server.", "Set REGULARS_DATABASE_URL, or start with `regulars serve`."
        )
    return Database(settings.database_url, size=8, statement_seconds=5, lock_seconds=2, stuck_seconds=0.075)


def _require_policies(app: FastAPI) -> None:
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, Route):
            message = f"{route.path} is not a route of ours and carries no policy"
            raise RouteWithoutPolicy(message)
