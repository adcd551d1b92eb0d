"""Customers as a file: every match of the filters that a list takes."""

from collections.abc import Awaitable, Callable
from typing import IO

from regulars.customers.access import is_masked_for, require_filters_allowed
from regulars.customers.models import RetailCustomer
from regulars.customers.schemas import RetailCustomerResponse
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service_base import CustomerServiceBase
from regulars.kit.csv_files import Cell, Verbatim, csv_bytes
from regulars.kit.security import Principal

columns = tuple(RetailCustomerResponse.model_fields)
_verbatim = frozenset({"phone", "total_spent", "average_order_value", "clv"})


class CustomerExport(CustomerServiceBase):
    """Writing customers to files."""

    def count_for_export(
        self, filters: RetailCustomerSearchFilters, *, by: Principal
    ) -> Callable[[int], Awaitable[int]]:
        """What counts the customers that match, up to a bound.

        Raises:
            InsufficientScope: the filters ask for what the caller may not know.
        """
        require_filters_allowed(filters, by)
        return lambda at_most: self._customers.count_up_to(filters, self._clock, at_most)

    async def export_customers(self, filters: RetailCustomerSearchFilters, into: IO[bytes], *, by: Principal) -> int:
        """Write every customer that matches as CSV, in the order of the filters, and answer how many there were.

        The file shows one moment, and memory holds a few hundred customers at a time. Its columns are the fields of
        `RetailCustomerResponse`, masked as in every other answer; limit and offset do not count.

        Args:
            filters: Which customers.
            into: Where the file goes, as it comes.
            by: Who asks for it.

        Raises:
            InsufficientScope: the filters ask for what the caller may not know.
        """
        require_filters_allowed(filters, by)
        into.write(csv_bytes([columns]))
        rows = 0
        async for batch in self._customers.export_customers(filters, self._clock):
            into.write(csv_bytes(self._cells(customer, by) for customer in batch))
            rows += len(batch)
        await self._audit("export_customers", by, fields=sorted(filters.given()), facts={"rows": rows})
        return rows

    def _cells(self, customer: RetailCustomer, by: Principal) -> list[Cell]:
        values = RetailCustomerResponse.values_of(customer, self._settings, masked=is_masked_for(customer, by))
        return [_cell(name, values[name]) for name in columns]


def _cell(name: str, value: object) -> Cell:
    return Verbatim(value) if name in _verbatim and value is not None else value  # type: ignore[return-value]
