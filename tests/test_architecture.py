"""What linters cannot see: where SQL, the clock and commits may be, how large things grow, what every refusal says."""

from collections.abc import Iterator
from importlib import import_module

import pytest

from regulars.kit.errors import Refusal
from tests.structure import modules, rules

all_modules = list(modules())


@pytest.mark.parametrize("name", rules)
def test_no_module_offends_against(name: str) -> None:
    found = {module.name: offences for module in all_modules if (offences := list(rules[name](module)))}
    assert found == {}, rules[name].__doc__


def subclasses_of(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses_of(subclass)


@pytest.fixture(scope="module")
def refusals() -> list[type[Refusal]]:
    """Every kind of refusal; where they are defined is imported first."""
    for module in all_modules:
        if "(Refusal" in module.text or module.name.endswith("errors.py"):
            import_module(f"regulars.{module.name.removesuffix('.py').replace('/', '.')}")
    return list(subclasses_of(Refusal))


def test_every_refusal_says_in_one_sentence_what_happened(refusals: list[type[Refusal]]) -> None:
    assert len(refusals) > 50
    silent = [refusal.__name__ for refusal in refusals if not refusal.__doc__ or not refusal.title().endswith(".")]
    assert silent == []


def test_slugs_are_unique(refusals: list[type[Refusal]]) -> None:
    slugs = [refusal.slug() for refusal in refusals]
    assert len(slugs) == len(set(slugs))
