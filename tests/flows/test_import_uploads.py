"""What an import over HTTP says: how far it is, and what it could not take."""

from io import BytesIO

import pytest

from regulars.flows.import_uploads import import_upload, per_cent
from regulars.flows.importing.result import Progress
from tests.flows.shop import Shop


@pytest.mark.parametrize(
    ("progress", "lines", "expected"),
    [
        (Progress("reading", 0), 0, 0),
        (Progress("reading", 500), 1_000, 15),
        (Progress("reading", 1_000), 999, 30),
        (Progress("checking", 0, 1_000), 1_000, 30),
        (Progress("waiting", 0, 1_000), 1_000, 30),
        (Progress("writing", 500, 1_000), 1_000, 65),
        (Progress("writing", 1_000, 1_000), 1_000, 100),
        (Progress("writing", 0, 0), 0, 30),
    ],
)
def test_reading_takes_a_third_and_writing_the_rest(progress: Progress, lines: int, expected: int) -> None:
    assert per_cent(progress, lines) == expected


async def test_a_line_with_several_faults_has_an_entry_for_each(shop: Shop) -> None:
    file = BytesIO(b"order_id,ordered_at,total,phone\n1,2026-01-02,-10,12\n2,2026-01-02,5,+4930123456\n")
    result = await import_upload(shop.url, file, "text/csv", source="web", settings=shop.settings, clock=shop.clock)
    assert (result.created, result.failed) == (1, 1)
    assert [(error.line, error.code) for error in result.errors] == [(2, "phone-format"), (2, "total-negative")]
