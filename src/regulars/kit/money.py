"""Money is a `Decimal` in the one currency of the installation; it is rounded once, at output."""

from decimal import ROUND_HALF_UP, Decimal

# ISO 4217: active currencies and the digits of their minor unit; those that are not listed in full have two.
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_TWO_DIGITS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS
KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TOP TRY
TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG
"""
currencies: dict[str, int] = {
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
}


def minor_units(currency: str) -> int:
    """How many digits the currency has after the point.

    Raises:
        ValueError: not an active ISO 4217 code.
    """
    if currency not in currencies:
        message = "not a currency code of ISO 4217; use one such as EUR"
        raise ValueError(message)
    return currencies[currency]


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the minor units of the currency."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), rounding=ROUND_HALF_UP)


def format_money(amount: Decimal, currency: str) -> str:
    """The amount as the API writes it: exactly the minor units, no exponent, no grouping."""
    return f"{round_money(amount, currency):f}"
