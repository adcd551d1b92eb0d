"""Invented people for real orders: names, cities, e-mail addresses and how they found the shop.

Everything follows from the seed, so that two demos show the same people. Addresses lie in domains that are reserved
for examples (RFC 2606): no mail can ever reach anybody.
"""

import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

from regulars.kit.lazy import load

# Where a mid-sized European shop has its customers: language (as mimesis names it), share, cities from large to small.
_markets = {
    "Germany": (
        "de",
        44,
        "Berlin Hamburg München Köln Frankfurt Leipzig Dresden Münster Freiburg",
    ),
    "France": (
        "fr",
        18,
        "Paris Marseille Lyon Toulouse Nice Nantes Strasbourg Bordeaux Lille Dijon Annecy",
    ),
    "Netherlands": (
        "nl",
        12,
        "Amsterdam Rotterdam Utrecht Eindhoven Groningen Tilburg Breda Haarlem Leiden",
    ),
    "Italy": ("it", 10, "Roma Milano Napoli Torino Palermo Genova Bologna Firenze Bari Verona Trieste Padova"),
    "Austria": ("de-at", 8, "Wien Graz Linz Salzburg Innsbruck Klagenfurt Villach Wels Dornbirn Bregenz"),
    "Spain": ("es", 8, "Madrid Barcelona Valencia Sevilla Zaragoza Málaga Murcia Bilbao Granada Vigo"),
}
_sources: dict[tuple[str, str | None], int] = {
    ("store", None): 22,
    ("organic_search", None): 20,
    ("paid_search", "brand"): 9,
    ("paid_search", "spring-sale"): 8,
    ("newsletter", "welcome-week"): 11,
    ("social", "reels-march"): 10,
    ("referral", "bring-a-friend"): 9,
    ("marketplace", None): 6,
    ("affiliate", "music-blogs"): 5,
}
_mail_domains = ["example.com", "example.org", "example.net"]


@dataclass(frozen=True)
class InventedPerson:
    """What the demo says about a customer. None of it belongs to anybody."""

    first_name: str
    last_name: str
    email: str
    city: str
    country: str
    date_of_birth: date | None
    acquisition_source: str
    acquisition_campaign: str | None


def invent_people(*, seed: int, today: date) -> Iterator[InventedPerson]:
    """An endless row of people; the same seed and day give the same people.

    Args:
        seed: Any whole number.
        today: The day against which ages are plausible.
    """
    genders = load("mimesis.enums", extra="demo").Gender
    chance = random.Random(seed)  # noqa: S311 - invented people need no secrets
    markets = [_Market(country, seed) for country in _markets]
    market_weights = list(accumulate(share for _, share, _ in _markets.values()))
    sources, source_weights = list(_sources), list(accumulate(_sources.values()))
    taken: Counter[str] = Counter()
    while True:
        market = chance.choices(markets, cum_weights=market_weights)[0]
        gender = chance.choice([genders.FEMALE, genders.MALE])
        first_name, last_name = market.names.first_name(gender=gender), market.names.last_name(gender=gender)
        source, campaign = chance.choices(sources, cum_weights=source_weights)[0]
        yield InventedPerson(
            first_name=first_name,
            last_name=last_name,
            email=_address(first_name, last_name, taken, chance),
            city=market.city(chance),
            country=market.country,
            date_of_birth=_birthday(today, chance),
            acquisition_source=source,
            acquisition_campaign=campaign,
        )


class _Market:
    """One country: its names, and cities of which few have many customers and most have few."""

    def __init__(self, country: str, seed: int) -> None:
        locale, _, cities = _markets[country]
        self.country = country
        self.names = load("mimesis", extra="demo").Person(locale, seed=seed)
        self._cities = cities.split()
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._cities) + 1)))

    def city(self, chance: random.Random) -> str:
        return chance.choices(self._cities, cum_weights=self._weights)[0]


def _address(first_name: str, last_name: str, taken: Counter[str], chance: random.Random) -> str:
    name = f"{_ascii(first_name)}.{_ascii(last_name)}"
    taken[name] += 1
    number = taken[name]
    return f"{name}{number if number > 1 else ''}@{chance.choice(_mail_domains)}"


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss"))
    return "".join(letter for letter in plain if letter.isascii() and letter.isalpha()) or "someone"


def _birthday(today: date, chance: random.Random) -> date | None:
    """Between 18 and 80 years ago, most about 40; a third of the customers never said."""
    age_in_days = int(chance.triangular(18.1, 80, 37) * 365.25)
    return today - timedelta(days=age_in_days) if chance.random() < 2 / 3 else None
