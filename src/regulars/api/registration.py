"""Customer Management: people register themselves."""

from fastapi import Response

from regulars.accounts.errors import WeakPassword
from regulars.api.access import public
from regulars.api.customers import located, prefix
from regulars.api.deps import RegistrationsDep
from regulars.api.rates import register_rate
from regulars.api.routing import Router, json_type
from regulars.customers.errors import AgeRestriction, EmailTaken, InvalidOrExpiredToken, PhoneTaken
from regulars.customers.schemas import RetailCustomerResponse
from regulars.flows.schemas_registration import RegistrationConfirm, RetailCustomerRegistration
from regulars.kit.schemas import Accepted

router = Router(prefix=f"{prefix}/register", tags=["Customer Management"])


@router.post(
    "",
    operation_id="register_customer",
    summary="Register",
    status_code=201,
    response_model=RetailCustomerResponse,
    responses={202: {"model": Accepted, "description": "Registration is private: the mailbox is to be proved first."}},
    dependencies=[public],
    rate=register_rate,
    refusals=[EmailTaken, PhoneTaken, AgeRestriction, WeakPassword],
)
async def register_customer(
    registration: RetailCustomerRegistration, registrations: RegistrationsDep, response: Response
) -> RetailCustomerResponse | Response:
    """The person may sign in at once, and gets a mail to prove the address.

    Address and number identify nobody before they are proved, and what is granted for them waits until then. Who has
    bought as a guest gets what they bought by the proof.

    Where registration is private, the answer is 202 for known and unknown people alike, and the customer appears when
    the mailed link is used.
    """
    customer = await registrations.register_customer(registration)
    if customer is None:
        return Response(Accepted().model_dump_json(), status_code=202, media_type=json_type)
    return located(customer, response)


@router.post(
    "/confirm",
    operation_id="confirm_registration",
    summary="Confirm a private registration",
    status_code=201,
    dependencies=[public],
    refusals=[InvalidOrExpiredToken],
)
async def confirm_registration(
    confirmation: RegistrationConfirm, registrations: RegistrationsDep, response: Response
) -> RetailCustomerResponse:
    """The token from the mail makes the customer, whose address is proved by it."""
    return located(await registrations.confirm(confirmation.token), response)
