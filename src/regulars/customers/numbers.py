"""Customer numbers: `CUST-YYYYMMDD-XXXX`, the store's day and a counter of that day."""

from datetime import date

from regulars.customers.identifiers import CustomerNumber


def customer_number(day: date, position: int) -> CustomerNumber:
    """The number of the customer who came at this position (from 1) on this store day.

    The counter has four digits and grows when a day needs more: `CUST-20260615-0001`, `CUST-20260615-10000`.
    """
    return CustomerNumber(f"CUST-{day:%Y%m%d}-{position:04d}")
