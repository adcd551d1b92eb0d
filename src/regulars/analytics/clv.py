"""Lifetime values: calculated, summed up and explained."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

from regulars.analytics.modelled_values import ModelledValue, modelled_value
from regulars.analytics.models import (
    CustomerScore,
    PurchaseFacts,
    ScoringRequest,
    ScoringRun,
    ValuePercentile,
    ValueRange,
    ValueSummary,
    as_stored,
)
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.rfm import no_purchases
from regulars.analytics.run_parameters import clv_rules, fallback_of, model_of, rules_of
from regulars.analytics.runs import ScoringService, name_of
from regulars.analytics.schemas import (
    CLVAnalysisResponse,
    CLVCalculationRequest,
    CLVConcentration,
    CLVDecile,
    CLVDistribution,
    CLVInputs,
    CLVModelInputs,
    CLVResponse,
    CLVTopCustomer,
    RunResponse,
    run_members,
)
from regulars.analytics.scores import ScoreOrigin, ScoreReader
from regulars.customers.masking import mask_email, mask_name
from regulars.customers.repository_scores import TopCustomer, WindowShares
from regulars.formulas.clv import (
    CLVRules,
    LifetimeValue,
    customer_lifetime_value,
    shares_in_tenths_of_percent,
    value_ranges,
    window_share,
)
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.money import format_money
from regulars.kit.security import Principal
from regulars.kit.settings import Settings

concentration_percents = (1, 5, 10, 20, 50)


@dataclass(frozen=True)
class _Calculation:
    """The value of a customer as it would be written now, and what it is made of; None if the segment is missing."""

    facts: PurchaseFacts
    segment: RFMSegment | None
    rules: CLVRules
    value: LifetimeValue | None
    modelled: ModelledValue | None = None

    @property
    def window_value(self) -> Decimal | None:
        """The value in the window of the run."""
        if self.modelled:
            return self.modelled.value
        return self.value.window_value if self.value else None

    def confirms(self, stored: CustomerScore) -> bool:
        """Whether the value is the stored one, which is cut to the digits that are stored."""
        if self.value is None or self.value.reason != stored.clv_reason:
            return False
        if self.modelled:
            return stored.clv is not None and self.modelled.is_about(stored.clv)
        return as_stored(self.value.value) == stored.clv


class CLVService(ScoringService):
    """Customer lifetime value."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(connection, settings, clock)
        self._reader = ScoreReader(connection)
        self._analytics = AnalyticsRepository(connection)

    async def calculate_clv(
        self, request: CLVCalculationRequest, by: Principal, limit: int = 10
    ) -> CLVAnalysisResponse:
        """Calculate lifetime values as of the store's today; answers the analysis of all customers."""
        run = await self.score_customers(
            ScoringRequest(
                kind="clv",
                as_of=self._clock.today(),
                started_by=name_of(by),
                recalculate=request.recalculate,
                customer_ids=request.customer_ids,
                window_days=request.window_days,
                method=request.method,
                margin=request.margin,
                discount=request.discount,
            )
        )
        return await self._analysis(run, limit, by)

    async def get_clv_analysis(self, by: Principal, limit: int = 10) -> CLVAnalysisResponse:
        """Totals, ranges, concentration and the best customers, with the horizon of the latest full run."""
        return await self._analysis(await self._runs.get_latest("clv"), limit, by)

    async def get_customer_clv(self, customer_id: UUID, by: Principal) -> CLVResponse:
        """The lifetime value of a customer with its factors.

        Raises:
            NotFound: there is no such customer, or none that the caller may know of.
            CustomerErased: the person was erased, and the caller may know it.
        """
        stored = await self._reader.visible_score(customer_id, by)
        origin = await self._reader.clv_origin(stored, self._clock.today())
        found = await self._calculate_customer_clv(stored, origin)
        return CLVResponse.model_validate(
            {
                "customer_id": customer_id,
                "clv": self._money(stored.clv),
                "clv_in_window": self._money(found.window_value),
                "clv_low": self._money(stored.clv_low),
                "clv_high": self._money(stored.clv_high),
                "window_days": origin.run.window_days if origin.run else None,
                "method": stored.clv_method,
                **_fallback_members(origin.run),
                "p_buy": stored.p_buy,
                "expected_orders": stored.expected_orders,
                "median_wait_days": stored.median_wait_days,
                "next_order_on": stored.next_order_on or ("not_expected" if stored.p_buy is not None else None),
                "reason": stored.clv_reason,
                "historic_value": self._money(found.facts.net),
                "as_of": origin.period.as_of,
                "run_id": origin.run.id if origin.run else None,
                "coverage": origin.run.coverage if origin.run else None,
                "calculated_at": origin.calculated_at,
                "inputs": self._inputs(found),
                "model": self._model_inputs(found.modelled) if found.modelled else None,
                "is_stale": stored.clv is not None and not found.confirms(stored),
            }
        )

    async def _calculate_customer_clv(self, stored: CustomerScore, origin: ScoreOrigin) -> _Calculation:
        """The value from the purchases known by now, with day, rules and horizon of the run behind the stored one."""
        model = model_of(origin.run) if origin.run and stored.clv_method != "seed" else None
        last_days = model.terms.window_days if model else None
        facts = await self._analytics.get_clv_inputs(stored.customer_id, origin.period.as_of, last_days)
        facts = facts or no_purchases(stored.customer_id)
        rules = rules_of(origin.run) if origin.run else clv_rules(self._settings)
        window_days = origin.run.window_days if origin.run else None
        segment = RFMSegment(stored.segment) if stored.segment else None
        if facts.orders and segment in {None, RFMSegment.PROSPECT}:
            return _Calculation(facts, segment, rules, None)
        value = customer_lifetime_value(
            facts.net, facts.orders, facts.age_days or 0, segment or RFMSegment.PROSPECT, rules, window_days
        )
        return _Calculation(facts, segment, rules, value, modelled_value(model, facts) if model else None)

    @staticmethod
    def _estimate_lifespan(found: _Calculation) -> Decimal | None:
        """Days the customer is expected to stay; None without a segment that has orders."""
        if found.segment is None or found.segment is RFMSegment.PROSPECT:
            return None
        return found.rules.lifespan_of(found.segment)

    def _inputs(self, found: _Calculation) -> CLVInputs:
        value, lifespan_days = found.value, self._estimate_lifespan(found)
        return CLVInputs(
            orders=found.facts.orders,
            net=format_money(found.facts.net, self._settings.currency),
            days_since_first_order=found.facts.age_days,
            age_days=value.age_days if value else None,
            average_order_value=self._money(value.average_order_value if value else None),
            orders_per_day=float(value.orders_per_day) if value and value.orders_per_day is not None else None,
            segment=found.segment,
            lifespan_days=None if lifespan_days is None else float(lifespan_days),
            multiplier=None if lifespan_days is None else float(lifespan_days / found.rules.lifespan_days),
        )

    def _model_inputs(self, found: ModelledValue) -> CLVModelInputs:
        return CLVModelInputs(
            repeat_days=found.repeat_days,
            days_to_last=found.days_to_last,
            days_known=found.days_known,
            probability_active=found.probability_active,
            expected_orders=found.expected_orders,
            discounted_orders=found.discounted_orders,
            expected_order_value=self._money(found.expected_order_value),
            last_period=format_money(found.last_net, self._settings.currency),
            margin=found.model.terms.margin,
            discount=found.model.terms.discount,
            share=found.model.terms.share,
            parameters=found.model.parameters,
        )

    async def _analysis(self, run: ScoringRun | None, limit: int, by: Principal) -> CLVAnalysisResponse:
        """What all values come to, in the window of a run."""
        shares = _window_shares(run)
        summary = await self._analytics.get_clv_summary(shares)
        bounds = value_ranges(summary.high)
        ranges = await self._analytics.get_clv_distribution(bounds, shares)
        ranked = await self._analytics.get_clv_percentiles(shares)
        top = await self._scores.get_top_customers_by_clv(limit, shares)
        members = _run_members(run) | {
            "customers": summary.customers,
            "prospects": summary.prospects,
            "total": self._money(summary.total),
            "average": self._money(summary.average),
            "median": self._money(summary.median),
            "distribution": self._distribution(bounds, ranges, summary),
            "concentration": self._concentration(ranked, summary) if ranked else [],
            "deciles": self._deciles(ranked),
            "top_customers": [self._top(customer, masked=not by.sees_identifiers()) for customer in top],
        }
        return CLVAnalysisResponse.model_validate(members)

    def _distribution(
        self, bounds: list[Decimal], ranges: list[ValueRange], summary: ValueSummary
    ) -> list[CLVDistribution]:
        found = {part.number: part for part in ranges}
        return [
            CLVDistribution(
                lower=format_money(lower, self._settings.currency),
                upper=self._money(upper),
                customers=part.customers,
                share=part.customers / max(summary.customers, 1),
                total=format_money(part.total, self._settings.currency),
            )
            for number, (lower, upper) in enumerate(zip(bounds, [*bounds[1:], None], strict=True))
            for part in [found.get(number, ValueRange(number, 0, Decimal(0)))]
        ]

    def _concentration(self, ranked: list[ValuePercentile], summary: ValueSummary) -> list[CLVConcentration]:
        best = [(percent, *_held(ranked, 0, percent)) for percent in concentration_percents]
        return [
            CLVConcentration(
                top_percent=percent,
                customers=customers,
                total=format_money(total, self._settings.currency),
                share=float(total / summary.total) if summary.total else 0.0,
            )
            for percent, customers, total in best
        ]

    def _deciles(self, ranked: list[ValuePercentile]) -> list[CLVDecile]:
        tenths = [_held(ranked, after, after + 10) for after in range(0, 100, 10)]
        shares = shares_in_tenths_of_percent([total for _, total in tenths])
        return [
            CLVDecile(
                decile=number,
                customers=customers,
                total=format_money(total, self._settings.currency),
                share=float(share),
                cumulative_share=float(cumulative),
            )
            for number, ((customers, total), share, cumulative) in enumerate(
                zip(tenths, shares, accumulate(shares), strict=True), start=1
            )
        ]

    def _top(self, customer: TopCustomer, *, masked: bool) -> CLVTopCustomer:
        segment = RFMSegment(customer.segment) if customer.segment else None
        return CLVTopCustomer(
            customer_id=customer.customer_id,
            customer_number=customer.customer_number,
            first_name=mask_name(customer.first_name) if masked else customer.first_name,
            last_name=mask_name(customer.last_name) if masked else customer.last_name,
            email=mask_email(customer.email) if masked else customer.email,
            segment=segment,
            segment_label=segment.label if segment else None,
            orders=customer.orders,
            net_spent=format_money(customer.net_spent, self._settings.currency),
            value=format_money(customer.value, self._settings.currency),
            clv=format_money(customer.clv, self._settings.currency),
            masked=masked,
        )

    def _money(self, amount: Decimal | None) -> str | None:
        return None if amount is None else format_money(amount, self._settings.currency)


def _held(ranked: list[ValuePercentile], after: int, until: int) -> tuple[int, Decimal]:
    """Customers between two percents of the ranking, and what they hold together."""
    among = [part for part in ranked if after < part.number <= until]
    return sum(part.customers for part in among), sum((part.total for part in among), Decimal(0))


def _window_shares(run: ScoringRun | None) -> WindowShares | None:
    if run is None or run.window_days is None or run.method != "seed":
        return None
    rules = rules_of(run)
    return {segment.value: window_share(run.window_days, rules.lifespan_of(segment)) for segment in rules.multipliers}


def _run_members(run: ScoringRun | None) -> dict[str, object]:
    if run is None:
        unknown = dict.fromkeys((*RunResponse.model_fields, "method", "window_days"))
        return unknown | _fallback_members(None) | {"seconds": {}}
    return run_members(run) | {"method": run.method, "window_days": run.window_days} | _fallback_members(run)


def _fallback_members(run: ScoringRun | None) -> dict[str, object]:
    """Why a run had to do without a model; None where it had one, or none was asked for."""
    fallback = fallback_of(run) if run else None
    if fallback is None:
        return {"fallback": None, "fallback_sentence": None}
    return {"fallback": fallback.refusal, "fallback_sentence": fallback.sentence}
