"""`regulars score`: calculate segments and lifetime values."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from regulars.analytics.models import ScoringRequest, ScoringRun
from regulars.analytics.rfm import RFMService
from regulars.analytics.run_parameters import fallback_of
from regulars.analytics.schemas import RFMSegmentDistribution
from regulars.cli.context import one_transaction, ready_database
from regulars.cli.days import past_day
from regulars.cli.printing import table_console
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings, load_settings


class How(StrEnum):
    """How lifetime values are made."""

    SEED = "seed"
    MODEL = "model"
    BLEND = "blend"


class What(StrEnum):
    """What is calculated."""

    RFM = "rfm"
    CLV = "clv"
    ALL = "all"


def score_customers(
    what: Annotated[What, typer.Argument(help="Segments, lifetime values, or both in one pass.")] = What.ALL,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Look at the shop as on this day; default: today.")
    ] = None,
    method: Annotated[
        How | None,
        typer.Option(
            help="Lifetime values by the formula (seed), by models fitted to the shop's orders (model), or half by"
            " those and half by the last period (blend); default: the setting."
        ),
    ] = None,
    window_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=36_500,
            help="Horizon of lifetime values; default: the whole lifespan, for models the window of the settings.",
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0.0001, max=1, help="Part of the money that is kept; for models.")
    ] = None,
    discount: Annotated[
        float | None, typer.Option(min=0, max=1, help="Loss of worth in a year of waiting; for models.")
    ] = None,
    history_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="How far back orders count for RFM; default: all of them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score every customer anew: RFM segments and lifetime values."""
    settings = load_settings()
    chosen = method.value if method else settings.clv_method
    if chosen == How.SEED.value and (margin is not None or discount is not None):
        raise OperatorError("The formula (seed) knows no margin and no discount.", "Add --method model or blend.")
    request = ScoringRequest(
        kind=what.value,
        as_of=past_day(as_of, settings),
        started_by="operator",
        history_days=history_days,
        window_days=window_days,
        method=chosen,
        margin=margin,
        discount=discount,
    )
    with ready_database(settings) as url:
        run, segments = asyncio.run(_score(url, settings, request))
    if as_json:
        typer.echo(json.dumps(_summary(run, segments, settings)))
    else:
        _print(run, segments, settings)


async def _score(
    url: str, settings: Settings, request: ScoringRequest
) -> tuple[ScoringRun, list[RFMSegmentDistribution]]:
    async with one_transaction(url) as connection:
        service = RFMService(connection, settings)
        run = await service.score_customers(request)
        return run, await service.get_rfm_segment_distribution()


def _summary(run: ScoringRun, segments: list[RFMSegmentDistribution], settings: Settings) -> dict[str, object]:
    fallback = fallback_of(run)
    return {
        "run_id": str(run.id),
        "kind": run.kind,
        "coverage": run.coverage,
        "as_of": run.as_of.isoformat(),
        "history_days": run.history_days,
        "window_days": run.window_days,
        "method": run.method,
        "fallback": fallback.refusal if fallback else None,
        "fallback_sentence": fallback.sentence if fallback else None,
        "currency": settings.currency,
        "edges": run.edges,
        "counts": dict(run.counts),
        "seconds": dict(run.seconds),
        "segments": [segment.model_dump(mode="json") for segment in segments],
    }


def _print(run: ScoringRun, segments: list[RFMSegmentDistribution], settings: Settings) -> None:
    table = Table(title=f"Customers as of {run.as_of}", title_justify="left")
    table.add_column("segment")
    for heading in ("customers", "share", f"spent {settings.currency}", "of revenue", "average CLV"):
        table.add_column(heading, justify="right")
    for segment in segments:
        table.add_row(
            segment.label,
            f"{segment.customers:,}",
            f"{segment.share:.1%}",
            segment.net_spent,
            f"{segment.revenue_share:.1%}",
            segment.average_clv,
        )
    console = table_console(110)
    console.print(table)
    console.print(
        f"{run.counts['scored']:,} customers scored, {run.counts['changed']:,} changed,"
        f" {run.counts['moved']:,} in another segment; {_stages(run)}",
        highlight=False,
        soft_wrap=True,
    )
    if run.stored_edges is not None and run.stored_edges.basis == "fixed":
        console.print("fixed thresholds were used", highlight=False)
    fallback = fallback_of(run)
    if fallback is not None:
        console.print(f"no model, values are by the formula: {fallback.sentence}", highlight=False, soft_wrap=True)


def _stages(run: ScoringRun) -> str:
    known = [stage for stage in ("facts", "edges", "model", "scores", "write") if stage in run.seconds]
    stages = ", ".join(f"{stage} {run.seconds[stage]:.2f}" for stage in known)
    return f"{run.seconds['total']:.2f} s ({stages})"
