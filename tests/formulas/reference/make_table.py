"""Writes the tables of exact values beside this program, against which the tests hold the formulas.

`python tests/formulas/reference/make_table.py` draws parameters from the whole box that a search for parameters may
reach, and customers to go with them, always the same ones. Each value is computed with more and more points,
twice as many each time, until two in a row agree, and then with twice the digits, until those agree with them.

Expected purchases are an integral here, unlike in the literature: mpmath's hypergeometric function, by which that has
them, is off by hundreds of orders near the corners of the box, with 15 digits as with 80, or gives up.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from multiprocessing import Pool
from pathlib import Path
from random import Random
from typing import TypeAlias

from mpmath import mp, mpf

Row: TypeAlias = Mapping[str, str]
Formula: TypeAlias = Callable[[Mapping[str, mpf], bool, int], mpf]

here = Path(__file__).parent
farthest = 9.0
"""As in `regulars.formulas.climbing`."""

drawn_sets = 2000
least_digits, most_points = 30, 4096
agreement, final_agreement = mpf("1e-7"), mpf("1e-11")
"""Of two values, one with twice the points of the other: the error of the second is about the square of the first's."""
tiny = mpf("1e-40")
"""Values below are 0 for every purpose: nobody looks for their digits."""

purchase_names = ("model", "r", "alpha", "a", "b", "x", "t_x", "T", "horizon")
purchase_values = ("alive", "expected_if_alive", "chance_if_alive")
value_names, value_values = ("p", "q", "gamma", "x", "mean"), ("expected_mean",)

# Values that were found wrong once, and the fits of real shops.
known_sets = (
    ("mbgnbd", "2.16", "2.51", "1061", "8103", "0", "0", "0", "365"),
    ("mbgnbd", "0.0278", "0.978", "7726", "8103", "0", "0", "100", "365"),
    ("mbgnbd", "0.9399016826", "0.3926713959", "147.1949879", "0.5025300958", "0", "0", "0", "365"),
    ("bgnbd", "3.4815", "8.5727", "4548.4", "11.938", "0", "0", "2000", "365"),
    ("mbgnbd", "1.1368", "31.5046", "1921.08", "8103.08", "0", "0", "259", "270"),
    ("mbgnbd", "1.1368", "31.5046", "1921.08", "8103.08", "3", "200", "259", "365"),
    ("bgnbd", "0.2426", "4.4136", "0.7929", "2.4259", "2", "213", "273", "273"),
    ("mbgnbd", "0.6376", "7.314", "0.8109", "1.232", "2", "213", "273", "273"),
    ("mbgnbd", "1.407", "1.37", "0.03555", "35.84", "40", "200", "273", "91"),
    ("bgnbd", "0.5", "10", "0.5", "0.5", "0", "0", "100", "90"),
    ("mbgnbd", "1", "1", "2", "1", "1000", "0", "0", "365"),
)


def main() -> None:
    """Write both tables."""
    rows = list(purchase_rows(Random(1)))  # noqa: S311 - nothing here is a secret
    with Pool() as pool:
        exact = pool.map(with_purchases, rows, chunksize=8)
    write("purchases.csv", purchase_names + purchase_values, exact)
    write("values.csv", value_names + value_values, [with_mean(row) for row in value_rows(Random(2))])  # noqa: S311


def purchase_rows(chance: Random) -> Iterator[Row]:
    """Parameters and customers: the known ones, the corners and edges of the box, and many from all over it."""
    for known in known_sets:
        yield dict(zip(purchase_names, known, strict=True))
    for model, logs in product(("mbgnbd", "bgnbd"), product((-farthest, farthest), repeat=4)):
        for _ in range(4):
            yield purchase_row(chance, model, logs)
    for _ in range(drawn_sets):
        logs = tuple(chance.uniform(-farthest, farthest) for _ in range(4))
        stuck = chance.randrange(8)  # every other set lies on a side of the box, as where a search ends
        if stuck < 4:
            at_side = chance.choice((-farthest, farthest))
            logs = tuple(at_side if place == stuck else log for place, log in enumerate(logs))
        yield purchase_row(chance, chance.choice(("mbgnbd", "bgnbd")), logs)
    for _ in range(200):  # around a = 1, where the literature's formula has a hole
        row = dict(purchase_row(chance, chance.choice(("mbgnbd", "bgnbd")), [chance.uniform(-4, 4) for _ in range(4)]))
        yield row | {"a": chance.choice(("1", "1.0000001", "0.99999", "1.001", "2", "0.5"))}
    for _ in range(300):  # what ordinary shops have
        yield purchase_row(chance, chance.choice(("mbgnbd", "bgnbd")), [chance.uniform(-3, 3.5) for _ in range(4)])


def purchase_row(chance: Random, model: str, logs: "list[float] | tuple[float, ...]") -> Row:
    """A customer for these parameters."""
    x = chance.choice((0, 0, 1, 2, 5, chance.randrange(100), chance.randrange(2001), 2000))
    age = chance.choice((0, 1, chance.randrange(400), chance.randrange(4000), chance.randrange(10_001), 10_000))
    last = chance.choice((age, age, max(age - chance.randrange(60), 0), chance.randrange(age + 1))) if x else 0
    horizon = chance.choice((1, 30, 90, 365, 365, 3650))
    return dict(zip(purchase_names, (model, *map(_parameter, logs), *map(str, (x, last, age, horizon))), strict=True))


