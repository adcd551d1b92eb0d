"""What callers send and read about consents."""

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from regulars.customers.models import RetailCustomer
from regulars.kit.schemas import Id, Instant, Limit, OneOf, QuerySchema, RequestSchema, ResponseSchema, Slice, Text
from regulars.kit.security import Principal
from regulars.privacy.models_consents import (
    ConsentAction,
    ConsentChannel,
    ConsentEvent,
    ConsentPurpose,
    ConsentStatement,
    LastConsent,
    When,
)


class ConsentChange(RequestSchema):
    """A grant or a withdrawal."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"channel": "email", "action": "granted", "policy_version": "2026-01"}]}
    )

    channel: OneOf[ConsentChannel]
    action: OneOf[ConsentAction]
    purpose: OneOf[ConsentPurpose] = ConsentPurpose.MARKETING
    policy_version: Annotated[str, Text(50)] | None = Field(default=None, description="The policy that was agreed to.")
    text_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the words that were shown, in hex."
    )

    def statement(self, customer_id: UUID, when: When, *, source: str) -> ConsentStatement:
        """What it says about a customer."""
        return ConsentStatement(
            customer_id=customer_id,
            channel=self.channel,
            action=self.action,
            when=when,
            source=source,
            purpose=self.purpose,
            policy_version=self.policy_version,
            text_hash=bytes.fromhex(self.text_hash) if self.text_hash else None,
        )


class ConsentHistoryQuery(QuerySchema):
    """Which part of the history."""

    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the part before.")
    limit: Limit = 50


class ConsentEventResponse(ResponseSchema):
    """A consent as it was written down."""

    id: Id
    purpose: ConsentPurpose
    channel: ConsentChannel
    action: ConsentAction
    policy_version: str | None
    text_hash: str | None = Field(description="SHA-256 of the words that were shown, in hex.")
    source: str = Field(description="Where the person consented.", examples=["webshop"])
    recorded_by: Id | None = Field(description="The user or API client; for staff, and for whoever wrote it.")
    occurred_at: Instant = Field(description="When the person consented.")
    recorded_at: Instant

    @classmethod
    def of(cls, event: ConsentEvent, by: Principal) -> Self:
        """The event as a caller sees it."""
        sees_actor = by.sees_identifiers() or event.actor_id == by.id
        return cls(
            id=event.id,
            purpose=ConsentPurpose(event.purpose),
            channel=ConsentChannel(event.channel),
            action=ConsentAction(event.action),
            policy_version=event.policy_version,
            text_hash=event.text_hash.hex() if event.text_hash else None,
            source=event.source,
            recorded_by=event.actor_id if sees_actor else None,
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
        )


class CustomerCommunicationPreferences(ResponseSchema):
    """What a customer allows now, and how that came to be. Nothing is allowed that nobody granted."""

    customer_id: Id
    email_marketing_consent: bool
    sms_marketing_consent: bool
    push_notification_consent: bool
    waiting_for_proof: list[ConsentChannel] = Field(
        description="Granted, and in force as soon as the person proves the e-mail address or the phone number."
    )
    email_headers: dict[str, str] | None = Field(
        description="Headers for mails to this person, by which one click unsubscribes (RFC 8058); null without the"
        " setting `public_url`.",
        examples=[
            {
                "List-Unsubscribe": "<https://shop.example/api/v1/unsubscribe/AbC>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
        ],
    )
    history: Slice[ConsentEventResponse] = Field(description="Newest first.")

    @classmethod
    def of(
        cls,
        customer: RetailCustomer,
        history: Sequence[ConsentEvent],
        waiting: Sequence[LastConsent],
        *,
        by: Principal,
        next_cursor: str | None,
        email_headers: dict[str, str] | None,
    ) -> Self:
        """The consents as a caller sees them."""
        items = [ConsentEventResponse.of(event, by) for event in history]
        return cls(
            customer_id=customer.id,
            email_marketing_consent=customer.email_marketing_consent,
            sms_marketing_consent=customer.sms_marketing_consent,
            push_notification_consent=customer.push_notification_consent,
            waiting_for_proof=[ConsentChannel(each.channel) for each in waiting],
            email_headers=email_headers,
            history=Slice[ConsentEventResponse](items=items, next_cursor=next_cursor),
        )
