"""Somebody asks for the erasure of a person: who it is must be sure, for it cannot be undone."""

from uuid import UUID

from regulars.accounts.password_changes import PasswordService
from regulars.customers.access import require_own_or
from regulars.flows.erase_customer import Erasures, Request
from regulars.kit.clock import Clock
from regulars.kit.database import Transactions
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.security import Principal
from regulars.kit.validation import Validation
from regulars.privacy.models import Erasure
from regulars.privacy.schemas import ErasureRequest


class ErasuresOnRequest:
    """Erasures that callers ask for. Customers who erase themselves show by their password that it is they."""

    def __init__(self, database: Transactions, clock: Clock, erasures: Erasures, passwords: PasswordService) -> None:
        self._database = database
        self._clock = clock
        self._erasures = erasures
        self._passwords = passwords

    async def erase(self, customer_id: UUID, request: ErasureRequest, *, by: Principal) -> Erasure:
        """Erase a person now.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            Validation: the customer has another number, or the password is missing, wrong, or not asked for.
            TooManyAttempts: 20 attempts at the customer's login failed within the last hour.
        """
        await self._prove(customer_id, request, by)
        return await self._erasures.erase(customer_id, _inner(request, by))

    async def start_job(self, customer_id: UUID, request: ErasureRequest, *, by: Principal) -> Job:
        """Start a job that erases a person; refuses as `erase()` does, at once."""
        await self._prove(customer_id, request, by)
        async with self._database.transaction() as connection:
            await self._erasures.require_erasable(connection, customer_id, _inner(request, by))
            return await Jobs(connection, self._clock).start(
                "erase_customer", by=by, arguments={"reason": request.reason}, customer_id=customer_id
            )

    async def _prove(self, customer_id: UUID, request: ErasureRequest, by: Principal) -> None:
        if by.may("customers:erase"):
            if request.password is not None:
                raise Validation.at("/password", "range", "is for customers who erase themselves")
            return
        require_own_or("customers:erase", customer_id, by)
        if request.password is None:
            raise Validation.at("/password", "missing", "is required")
        await self._passwords.prove_own(by, request.password)


def _inner(request: ErasureRequest, by: Principal) -> Request:
    return Request(request.reason, by, request.customer_number)
