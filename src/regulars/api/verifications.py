"""Customer Management: prove an e-mail address or a phone number."""

from typing import Annotated

from fastapi import Depends

from regulars.accounts.errors import InvalidToken, SessionRevoked, Unauthenticated
from regulars.api.access import TellCaller, public_or, requires
from regulars.api.customers import prefix
from regulars.api.deps import ClockDep, DatabaseDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.customers.contact_proofs import ContactProofs
from regulars.customers.errors import (
    AlreadyVerified,
    CodeBurned,
    CustomerErased,
    EmailTaken,
    InvalidCode,
    InvalidOrExpiredToken,
    MergeRequired,
    PhoneTaken,
    UnsupportedCountry,
)
from regulars.customers.schemas_verification import RetailCustomerVerification, VerificationResult, VerificationSent
from regulars.flows.verify_contact import ContactVerification
from regulars.kit.schemas import Id
from regulars.kit.security import InsufficientScope, Principal

router = Router(prefix=f"{prefix}/{{customer_id}}", tags=["Customer Management"])

AnyoneOrStaff = Annotated[TellCaller, public_or("customers:write")]
MayVerify = Annotated[Principal, requires("customers:verify", own=True)]


async def contact_proofs(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> ContactProofs:
    """Proofs in the request's transaction."""
    return ContactProofs(connection, settings, clock)


ContactProofsDep = Annotated[ContactProofs, Depends(contact_proofs)]


async def contact_verification(database: DatabaseDep, settings: SettingsDep, clock: ClockDep) -> ContactVerification:
    """Proofs in transactions of their own."""
    return ContactVerification(database, settings, clock)


VerificationsDep = Annotated[ContactVerification, Depends(contact_verification)]


@router.post(
    "/verify-email",
    operation_id="verify_email",
    summary="Prove an e-mail address",
    refusals=[
        InvalidOrExpiredToken, CustomerErased, EmailTaken, MergeRequired,
        Unauthenticated, InvalidToken, SessionRevoked, InsufficientScope,
    ],
)  # fmt: skip
async def verify_email(
    customer_id: Id, proof: RetailCustomerVerification, verifications: VerificationsDep, tell_caller: AnyoneOrStaff
) -> VerificationResult:
    """Anyone with the mailed token; it works once, for 24 hours. Staff may give a reason instead, with their token.

    From now on the address identifies the customer and is the login name; that of before is free. What a guest bought
    under the address belongs to the customer: the answer names the record that holds both, `merge-required` says that
    there are two with a history.
    """
    caller = tell_caller() if proof.override_reason else None
    return await verifications.verify_email(customer_id, proof, by=caller)


@router.post(
    "/verify-email/send",
    operation_id="send_email_verification",
    summary="Mail a link that proves the address",
    status_code=202,
    refusals=[AlreadyVerified, CustomerErased],
)
async def send_email_verification(customer_id: Id, proofs: ContactProofsDep, caller: MayVerify) -> VerificationSent:
    """The link that was mailed before dies. At most 3 in 15 minutes and 10 a day for an address."""
    return await proofs.send_email(customer_id, by=caller)


@router.post(
    "/verify-phone",
    operation_id="verify_phone",
    summary="Prove a phone number",
    refusals=[InvalidCode, CodeBurned, CustomerErased, PhoneTaken, MergeRequired],
)
async def verify_phone(
    customer_id: Id, proof: RetailCustomerVerification, verifications: VerificationsDep, caller: MayVerify
) -> VerificationResult:
    """The texted code is good for 10 minutes and 5 tries. Staff may give a reason instead.

    From now on the number identifies the customer, as a proved e-mail address does.
    """
    return await verifications.verify_phone(customer_id, proof, by=caller)


@router.post(
    "/verify-phone/send",
    operation_id="send_phone_verification",
    summary="Text a code that proves the number",
    status_code=202,
    refusals=[AlreadyVerified, UnsupportedCountry, CustomerErased],
)
async def send_phone_verification(customer_id: Id, proofs: ContactProofsDep, caller: MayVerify) -> VerificationSent:
    """The code that was texted before dies. At most 3 in 15 minutes and 10 a day for a number."""
    return await proofs.send_phone(customer_id, by=caller)
