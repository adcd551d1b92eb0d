"""What senders of mail report, and what they get."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from regulars.customers.engagement import EngagementEvent, EngagementKind
from regulars.customers.models import RetailCustomer
from regulars.customers.schemas import EmailText
from regulars.kit.bulk import BulkProblem
from regulars.kit.clock import Clock
from regulars.kit.schemas import Day, Id, Instant, OneOf, RequestSchema, ResponseSchema, Text, broken_rule

most_events = 1_000
_example: dict[str, JsonValue] = {
    "event_id": "evt-81", "message_id": "msg-7", "kind": "opened", "occurred_at": "2026-01-31T12:00:00Z"
}  # fmt: skip


class EmailEngagementEvent(RequestSchema):
    """Something that happened to a mail."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example]})

    event_id: Annotated[str, Text(200)] = Field(description="The sender's id of this report; a repeat changes nothing.")
    message_id: Annotated[str, Text(200)] = Field(description="The sender's id of the mail to this one person.")
    kind: OneOf[EngagementKind]
    occurred_at: Instant
    email: EmailText | None = Field(
        default=None, description="The address the mail went to: what bounced at another says nothing of this one."
    )
    bounce: Literal["hard", "soft"] | None = Field(
        default=None, description="For `bounced`: whether the address will never take mail, or did not this time."
    )

    @model_validator(mode="after")
    def _says_how_it_bounced(self) -> Self:
        if (self.bounce is not None) != (self.kind == EngagementKind.BOUNCED):
            raise broken_rule("missing", "bounce is required for bounced, and for nothing else", "bounce")
        return self

    def about(self, customer_id: UUID) -> EngagementEvent:
        """The event of a customer's mail."""
        return EngagementEvent(
            customer_id=customer_id,
            event_id=self.event_id,
            message_id=self.message_id,
            kind=self.kind,
            occurred_at=self.occurred_at,
            email=self.email,
            bounce=self.bounce,
        )


class EngagementEventItem(EmailEngagementEvent):
    """Something that happened to a mail, and to whom it was: by id, or by the address if that is the present one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "john@example.com", **_example}]})

    customer_id: Id | None = None

    @model_validator(mode="after")
    def _says_to_whom(self) -> Self:
        if self.customer_id is None and self.email is None:
            raise broken_rule("missing", "customer_id or email is required", "customer_id", "email")
        return self


class EngagementBatch(RequestSchema):
    """Many events."""

    events: list[EngagementEventItem] = Field(min_length=1, max_length=most_events)


class EmailEngagementResult(ResponseSchema):
    """What is known of a customer and mails now."""

    customer_id: Id
    outcome: Literal["recorded", "unchanged"]
    email_open_rate: float | None = Field(description="Share of the delivered mails that were opened.")
    email_click_rate: float | None = Field(description="Share of the delivered mails in which something was clicked.")
    last_email_open_date: Day | None
    last_email_click_date: Day | None
    last_activity_at: Instant | None
    email_bounced_at: Instant | None = Field(description="Since then mail to this address comes back; send none.")
    email_marketing_consent: bool

    @classmethod
    def of(cls, customer: RetailCustomer, outcome: Literal["recorded", "unchanged"], clock: Clock) -> Self:
        """What is known of a customer; days in store time."""
        opened, clicked = customer.last_email_open_date, customer.last_email_click_date
        return cls(
            customer_id=customer.id,
            outcome=outcome,
            email_open_rate=customer.email_open_rate,
            email_click_rate=customer.email_click_rate,
            last_email_open_date=clock.day_of(opened) if opened else None,
            last_email_click_date=clock.day_of(clicked) if clicked else None,
            last_activity_at=customer.last_activity_at,
            email_bounced_at=customer.email_bounced_at,
            email_marketing_consent=customer.email_marketing_consent,
        )


class EngagementBatchItem(ResponseSchema):
    """What became of one event."""

    event_id: str
    outcome: Literal["recorded", "unchanged", "failed"]
    problem: BulkProblem | None


class EngagementBatchResult(ResponseSchema):
    """What became of all events, in the order in which they were sent."""

    received: int
    recorded: int
    unchanged: int = Field(description="Reported before.")
    failed: int
    items: list[EngagementBatchItem]
