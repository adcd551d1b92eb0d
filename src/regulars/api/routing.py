"""Routes that check in one order: rate, caller, headers, body, values, and only then the endpoint.

The framework would read the body before it asks who sends it, and would stop at the first kind of fault. A `Route`
asks first, and lists all faults together.
"""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute

from regulars.api.access import Policy, Requires, policy_of
from regulars.api.bodies import check_accept, check_body_headers, has_body, replay, within_limits
from regulars.api.client_address import client_address
from regulars.api.faults import faults_of
from regulars.api.forms import form_faults
from regulars.api.idempotency import RefusedUnderKey, keep_refusal
from regulars.api.limits import InFlight, Limits, Place, probes
from regulars.api.parameters import parameter_faults, query_parameters
from regulars.api.rates import CallerRates
from regulars.api.strict_json import parse_json, unreadable_places
from regulars.kit.deadline import deadline
from regulars.kit.errors import Refusal, TooManyRequests
from regulars.kit.ratelimit import RateLimit, RateLimiter
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import FieldError, messages, pointer_to, refusal_of, unreadable

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

api_prefix = "/api/v1"
json_type, form_type = "application/json", "application/x-www-form-urlencoded"


class RouteWithoutPolicy(Exception):  # noqa: N818 - stops the start-up, nobody answers it
    """A route does not say who may call it."""


@dataclass(frozen=True)
class Traits:
    """What a route says about itself beyond what the framework knows.

    Attributes:
        refusals: Domain refusals that the operation may answer with; documented beside the general ones.
        consumes: Content types it takes; by default JSON, or a form, if the endpoint declares a body.
        produces: Content types it can send.
        body_limit: Its own limit of the body, by a setting; by default that of all requests.
        streams: The endpoint reads the body itself, piece by piece, and gives back `request.state.place` meanwhile.
        long_work: It is about many customers and may take longer than other operations: each statement has its time
            limit, the whole has none.
        rate: How often one client address may call it.
        members: Members that every problem of this operation carries, unless the refusal brings its own.
        members_if_unavailable: The same where nothing is wrong with the request, but it cannot be answered now.
        own_fields: All that a customer may send who is let in for the own record; other fields are unknown then.
    """

    refusals: Sequence[type[Refusal]] = ()
    consumes: Sequence[str] = ()
    produces: Sequence[str] = (json_type,)
    body_limit: Callable[[Settings], int] | None = None
    streams: bool = False
    long_work: bool = False
    rate: Callable[[Settings], RateLimit] | None = None
    members: tuple[tuple[str, str], ...] = ()
    members_if_unavailable: tuple[tuple[str, str], ...] = ()
    own_fields: frozenset[str] | None = None


class JsonRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:  # noqa: ANN401 - any JSON value
        super().__init__(request.scope, replay(body, request.receive))
        self._parsed = value

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value that our own parser read."""
        return self._parsed


class Route(APIRoute):
    """A route that keeps the order of checks. It must carry a policy."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        traits: Traits | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.traits = traits or Traits()
        super().__init__(path, endpoint, **options)

    @property
    def policy(self) -> Policy:
        """Who may call it.

        Raises:
            RouteWithoutPolicy: the route does not say.
        """
        policy = policy_of(self.dependant)
        if policy is None:
            message = f"{sorted(self.methods or ())} {self.path} needs requires(...) or public"
            raise RouteWithoutPolicy(message)
        return policy

    @property
    def consumes(self) -> Sequence[str]:
        """Content types it takes; none if it takes no body."""
        if self.traits.consumes or self.body_field is None:
            return self.traits.consumes
        return (form_type,) if isinstance(self.body_field.field_info, Form) else (json_type,)

    def get_route_handler(self) -> Handler:
        """The framework's handler with our checks before it."""
        handle, policy, known = super().get_route_handler(), self.policy, query_parameters(self.dependant)

        async def checked(request: Request) -> Response:
            try:
                with self._place(request) as place:
                    await self._admit_rate(request)
                    await policy.admit(request)
                    self._admit_caller(request)
                    check_accept(request.headers, self.traits.produces if self.status_code != 204 else ())
                    place.give_back()
                    request, faults = await self._read(request)
                    place.take()
                    faults += await self._fields_beyond_own(request)
                    faults += parameter_faults(request, known)
                    if faults:
                        raise refusal_of(faults + await self._value_faults(request, faults))
                    async with deadline(self._seconds(request)), AsyncExitStack() as request.state.at_end:
                        return await handle(request)
            except RefusedUnderKey as refused:
                return await keep_refusal(request, refused)
            except RequestValidationError as error:
                raise self.with_members(refusal_of(faults_of(error.errors()))) from error
            except Refusal as refusal:
                self.with_members(refusal)
                raise

        return checked

    def _place(self, request: Request) -> Place:
        """The place of a request; probes are answered when all others are taken, and have each one of their own."""
        in_flight: InFlight = InFlight(1) if self.path in probes else request.app.state.in_flight
        place: Place = in_flight.place()
        request.state.place = place
        return place

    async def _admit_rate(self, request: Request) -> None:
        """Count the request for its client address before anything is read; it stays counted whatever it comes to."""
        if self.traits.rate is None:
            return
        state = request.app.state
        subject = client_address(request.scope, state.trusted_proxies)
        async with state.database.transaction() as connection:
            limiter = RateLimiter(connection, state.hashes, state.clock)
            await limiter.take(self.traits.rate(state.settings), subject)

    def _admit_caller(self, request: Request) -> None:
        """Count the request for whoever sends it, if that is known."""
        caller: Principal | None = getattr(request.state, "principal", None)
        if caller is not None:
            rates: CallerRates = request.app.state.caller_rates
            rates.take(caller, is_long=self.traits.long_work or self.traits.streams)

    def _seconds(self, request: Request) -> float | None:
        limits: Limits = request.app.state.limits
        return None if self.traits.streams or self.traits.long_work else limits.handler_seconds

    def with_members(self, refusal: Refusal) -> Refusal:
        """The refusal with the members that every problem of this operation carries."""
        is_unavailable = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(refusal, TooManyRequests)
        members = self.traits.members_if_unavailable if is_unavailable else self.traits.members
        refusal.facts = {**dict(members), **refusal.facts}
        return refusal

    async def _read(self, request: Request) -> tuple[Request, list[FieldError]]:
        """The request with its body read and parsed, and what is unreadable in it."""
        if not self.consumes:
            return request, []
        limits: Limits = request.app.state.limits
        max_bytes = (
            limits.body_bytes if self.traits.body_limit is None else self.traits.body_limit(request.app.state.settings)
        )
        if has_body(request.headers):
            check_body_headers(request.headers, self.consumes, max_bytes)
        limited = within_limits(request.receive, limits, max_bytes=max_bytes)
        if self.traits.streams:
            return Request(request.scope, limited), []
        body = await Request(request.scope, limited).body()
        if self.consumes == (form_type,):
            return Request(request.scope, replay(body, request.receive)), form_faults(body)
        return self._parsed(request, body)

    def _parsed(self, request: Request, body: bytes) -> tuple[Request, list[FieldError]]:
        if (
            not body
            and self.body_field is not None
            and not self.body_field.field_info.is_required()
            and not has_body(request.headers)
        ):
            return JsonRequest(request, body, None), []
        value = parse_json(body)
        # Without an escape, neither character can get into valid JSON.
        places = unreadable_places(value) if b"\\u" in body else ()
        return JsonRequest(request, body, value), [
            FieldError("body", pointer_to(place), "characters", unreadable) for place in places
        ]

    async def _fields_beyond_own(self, request: Request) -> list[FieldError]:
        """What the body says about more than a customer may write of the own record."""
        own = self.traits.own_fields
        if own is None:
            return []
        policy = self.policy
        if not isinstance(policy, Requires) or policy.admits_to_all(request.state.principal):
            return []
        body = await request.json()
        sent = body if isinstance(body, dict) else {}
        return [
            FieldError("body", pointer_to([name]), "unknown", messages["unknown"]) for name in sent if name not in own
        ]

    async def _value_faults(self, request: Request, found: Sequence[FieldError]) -> list[FieldError]:
        """What is wrong with the values besides what was found, so that one answer lists everything."""
        errors = _parameter_errors(self.dependant, request)
        if isinstance(request, JsonRequest) and self.body_field is not None:
            _, body_errors = await request_body_to_args(
                [self.body_field], await request.json(), embed_body_fields=self._embed_body_fields
            )
            errors += body_errors
        places = {(fault.place, fault.pointer) for fault in found}
        return [fault for fault in faults_of(errors) if (fault.place, fault.pointer) not in places]


def _parameter_errors(dependant: Dependant, request: Request) -> list[Any]:
    """The framework's errors about path, query and headers, without running any dependency."""
    errors: list[Any] = []
    for fields, given in (
        (dependant.path_params, request.path_params),
        (dependant.query_params, request.query_params),
        (dependant.header_params, request.headers),
    ):
        errors += request_params_to_args(fields, given)[1]
    for part in dependant.dependencies:
        errors += _parameter_errors(part, request)
    return errors


class Router(APIRouter):
    """A router of `Route`s. Its decorators also take the fields of `Traits`, such as `refusals`."""

    def __init__(self, *, prefix: str = api_prefix, **options: Any) -> None:  # noqa: ANN401
        super().__init__(prefix=prefix, route_class=Route, redirect_slashes=False, **options)

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # noqa: ANN401
        """Declare a GET operation."""
        return self._operation("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # noqa: ANN401
        """Declare a POST operation."""
        return self._operation("POST", path, options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # noqa: ANN401
        """Declare a PUT operation."""
        return self._operation("PUT", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # noqa: ANN401
        """Declare a DELETE operation."""
        return self._operation("DELETE", path, options)

    def _operation(self, method: str, path: str, options: dict[str, Any]) -> Callable[[Endpoint], Endpoint]:
        traits = Traits(**{name: options.pop(name) for name in Traits.__dataclass_fields__ if name in options})

        def declare(endpoint: Endpoint) -> Endpoint:
            route = cast("type[APIRoute]", partial(Route, traits=traits))
            self.add_api_route(path, endpoint, methods=[method], route_class_override=route, **options)
            return endpoint

        return declare
