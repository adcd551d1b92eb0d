#!/usr/bin/env bash
# The expected value of an order of a customer with one order does not depend on what that order was worth.
#
# Guess:     who paid 500 once is expected to pay more the next time than who paid 1 once.
# Behaviour: the usual summary counts repeat orders only, so that a customer with one order has frequency 0; the gamma-gamma
#            formula weighs a customer's own mean by that frequency, and all of them get the mean of the shop. In most
#            shops that is the majority of customers. The packaged summary of CDNOW has 0.00 as their spend.
# Version:   lifetimes 0.11.3 (numpy 2.4.6, pandas 3.1.1, scipy 1.17.1)
# Source:    GammaGammaFitter on the packaged sample of CDNOW
# Seen:      one order of 1.00: 35.17; one order of 500.00: 35.17; one repeat order: 11.43 and 358.14; 1411 of 2357 have one
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    lifetimes==0.11.3 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 autograd==1.9.1
seen=$("$folder/venv/bin/python" -W ignore - <<'PYTHON'
import pandas as pd
from lifetimes import GammaGammaFitter
from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

shop = load_cdnow_summary_data_with_monetary_value()
again = shop[shop.frequency > 0]
once = shop[shop.frequency == 0]
fit = GammaGammaFitter()
fit.fit(again.frequency, again.monetary_value)
mean = fit.conditional_expected_average_profit(pd.Series([0, 0, 1, 1]), pd.Series([1.0, 500.0, 1.0, 500.0]))
print("no repeat order:", *mean[:2].round(2))
print("one repeat order:", *mean[2:].round(2))
print(f"customers with one order: {len(once)} of {len(shop)}, their spend in the summary: {once.monetary_value.max():.2f}")
PYTHON
)
printf '%s\n' "$seen"
[ "$seen" = "no repeat order: 35.17 35.17
one repeat order: 11.43 358.14
customers with one order: 1411 of 2357, their spend in the summary: 0.00" ]
