#!/usr/bin/env bash
# More digits that agree are no proof: mpmath's hypergeometric function gives the same wrong value at 15 and at 80 digits.
#
# Guess:     a value that mpmath repeats with five times the digits is right; this is how reference tables are made.
# Behaviour: at parameters that a fit of purchases (MBG/NBD) reaches, 2F1 comes out at 9e+203 with 15 digits and with 80. With
#            160 digits it is 55.1, as Euler's integral says with 30. A table has to come from two different formulas, or from
#            an integral in which nothing cancels.
# Version:   mpmath 1.4.1
# Source:    2F1(2.16, 8104; 9164; 0.954)
# Seen:      15 and 80 digits: 9.1693827e+203; 160 digits and the integral: 55.127635
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mpmath==1.4.1
seen=$("$folder/venv/bin/python" - <<'PYTHON'
from mpmath import beta, hyp2f1, mp, mpf, nstr, quad

a, b, c, z = "2.16", "8104", "9164", ".954"
for digits in (15, 80, 160):
    with mp.workdps(digits):
        print(digits, nstr(hyp2f1(mpf(a), mpf(b), mpf(c), mpf(z)), 8))
with mp.workdps(30):
    a, b, c, z = map(mpf, (a, b, c, z))
    density = lambda t: t ** (b - 1) * (1 - t) ** (c - b - 1) / beta(b, c - b)
    print("integral", nstr(quad(lambda t: density(t) * (1 - z * t) ** -a, [0.8, 0.86, 0.884, 0.91, 0.96]), 8))
PYTHON
)
printf '%s\n' "$seen"
[ "$seen" = "15 9.1693827e+203
80 9.1693827e+203
160 55.127635
integral 55.127635" ]
