"""Operations: figures for those who watch over the installation."""

from typing import Annotated

from fastapi import Request, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.routing import Router
from regulars.flows.operations import measure_installation
from regulars.kit.database import Database
from regulars.kit.measures import Figure, exposition, media_type, of_this_process
from regulars.kit.security import Principal

router = Router(prefix="", tags=["Operations"])

MayRead = Annotated[Principal, requires("operations:read")]

_example = '# TYPE regulars_ledger_violations gauge\nregulars_ledger_violations{scope="touched"} 0\n'


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Figures for Prometheus",
    produces=[media_type],
    response_class=Response,
    responses={200: {"content": {media_type: {"schema": {"type": "string"}, "example": _example}}}},
)
async def metrics(request: Request, connection: TransactionDep, clock: ClockDep, caller: MayRead) -> Response:  # noqa: ARG001
    """Requests and pool of the process that answers; jobs, audits and expiry of the installation. No ids, no names."""
    figures = [*_of_process(request), *await measure_installation(connection, clock)]
    return Response(exposition(figures), media_type=f"{media_type}; version=0.0.4; charset=utf-8")


def _of_process(request: Request) -> list[Figure]:
    state = request.app.state
    figures: list[Figure] = state.measures.figures(in_flight=state.in_flight.now, shed=state.in_flight.shed)
    figures += state.connections.figures()
    figures += state.awards.figures()
    figures += state.database.figures() if isinstance(state.database, Database) else []
    return of_this_process(figures)
