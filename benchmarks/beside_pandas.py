"""Scores and values by pandas and lifetimes, run by the Python of the peers: `beside_pandas.py WAY URL DAY CELLS.csv`.

What is usual without us, in two ways. `documented` is what the pages of both packages show: read_sql, lifetimes' own
summary of transactions, fits over a row for each customer, its customer_lifetime_value(), to_sql. `tuned` is what an
expert makes of it: COPY and Arrow out of the server, one pass of grouping, fits over grouped rows, the forecast of a
year times the mean, COPY back. Both make quintiles, MBG/NBD and gamma-gamma, and write a row of customer_scores for
each customer. Prints a JSON object of seconds by stage.
"""

import io
import json
import sys
import warnings
from time import perf_counter

import pandas as pd
import psycopg
from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter
from lifetimes.utils import summary_data_from_transaction_data
from psycopg import sql
from sqlalchemy import Uuid, create_engine

orders_sql = """
    SELECT customer_id{}, ordered_on, total - refunded_total AS net FROM orders
    WHERE cancelled_on IS NULL AND refunded_total < total AND ordered_on <= {}
"""
columns = (
    "customer_id",
    "recency_score",
    "frequency_score",
    "monetary_score",
    "segment",
    "clv",
    "clv_method",
    "rfm_scored_at",
    "clv_scored_at",
)


def main() -> None:
    """Do it, a stage after the other."""
    warnings.simplefilter("ignore")
    way, url, day, cells = sys.argv[1:]
    read, summary, value, write = ways[way]
    seconds: dict[str, float] = {}
    began = last = perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        seconds[stage], last = round(perf_counter() - last, 2), perf_counter()

    orders = read(url, day)
    done("read")
    shop = summary(orders, pd.Timestamp(day))
    done("facts")
    score(shop, pd.read_csv(cells))
    done("scores")
    value(shop)
    done("model")
    at = pd.Timestamp(day, tz="UTC")
    write(url, shop.assign(clv_method="model", rfm_scored_at=at, clv_scored_at=at)[list(columns)])
    done("write")
    seconds["total"] = round(perf_counter() - began, 2)
    print(json.dumps(seconds))


def engine_of(url: str):  # noqa: ANN201 - a script for another environment
    """What pandas asks for to reach a server."""
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))


def read_by_sql(url: str, day: str) -> pd.DataFrame:
    """All orders that count until that day, as pandas.read_sql brings them."""
    return pd.read_sql(orders_sql.format("::text", f"'{day}'"), engine_of(url), parse_dates=["ordered_on"])


def read_by_copy(url: str, day: str) -> pd.DataFrame:
    """The same by COPY, parsed by Arrow."""
    text = io.BytesIO()
    statement = sql.SQL(f"COPY ({orders_sql}) TO STDOUT (FORMAT csv, HEADER)").format(sql.SQL(""), day)
    with psycopg.connect(url) as connection, connection.cursor().copy(statement) as copy:
        for block in copy:
            text.write(block)
    text.seek(0)
    orders = pd.read_csv(text, engine="pyarrow", dtype={"net": "float64"}, parse_dates=["ordered_on"])
    return orders.assign(customer_id=orders["customer_id"].astype("category"))


def summary_by_lifetimes(orders: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """A row for each customer: what lifetimes needs by its own function, and what quintiles need."""
    bought = orders.groupby("customer_id").agg(orders=("net", "size"), net=("net", "sum"), latest=("ordered_on", "max"))
    shop = summary_data_from_transaction_data(
        orders, "customer_id", "ordered_on", "net", observation_period_end=day
    ).join(bought)
    return shop.assign(since=(day - shop["latest"]).dt.days).reset_index()


def summary_by_hand(orders: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The same in one pass of grouping, and one for the days."""
    customers = orders.groupby("customer_id", observed=True, sort=False)
    shop = customers.agg(
        orders=("net", "size"), net=("net", "sum"), first=("ordered_on", "min"), latest=("ordered_on", "max")
    )
    days = orders[["customer_id", "ordered_on"]].drop_duplicates().groupby("customer_id", observed=True, sort=False)
    shop["x"] = days.size() - 1
    shop["t_x"], shop["T"] = (shop["latest"] - shop["first"]).dt.days / 7, (day - shop["first"]).dt.days / 7
    shop["since"] = (day - shop["latest"]).dt.days
    return shop.reset_index()


def score(shop: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Quintiles of the three facts, and the segment of each customer."""
    facts = {"recency_score": -shop["since"], "frequency_score": shop["orders"], "monetary_score": shop["net"]}
    for column, fact in facts.items():
        shop[column] = pd.qcut(fact.rank(method="first"), 5, labels=False) + 1
    shop["segment"] = shop[list(facts)].merge(cells, how="left", on=list(facts))["segment"].to_numpy()


def value_by_lifetimes(shop: pd.DataFrame) -> None:
    """Values as the page of lifetimes makes them: a row for each customer, a year in twelve steps."""
    history = (shop["frequency"], shop["recency"], shop["T"])
    purchases = ModifiedBetaGeoFitter()
    purchases.fit(*history)
    again = shop[(shop["frequency"] > 0) & (shop["monetary_value"] > 0)]
    worth = GammaGammaFitter()
    worth.fit(again["frequency"], again["monetary_value"])
    ahead = worth.customer_lifetime_value(
        purchases, *history, shop["monetary_value"], time=12, discount_rate=0, freq="D"
    )
    shop["clv"] = ahead.clip(lower=0).fillna(0).round(4)


def value_by_groups(shop: pd.DataFrame) -> None:
    """Orders to expect in a year times what an order is worth; histories that are alike are fitted together."""
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


def write_by_sql(url: str, rows: pd.DataFrame) -> None:
    """All rows back as DataFrame.to_sql sends them."""
    rows.to_sql(
        "customer_scores", engine_of(url), if_exists="append", index=False, dtype={"customer_id": Uuid(as_uuid=False)}
    )


def write_by_copy(url: str, rows: pd.DataFrame) -> None:
    """The same by COPY."""
    statement = sql.SQL("COPY customer_scores ({}) FROM STDIN (FORMAT csv)")
    with psycopg.connect(url) as connection:
        with connection.cursor().copy(statement.format(sql.SQL(", ").join(map(sql.Identifier, columns)))) as copy:
            copy.write(rows.to_csv(header=False, index=False))
        connection.commit()


ways = {
    "documented": (read_by_sql, summary_by_lifetimes, value_by_lifetimes, write_by_sql),
    "tuned": (read_by_copy, summary_by_hand, value_by_groups, write_by_copy),
}


if __name__ == "__main__":
    main()
