#!/usr/bin/env bash
# The number of decimals of a currency differs between ISO 4217 and the locale data that Babel prints amounts by.
#
# Guess:     get_currency_precision() gives the minor units of ISO 4217, and what format_currency() prints can be booked.
# Behaviour: Babel follows the locale data of CLDR, which drops minor units that shops hardly use any more. Amounts
#            that are legal in the ledger of a shop are rounded in print: 12.500 Iraqi dinars become 12.
# Version:   babel 2.19.0 beside py-moneyed 3.0, whose table is that of ISO 4217
# Source:    run on the currencies that both know
# Seen:      COP 0/2, HUF 0/2, IDR 0/2, IQD 0/3; "IQD12" for 12.500 and "HUF12" for 12.50
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check babel==2.19.0 py-moneyed==3.0
seen=$("$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal
from math import log10

from babel.numbers import format_currency, get_currency_precision
from moneyed import CURRENCIES

for code in ("COP", "HUF", "IDR", "IQD"):
    iso = round(log10(CURRENCIES[code].sub_unit))
    print(code, f"locale data {get_currency_precision(code)}, ISO 4217 {iso}")
print(format_currency(Decimal("12.500"), "IQD", locale="en"))
print(format_currency(Decimal("12.50"), "HUF", locale="en"))
PYTHON
)
printf '%s\n' "$seen"
[ "$seen" = "COP locale data 0, ISO 4217 2
HUF locale data 0, ISO 4217 2
IDR locale data 0, ISO 4217 2
IQD locale data 0, ISO 4217 3
IQD12
HUF12" ]
