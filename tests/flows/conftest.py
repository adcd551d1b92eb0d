"""A shop for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from regulars.kit.clock import Clock
from tests.conftest import _copy
from tests.flows.shop import Shop


@pytest.fixture
def shop(own_database_url: str, clock: Clock) -> Shop:
    return Shop(own_database_url, clock)


@pytest.fixture
def another_shop(server_url: str, template: str, clock: Clock) -> Iterator[Callable[[], Shop]]:
    """Opens shops beside the first, to compare with."""
    with ExitStack() as stack:
        yield lambda: Shop(stack.enter_context(_copy(server_url, template)), clock)
