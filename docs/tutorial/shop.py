"""Write the files of an invented shop into the current folder: what a web shop and a stamp card might hand over.

The same customers, amounts and distances in days each time; the last day is yesterday, in UTC.
"""

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

first_names = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Liam")
last_names = ("Abend", "Birke", "Dorn", "Ebert", "Falk", "Garten", "Heide", "Imker", "Kiesel", "Linde")
cities = ("Berlin", "Hamburg", "Köln", "Leipzig")
people = 120
longest_ago = 540


def shop(today: date) -> dict[str, list[list[object]]]:
    """The files by name, each a list of rows with the header first."""
    chance = random.Random(1997)
    customers: list[list[object]] = [["customer_id", "email", "first_name", "last_name", "city", "created_at"]]
    orders: list[list[object]] = [["order_id", "customer_id", "ordered_at", "total"]]
    points: list[list[object]] = [["customer_id", "points", "expires_on"]]
    consents: list[list[object]] = [["email", "channel", "action", "occurred_at"]]
    for number in range(people):
        first, last = first_names[number % len(first_names)], last_names[number // len(first_names)]
        customer_id, email = f"W{number + 1:03}", f"{first}.{last}@example.com".lower()
        days = _order_days(chance)
        since = today - timedelta(days=days[0])
        customers.append([customer_id, email, first, last, chance.choice(cities), since])
        usual = chance.lognormvariate(3.4, 0.5)
        for day in days:
            total = max(3.0, usual * chance.lognormvariate(0, 0.3))
            orders.append([f"{customer_id}-{len(orders):04}", customer_id, today - timedelta(days=day), f"{total:.2f}"])
        if chance.random() < 0.15:
            points.append([customer_id, chance.randrange(50, 500, 10), today + timedelta(days=chance.randrange(5, 90))])
        if chance.random() < 0.8:
            consents.append([email, "email", "granted", f"{since}T12:00:00Z"])
        if chance.random() < 0.1:
            consents.append([email, "email", "withdrawn", f"{today - timedelta(days=2)}T12:00:00Z"])
    return {"customers.csv": customers, "orders.csv": orders, "points.csv": points, "consents.csv": consents}


def _order_days(chance: random.Random) -> list[int]:
    """Days ago of the orders of one customer, the first one first: each has a rhythm, and many stop unseen."""
    day, rhythm, stops = chance.randrange(5, longest_ago), chance.choice((14, 30, 60, 90)), chance.choice((0.1, 0.3))
    days = [day]
    while chance.random() > stops:
        day -= max(1, round(chance.expovariate(1 / rhythm)))
        if day < 1:
            break
        days.append(day)
    return days


def write(name: str, rows: Sequence[Iterable[object]]) -> None:
    """Write one file, and say so."""
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    print(f"{name}: {len(rows) - 1} lines")


if __name__ == "__main__":
    for name, rows in shop(datetime.now(UTC).date()).items():
        write(name, rows)
