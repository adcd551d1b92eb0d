"""If-Match: who says what they have read overwrites nothing else."""

import pytest

from regulars.kit.errors import PreconditionFailed
from regulars.kit.preconditions import any_version, etag_of, parse_if_match


@pytest.mark.parametrize("text", ['"7"', ' "7" ', "*", " * ", '"1", "7"', 'W/"7", "7"', '"a,b" , "7"'])
def test_the_version_of_now_is_let_through(text: str) -> None:
    parse_if_match(text).require(7)


@pytest.mark.parametrize(
    "text", ['"8"', 'W/"7"', "7", '"7', "'7'", "", '"7" "8"', '*, "7"', '"07"', '"7",', 'W/ "7"', 'w/"7"', '"x"7""']
)
def test_anything_else_is_refused_with_the_version_of_now(text: str) -> None:
    with pytest.raises(PreconditionFailed) as refused:
        parse_if_match(text).require(7)
    assert refused.value.answer_headers() == {"ETag": '"7"'}


def test_without_a_condition_any_version_will_do() -> None:
    any_version.require(7)
    assert etag_of(7) == '"7"'
