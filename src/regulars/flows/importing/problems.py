"""Why a line is rejected: a stable code for programs and a sentence for people, which repeats no value of the file."""

from regulars.flows.importing.rows import money_fields
from regulars.kit.money import minor_units

_money = {
    "missing": "{field} is missing",
    "negative": "{field} is negative",
    "decimals": "{field} has more than the {digits} decimals of {currency}",
    "format": "{field} is not an amount such as {example}: digits, a point, no grouping, below a million million",
}
_sentences = {
    "unreadable-row": "the line cannot be read: a quote is not closed or misplaced, or it holds a NUL character",
    "masked-row": "the line hides who the customer is: export as a user who sees names and contacts",
    "column-count": "the line does not have as many values as the header",
    "unreadable-json": "the line is not one JSON object",
    "value-type": "a value of the JSON object has the wrong type: all are texts or numbers, but for the list lines",
    "order-id-missing": "order_id is missing",
    "order-id-length": "order_id is longer than 200 characters",
    "order-repeated": "order_id stands in an earlier line with other content",
    "order-of-another-customer": "order_id is known as an order of another customer",
    "order-cancelled": "the order is cancelled; a cancelled order is not taken up again",
    "order-refunded": "total is below what was already refunded on this order",
    "ordered-at-missing": "ordered_at is missing",
    "ordered-at-format": "ordered_at is not a date or time such as 2026-01-31 or 2026-01-31T14:30:00+01:00",
    "ordered-at-range": "ordered_at is before 1900 or in the future",
    "total-points": "the order would earn more points than one order can",
    "currency-mismatch": "currency is not {currency}, the currency of this installation",
    "status-unknown": "status is none of paid, fulfilled, pending, cancelled",
    "customer-missing": "the line names no customer: it needs customer_id, email, phone or customer_number",
    "customer-shared": "the line names its customer only by an address or number that several people share",
    "customer-id-length": "customer_id is longer than 200 characters",
    "customer-unknown": "the line names nobody who is known",
    "customer-conflict": "customer_id and the other identifiers belong to different customers",
    "email-format": "email is not an e-mail address such as name@example.com",
    "email-taken": "email belongs to another customer",
    "phone-format": "phone is not a phone number with country code such as +4930123456",
    "phone-taken": "phone belongs to another customer",
    "profile-length": "a name, place or campaign is longer than 100 characters, an address line than 200, gender than"
    " 50, or postal_code than 20",
    "profile-characters": "a name, place or campaign holds control characters",
    "date-of-birth-format": "date_of_birth is not a past day such as 1990-05-31, from 1900",
    "customer-repeated": "an earlier line is of the same customer",
    "created-at-format": "created_at is not a date or time such as 2026-01-31 or 2026-01-31T14:30:00+01:00",
    "created-at-range": "created_at is before 1900 or in the future",
    "tags-format": "tags are not a JSON list, or words between bars, of up to 50 characters each",
    "tags-number": "the customer would have more than 50 tags",
    "external-ids-format": "external_ids is not a JSON object of systems and the customer's ids in them",
    "external-id-taken": "an id of external_ids belongs to another customer",
    "referrer-unknown": "referrer is neither a known customer nor one of this file",
    "referrer-circle": "referrer leads back to the customer: each brought the next",
    "referrer-self": "referrer is the customer",
    "sku-missing": "sku is missing",
    "sku-length": "sku is longer than 200 characters",
    "product-length": "name, brand, category or department is longer than 200 characters",
    "product-characters": "a text holds control characters, or shows nothing",
    "points-format": "points are not a whole number from 1 to 10,000,000",
    "points-expired": "the points have expired already",
    "points-in-part": "another line of the same customer is rejected, and balances are brought in whole",
    "expires-on-format": "expires_on is not a day such as 2027-12-31, up to 2999; points that never expire have none",
    "channel-length": "channel is longer than 100 characters",
    "cash-rounding-format": "cash_rounding is not an amount such as -0.02, below 1000, with at most the decimals of"
    " {currency}",
    "lines-format": "lines is not a list of at most 500 lines, each with sku, quantity, and unit_price or total, or"
    " one of these is too large",
    "lines-sum": "the order lines do not add up to the total",
}


unreadable_rows = frozenset(["unreadable-row", "column-count", "unreadable-json", "value-type"])
"""What is wrong with a row of which no value is known."""


def money_code(field: str, kind: str) -> str:
    """The code of a problem with an amount: `discount-total-negative`."""
    return f"{field.replace('_', '-')}-{kind}"


def sentences(currency: str) -> dict[str, str]:
    """Every code with its sentence, for an installation with this currency."""
    digits = minor_units(currency)
    example = f"{19.99:.{digits}f}"
    known = {code: text.format(currency=currency) for code, text in _sentences.items()}
    for field in set(money_fields) - {"cash_rounding"}:  # that may be below zero, and has its sentence above
        for kind, text in _money.items():
            known[money_code(field, kind)] = text.format(field=field, digits=digits, currency=currency, example=example)
    return known
