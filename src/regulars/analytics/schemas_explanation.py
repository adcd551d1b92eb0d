"""What callers read about why a customer has this segment and this value: rows for programs, sentences for people."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from regulars.analytics.schemas import CLVResponse, RFMScoresResponse, Score
from regulars.formulas.rfm import RFMSegment
from regulars.kit.schemas import Id, MoneyText, ResponseSchema

Measure: TypeAlias = Literal["recency", "frequency", "monetary"]
ScoreSpan: TypeAlias = Annotated[
    list[Score], Field(min_length=2, max_length=2, description="Least and greatest.", examples=[[4, 5]])
]


class ExplainedMeasure(ResponseSchema):
    """One of the three measures, as known by now, against the edges of the run."""

    measure: Measure
    value: int | MoneyText = Field(description="Days since the last order, orders, or money.")
    edges: list[int | MoneyText] = Field(description="At most four; none until a run has scored the customer.")
    passed: int | None = Field(description="How many edges the value passes: for recency with fewer days.")
    score: Score | None = Field(description="1 more than that.")
    sentence: str


class ExplainedRule(ResponseSchema):
    """The rule that made a segment of the scores. The first of the eleven that holds decides, or else the nearest."""

    number: int
    segment: RFMSegment
    recency: ScoreSpan
    frequency: ScoreSpan
    monetary: ScoreSpan
    holds: bool = Field(description="False where no rule holds and this one is nearest.")
    sentence: str


class SegmentExplanation(ResponseSchema):
    """Why a customer is in a segment."""

    scores: RFMScoresResponse
    measures: list[ExplainedMeasure] = Field(description="None without a valid order.")
    rule: ExplainedRule | None = Field(description="Of the stored scores; null without any.")
    summary: list[str] = Field(description="The scores as a whole, in sentences.")


class ExplainedFact(ResponseSchema):
    """One number that a value is made of, or that a model says."""

    name: str = Field(description="As the fields of `value` and of its `inputs` and `model` are called.")
    value: int | float | str | None = Field(description="Unrounded; money of orders as text.")
    sentence: str


class ValueExplanation(ResponseSchema):
    """Why a customer has a value."""

    value: CLVResponse
    facts: list[ExplainedFact]
    formula: str | None = Field(description="The formula with the customer's numbers; null where there is none.")
    result: MoneyText | None = Field(description="What it gives by now: `value.clv`, unless that is stale.")
    summary: list[str] = Field(description="The value as a whole, in sentences.")


class CustomerAnalyticsExplanation(ResponseSchema):
    """Why a customer has this segment and this value."""

    customer_id: Id
    segment: SegmentExplanation
    value: ValueExplanation
