"""A customer proves a phone number by the code that was texted."""

from uuid import UUID

from regulars.customers.contact_proofs import ContactProofs
from regulars.customers.repository_verifications import Verification
from regulars.customers.schemas_verification import RetailCustomerVerification, VerificationResult
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Transactions
from regulars.kit.security import Principal
from regulars.kit.settings import Settings


async def verify_phone(
    database: Transactions,
    customer_id: UUID,
    proof: RetailCustomerVerification,
    *,
    by: Principal,
    settings: Settings,
    clock: Clock,
) -> VerificationResult:
    """Count the try, commit that, and only then look at the code: a wrong one stays counted although it is refused.

    Raises:
        CodeBurned: five codes were tried; ask for a new one.
        InvalidCode, InsufficientScope, NotFound, CustomerErased, Validation: see `ContactProofs.prove_phone()`.
    """
    counted: Verification | None = None
    if proof.code is not None:
        async with database.transaction() as connection:
            counted = await ContactProofs(connection, settings, clock).count_code(customer_id, by)
    async with database.transaction() as connection:
        customers = RetailCustomerService(connection, settings, clock)
        return await customers.verify_phone(customer_id, proof, by, counted=counted)
