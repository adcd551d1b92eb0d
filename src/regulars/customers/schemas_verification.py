"""What is sent to prove an address or a number, and what comes back."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from regulars.kit.schemas import Id, RequestSchema, ResponseSchema, Text, broken_rule


class RetailCustomerVerification(RequestSchema):
    """A proof: the token that was mailed, the code that was texted, or why staff needs neither. Exactly one of them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}, {"code": "123456"}]}
    )

    token: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    code: Annotated[str | None, Field(pattern="^[0-9]{6}$")] = None
    override_reason: Annotated[str, Text(200, min_length=10)] | None = Field(
        default=None, description="Kept in the audit log."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        proofs = ("token", "code", "override_reason")
        if len([proof for proof in proofs if getattr(self, proof) is not None]) != 1:
            raise broken_rule("missing", f"exactly one of {', '.join(proofs)} is required", *proofs)
        return self


class VerificationSent(ResponseSchema):
    """A link or a code is on its way."""

    channel: Literal["email", "phone"]
    sent_to: str = Field(description="The address or number, masked.", examples=["j***@***"])
    valid_minutes: int = Field(description="How long it is good for, from the moment it is sent.", examples=[1440])


class VerificationResult(ResponseSchema):
    """What is proved now."""

    customer_id: Id
    is_verified: bool = Field(description="E-mail address or phone number is verified.")
    is_email_verified: bool
    is_phone_verified: bool
