"""What people send who register themselves."""

from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field

from regulars.accounts.passwords import longest_password
from regulars.customers.models import CustomerProfile
from regulars.customers.schemas import EmailText, Name, PersonalFields, PhoneText
from regulars.kit.schemas import RequestSchema

OwnPassword: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=longest_password,
        description="8 characters or more; not one that is tried first.",
        json_schema_extra={"format": "password"},
    ),
]


class RegistrationProfile(PersonalFields):
    """What people say of themselves when they register: all but what the shop writes down about them."""

    first_name: Name
    last_name: Name
    email: EmailText
    phone: PhoneText | None = Field(
        default=None, description="With + and country code. Not kept where registration is private: add it afterwards."
    )

    def profile(self) -> CustomerProfile:
        """The fields as they are stored."""
        return CustomerProfile(**{name: getattr(self, name) for name in RegistrationProfile.model_fields})


class RetailCustomerRegistration(RegistrationProfile):
    """A person who becomes a customer and may sign in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "first_name": "John",
                    "last_name": "Doe",
                    "email": "john@example.com",
                    "phone": "+919876543210",
                    "password": "SecurePass123",
                    "city": "Mumbai",
                    "email_marketing_consent": True,
                }
            ]
        }
    )

    password: OwnPassword


class RegistrationConfirm(RequestSchema):
    """The token from the mail."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
