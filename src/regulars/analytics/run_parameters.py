"""What a run goes by, from the settings or from the record of an earlier run."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from regulars.analytics.models import ScoringRequest, ScoringRun
from regulars.analytics.repository_stage import ForecastsUsed
from regulars.analytics.value_models import ModelRefusal, NoModel, Terms, ValueModel, blend_share
from regulars.formulas.clv import CLVRules, default_multipliers
from regulars.formulas.rfm import RFMEdges, RFMSegment
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings

least_ranked = 5
"""Below so many customers with orders, fifths mean nothing and the fixed thresholds are used."""


def uses_fixed_edges(settings: Settings, ranked: int) -> bool:
    """Whether so many customers with orders are scored by the thresholds of the settings, and not by their fifths."""
    return settings.rfm_edges == "fixed" or ranked < least_ranked


def fixed_edges(settings: Settings) -> RFMEdges:
    """The thresholds of the settings, in the order in which edges are kept."""
    return RFMEdges(
        tuple(sorted(settings.rfm_fixed_recency_days, reverse=True)),
        tuple(sorted(settings.rfm_fixed_thresholds)),
        tuple(sorted(settings.rfm_fixed_monetary)),
    )


def clv_rules(settings: Settings) -> CLVRules:
    """The rules of lifetime values as the settings have them.

    Raises:
        OperatorError: a multiplier names no segment, or is not above 0.
    """
    multipliers = dict(default_multipliers)
    for name, multiplier in settings.clv_multipliers.items():
        if name not in list(multipliers) or multiplier <= 0:
            raise OperatorError(
                f"REGULARS_CLV_MULTIPLIERS cannot be used: {name}.",
                f"Give numbers above 0 to names among {', '.join(multipliers)}.",
            )
        multipliers[RFMSegment(name)] = Decimal(str(multiplier))
    return CLVRules(settings.clv_floor_days, settings.clv_lifespan_days, multipliers)


def rules_of(run: ScoringRun) -> CLVRules:
    """The rules that a run used, whatever the settings say now."""
    return rules_from(run.parameters)


def rules_from(parameters: Mapping[str, Any]) -> CLVRules:
    """The rules among the parameters that a run keeps."""
    multipliers = {RFMSegment(name): Decimal(text) for name, text in parameters["multipliers"].items()}
    return CLVRules(parameters["floor_days"], parameters["lifespan_days"], multipliers)


def parameters_of(rules: CLVRules) -> Mapping[str, object]:
    """The rules as a run keeps them."""
    return {
        "floor_days": rules.floor_days,
        "lifespan_days": rules.lifespan_days,
        "multipliers": {segment.value: str(multiplier) for segment, multiplier in rules.multipliers.items()},
    }


def terms_of(request: ScoringRequest) -> Terms:
    """The terms of a request in which everything is settled."""
    assert request.window_days is not None, "models have a window"  # noqa: S101
    share = blend_share if request.method == "blend" else 1.0
    return Terms(request.window_days, request.margin or 0.0, request.discount or 0.0, share)


def forecasts_of(model: ValueModel, as_of: date) -> ForecastsUsed:
    """What SQL has to know of a model to make values of its forecasts."""
    return ForecastsUsed(model.values.gamma, model.terms.share, model.terms.margin, as_of)


def model_parameters(model: ValueModel | NoModel | None) -> Mapping[str, Any]:
    """The model of a run as the run keeps it, or why it has none."""
    if isinstance(model, ValueModel):
        return {"model": model.as_json()}
    return {"fallback": model.refusal.value, "bounds": dict(model.bounds)} if model else {}


def model_of(run: ScoringRun) -> ValueModel | None:
    """The model that a run used."""
    stored = run.parameters.get("model")
    return ValueModel.from_json(stored) if stored else None


def fallback_of(run: ScoringRun) -> NoModel | None:
    """Why a run used the formula though a model was asked for."""
    stored = run.parameters.get("fallback")
    return NoModel(ModelRefusal(stored), run.parameters.get("bounds", {})) if stored else None
