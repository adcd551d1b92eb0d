#!/usr/bin/env bash
# A phone number that a spreadsheet turned into a number with a fraction is parsed as another phone number.
#
# Guess:     "+4930123456.0" is refused, or the ".0" is ignored.
# Behaviour: the point is taken for a separator and the zero for a digit, so that the result is a different number.
#            It is often "possible", and in countries whose numbers vary in length it is "valid": somebody else's.
# Version:   phonenumbers 9.0.34 (the Python port of libphonenumber)
# Source:    run on invented numbers of the columns that data frames write when one field of the column is empty
# Seen:      +4930123456.0 -> +49301234560 valid; +393331234567.0 -> +3933312345670 valid;
#            +919876543210.0 -> +9198765432100 possible
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check phonenumbers==9.0.34
seen=$("$folder/venv/bin/python" - <<'PYTHON'
from phonenumbers import PhoneNumberFormat, format_number, is_possible_number, is_valid_number, parse

for text in ("+4930123456.0", "+393331234567.0", "+919876543210.0"):
    number = parse(text, None)
    state = "valid" if is_valid_number(number) else "possible" if is_possible_number(number) else "impossible"
    print(text, format_number(number, PhoneNumberFormat.E164), state)
PYTHON
)
printf '%s\n' "$seen"
[ "$seen" = "+4930123456.0 +49301234560 valid
+393331234567.0 +3933312345670 valid
+919876543210.0 +9198765432100 possible" ]
