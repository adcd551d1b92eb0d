"""RFM and lifetime values by pandas and lifetimes, in an environment of their own: `beside_pandas.py URL DAY SEGMENTS`.

COPY of the orders out of the database, a row for each customer, fits as documented, predictions for a year, fifths, and
COPY into the empty customer_scores of the same server. Prints a JSON object of seconds by stage.
"""

import io
import json
import sys
import warnings
from time import perf_counter

import pandas as pd
import psycopg
from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter

copy_out = """
    COPY (
        SELECT customer_id, ordered_on, total - refunded_total AS net FROM orders
        WHERE cancelled_on IS NULL AND refunded_total < total AND ordered_on <= '{today}'
    ) TO STDOUT (FORMAT CSV, HEADER)
"""
copy_back = """
    COPY customer_scores (customer_id, recency_score, frequency_score, monetary_score, segment, clv, clv_method,
        expected_orders, rfm_scored_at, clv_scored_at) FROM STDIN (FORMAT CSV)
"""
window_days = 365


def main() -> None:
    """From orders to written scores."""
    warnings.simplefilter("ignore")
    url, today, segments = sys.argv[1], pd.Timestamp(sys.argv[2]), json.loads(sys.argv[3])
    began = last = perf_counter()
    seconds = {}

    def lap(stage: str) -> None:
        nonlocal last
        seconds[stage], last = round(perf_counter() - last, 2), perf_counter()

    with psycopg.connect(url) as connection:
        orders = fetched(connection, today)
        lap("copy_out")
        customers = summed_up(orders, today)
        lap("summary")
        del orders
        purchases, values = fitted(customers)
        lap("fit")
        predict(customers, purchases, values)
        lap("predict")
        rank(customers, segments)
        lap("rfm")
        write(connection, customers, today)
        connection.commit()
        lap("copy_back")
    seconds["total"] = round(perf_counter() - began, 2)
    print(json.dumps({"seconds": seconds, "customers": len(customers)}))


def fetched(connection, today):  # noqa: ANN001, ANN201 - a script for another environment
    """The orders that count."""
    received = io.BytesIO()
    with connection.cursor().copy(copy_out.format(today=today.date())) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    return pd.read_csv(received, dtype={"customer_id": "category", "net": float}, parse_dates=["ordered_on"])


def summed_up(orders, today):  # noqa: ANN001, ANN201
    """A row for each customer: what lifetimes' summary has, by plain grouping, which is faster, and RFM beside it."""
    days = orders.groupby(["customer_id", "ordered_on"], observed=True, sort=True)["net"].sum().reset_index()
    by_day = days.groupby("customer_id", observed=True)
    found = by_day.agg(
        first=("ordered_on", "min"), last=("ordered_on", "max"), days=("net", "size"), net=("net", "sum")
    )
    found["orders"] = orders.groupby("customer_id", observed=True).size()
    first_day = by_day["net"].first()
    found["frequency"] = found["days"] - 1
    found["recency"] = (found["last"] - found["first"]).dt.days / 7
    found["T"] = (today - found["first"]).dt.days / 7
    found["mean"] = ((found["net"] - first_day) / found["frequency"].where(found["frequency"] > 0)).fillna(0.0)
    return found


def fitted(customers):  # noqa: ANN001, ANN201
    """Both models, as lifetimes documents it: order values by those who came again."""
    purchases = ModifiedBetaGeoFitter(penalizer_coef=0.0)
    purchases.fit(customers["frequency"], customers["recency"], customers["T"])
    repeaters = customers[(customers["frequency"] > 0) & (customers["mean"] > 0)]
    values = GammaGammaFitter(penalizer_coef=0.0)
    values.fit(repeaters["frequency"], repeaters["mean"])
    return purchases, values


def predict(customers, purchases, values) -> None:  # noqa: ANN001
    """Orders and money of the window."""
    known = (customers["frequency"], customers["recency"], customers["T"])
    expected = purchases.conditional_expected_number_of_purchases_up_to_time(window_days / 7, *known)
    worth = values.conditional_expected_average_profit(customers["frequency"], customers["mean"])
    customers["expected_orders"] = expected.clip(lower=0)
    customers["clv"] = (customers["expected_orders"] * worth).clip(lower=0).round(4)


def rank(customers, segments) -> None:  # noqa: ANN001
    """Fifths and segments."""
    for name, measure in {
        "r": customers["last"].rank(method="min", pct=False),
        "f": customers["orders"].rank(method="min"),
        "m": customers["net"].rank(method="min"),
    }.items():
        customers[name] = (1 + (5 * (measure - 1) // len(customers))).clip(upper=5).astype(int)
    customers["segment"] = (customers["r"] * 100 + customers["f"] * 10 + customers["m"]).astype(str).map(segments)


def write(connection, customers, today) -> None:  # noqa: ANN001
    """The scores, into an empty table."""
    customers["method"], customers["scored_at"] = "model", today.isoformat()
    columns = ["r", "f", "m", "segment", "clv", "method", "expected_orders", "scored_at", "scored_at"]
    text = customers[columns].to_csv(header=False).encode()
    with connection.cursor().copy(copy_back) as copy:
        copy.write(text)


if __name__ == "__main__":
    main()
