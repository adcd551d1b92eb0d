from datetime import date
from itertools import islice

from regulars.customers.identifiers import parse_email
from regulars.demo.people import invent_people

today = date(2026, 6, 15)


def test_the_same_seed_gives_the_same_people() -> None:
    first, second, other = (list(islice(invent_people(seed=seed, today=today), 50)) for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_nobody_real_can_get_mail() -> None:
    people = list(islice(invent_people(seed=7, today=today), 5000))
    assert {person.email.partition("@")[2] for person in people} == {"example.com", "example.org", "example.net"}
    assert len({person.email for person in people}) == len(people)
    assert all(parse_email(person.email) == person.email for person in people[:200])


def test_people_are_of_age() -> None:
    people = islice(invent_people(seed=7, today=today), 5000)
    born = [person.date_of_birth for person in people if person.date_of_birth]
    assert max(born) <= date(2008, 6, 15)
    assert min(born) > date(1945, 1, 1)
    assert 3000 < len(born) < 3600
