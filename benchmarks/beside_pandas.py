"""Scores and values by pandas and lifetimes, run by the Python of the peers: `beside_pandas.py URL DAY CELLS.csv`.

What is usual without us: orders out of the server by COPY, a summary of each customer, quintiles, the fits of MBG/NBD
(fed with grouped rows) and gamma-gamma, the forecast of a year, and COPY back into customer_scores. Prints a JSON
object of seconds by stage.
"""

import io
import json
import sys
import warnings
from time import perf_counter

import pandas as pd
import psycopg
from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter
from psycopg import sql

orders_sql = """
    COPY (
        SELECT customer_id, ordered_on, total - refunded_total AS net FROM orders
        WHERE cancelled_on IS NULL AND refunded_total < total AND ordered_on <= {}
    ) TO STDOUT (FORMAT csv, HEADER)
"""
scores_sql = """
    COPY customer_scores (customer_id, recency_score, frequency_score, monetary_score, segment, clv, clv_method,
        rfm_scored_at, clv_scored_at) FROM STDIN (FORMAT csv)
"""


def main() -> None:
    """Do it, a stage after the other."""
    warnings.simplefilter("ignore")
    url, day, cells = sys.argv[1:]
    seconds: dict[str, float] = {}
    began = last = perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        seconds[stage], last = round(perf_counter() - last, 2), perf_counter()

    with psycopg.connect(url) as connection:
        orders = read_orders(connection, day)
        done("read")
        shop = summary(orders, pd.Timestamp(day))
        done("facts")
        score(shop, pd.read_csv(cells))
        done("scores")
        value(shop)
        done("model")
        write(connection, shop.assign(clv_method="seed", at=f"{day}T12:00:00Z"))
        done("write")
    seconds["total"] = round(perf_counter() - began, 2)
    print(json.dumps(seconds))


def read_orders(connection: psycopg.Connection, day: str) -> pd.DataFrame:
    """All orders that count until that day."""
    text = io.BytesIO()
    with connection.cursor().copy(sql.SQL(orders_sql).format(day)) as copy:
        for block in copy:
            text.write(block)
    text.seek(0)
    orders = pd.read_csv(text, engine="pyarrow", dtype={"net": "float64"}, parse_dates=["ordered_on"])
    return orders.assign(customer_id=orders["customer_id"].astype("category"))


def summary(orders: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """A row for each customer."""
    customers = orders.groupby("customer_id", observed=True, sort=False)
    shop = customers.agg(
        orders=("net", "size"), net=("net", "sum"), first=("ordered_on", "min"), latest=("ordered_on", "max")
    )
    days = orders[["customer_id", "ordered_on"]].drop_duplicates().groupby("customer_id", observed=True, sort=False)
    shop["x"] = days.size() - 1
    shop["t_x"], shop["T"] = (shop["latest"] - shop["first"]).dt.days / 7, (day - shop["first"]).dt.days / 7
    shop["recency"] = (day - shop["latest"]).dt.days
    return shop.reset_index()


def score(shop: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Quintiles of the three facts, and the segment of each customer."""
    for column, fact in {"r": -shop["recency"], "f": shop["orders"], "m": shop["net"]}.items():
        shop[column] = pd.qcut(fact.rank(method="first"), 5, labels=False) + 1
    shop["segment"] = shop[["r", "f", "m"]].merge(cells, how="left", on=["r", "f", "m"])["segment"].to_numpy()


def value(shop: pd.DataFrame) -> None:
    """Orders to expect in a year times what an order is worth."""
    grouped = shop.groupby(["x", "t_x", "T"], as_index=False).size()
    purchases = ModifiedBetaGeoFitter()
    purchases.fit(grouped["x"], grouped["t_x"], grouped["T"], weights=grouped["size"])
    expected = purchases.conditional_expected_number_of_purchases_up_to_time(52, shop["x"], shop["t_x"], shop["T"])
    mean = shop["net"] / (shop["x"] + 1)
    again = shop[(shop["x"] > 0) & (mean > 0)]
    worth = GammaGammaFitter()
    worth.fit(again["x"], mean[again.index])
    ahead = expected * worth.conditional_expected_average_profit(shop["x"], mean)
    shop["clv"] = ahead.clip(lower=0).fillna(0).round(4)


def write(connection: psycopg.Connection, shop: pd.DataFrame) -> None:
    """All rows back by COPY."""
    rows = shop[["customer_id", "r", "f", "m", "segment", "clv", "clv_method", "at", "at"]]
    with connection.cursor().copy(scores_sql) as copy:
        copy.write(rows.to_csv(header=False, index=False))
    connection.commit()


if __name__ == "__main__":
    main()
