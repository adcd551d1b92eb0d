"""What a customer likes: what was said, and beside it what the orders show."""

from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.orders.affinities import AffinityService
from regulars.preferences.models import PreferenceType
from regulars.preferences.schemas import CustomerPreferenceResponse
from regulars.preferences.service import PreferenceService


async def list_preferences(
    connection: Connection,
    customer_id: UUID,
    preference_type: PreferenceType | None,
    *,
    by: Principal,
    settings: Settings,
    clock: Clock,
) -> list[CustomerPreferenceResponse]:
    """What a customer stated, then the categories and brands that most was spent on, of all types or of one.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
    """
    stated = await PreferenceService(connection, clock).get_customer_preferences(customer_id, preference_type, by=by)
    shown = [CustomerPreferenceResponse.of(preference) for preference in stated]
    if preference_type not in (None, PreferenceType.SHOPPING):
        return shown
    found = await AffinityService(connection, settings).get_affinities(customer_id)
    derived = {"brands": found.brands, "categories": found.categories}
    return shown + [
        CustomerPreferenceResponse.derived(customer_id, key, [affinity.name for affinity in affinities])
        for key, affinities in derived.items()
        if affinities
    ]