def _parameter(log: float) -> str:
    """Six digits, within the box."""
    inside = min(max(log, -farthest + 1e-6), farthest - 1e-6)
    return f"{mp.nstr(mp.exp(inside), 6)}"


def with_purchases(row: Row) -> Row:
    """The row with its values."""
    return {
        **row,
        "alive": exactly(alive, row),
        "expected_if_alive": exactly(expected_if_alive, row),
        "chance_if_alive": exactly(chance_if_alive, row),
    }


def exactly(formula: Formula, row: Row) -> str:
    """The value of a formula on which two computations agree, the second with twice the digits and points."""
    given = {name: text for name, text in row.items() if name != "model"}
    points, before = 2, None
    while points <= most_points:
        found = _computed(formula, row, given, least_digits, points)
        if before is not None and abs(found - before) <= agreement * abs(found) + tiny:
            finer = _computed(formula, row, given, 2 * least_digits, 2 * points)
            if abs(finer - found) <= final_agreement * abs(finer) + tiny:
                return str(mp.nstr(finer, 12))
        before, points = found, points * 2
    raise ArithmeticError(f"{formula.__name__} does not settle on a value for {row}")


def _computed(formula: Formula, row: Row, given: Mapping[str, str], digits: int, points: int) -> mpf:
    with mp.workdps(digits):
        return formula({name: mpf(text) for name, text in given.items()}, row["model"] == "mbgnbd", points)


def alive(given: Mapping[str, mpf], with_early_stops: bool, points: int) -> mpf:
    """That the customer has not stopped (2005, in equation 10; 2007, equation 5)."""
    x, b = given["x"], given["b"]
    if not with_early_stops and x == 0:
        return mpf(1)
    stays = b + x if with_early_stops else b + x - 1
    silence = ((given["alpha"] + given["T"] / 7) / (given["alpha"] + given["t_x"] / 7)) ** (given["r"] + x)
    return 1 / (1 + given["a"] / stays * silence)


def expected_if_alive(given: Mapping[str, mpf], with_early_stops: bool, points: int) -> mpf:
    """Purchases of a customer who has not stopped (2005, equation 10; 2007, equation 6).

    The mean over the chance p to stop after a purchase, of (1 - (now / (now + p ahead))^n) / p. The variable is
    `v = log(p / (1 - p))`, stretched so that both ends of the integral fall off double exponentially; all terms of the
    sum are above 0.

    Args:
        given: Parameters and customer.
        with_early_stops: Whether customers may stop after their first purchase already, as MBG/NBD has it.
        points: Of the integral, in each unit of the stretched variable.
    """
    n, ahead, now = given["r"] + given["x"], given["horizon"] / 7, given["alpha"] + given["T"] / 7
    a, stays = given["a"], given["b"] + given["x"] + with_early_stops
    width = min(mp.sqrt(1 / a + 1 / stays), mpf(1))
    step, middle, scale = mpf(1) / points, mp.log(a / stays), mp.log(mp.beta(a, stays))

    def term(place: int) -> mpf:
        v = middle + width * mp.sinh(place * step)
        log_p, log_rest = -mp.log1p(mp.exp(-v)), -mp.log1p(mp.exp(v))
        p = mp.exp(log_p)
        purchases = -mp.expm1(-n * mp.log1p(p * ahead / now)) / p
        return mp.exp(a * log_p + stays * log_rest - scale) * purchases * width * mp.cosh(place * step) * step

    total = term(0)
    for direction in (1, -1):
        place, last = direction, total
        while last > total * mp.eps:
            last = term(place)
            total, place = total + last, place + direction
    return total


def chance_if_alive(given: Mapping[str, mpf], _: bool, __: int) -> mpf:
    """That a customer who has not stopped buys within the horizon."""
    now = given["alpha"] + given["T"] / 7
    return 1 - (now / (now + given["horizon"] / 7)) ** (given["r"] + given["x"])


def value_rows(chance: Random) -> Iterator[Row]:
    """Parameters of order values, and customers to go with them."""
    for _ in range(400):
        p, q, gamma = (_parameter(chance.uniform(-farthest, farthest)) for _ in range(3))
        x, mean = chance.choice((0, 1, 2, chance.randrange(2001))), chance.choice(("0.01", "19.99", "123456.78"))
        if mpf(p) * x + mpf(q) > 1:
            yield dict(zip(value_names, (p, q, gamma, str(x), mean), strict=True))


def with_mean(row: Row) -> Row:
    """The row with the expected worth of a purchase (2013, equation 5)."""
    with mp.workdps(60):
        p, q, gamma, x, mean = (mpf(row[name]) for name in value_names)
        return {**row, "expected_mean": str(mp.nstr(p * (gamma + x * mean) / (p * x + q - 1), 14))}


def write(name: str, columns: tuple[str, ...], rows: list[Row]) -> None:
    """A table beside this program."""
    with (here / name).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
