"""Well-known keys: what they take, and that their page tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from regulars.preferences.catalogue import WellKnownKey, checked_value, well_known
from regulars.preferences.models import PreferenceType

page = Path(__file__).parents[2] / "docs" / "reference" / "preference-keys.md"


def test_the_page_lists_every_key_as_the_code_has_it() -> None:
    rows = [
        f"| `{known.preference_type}` | `{known.key}` | {known.meaning} | {known.form} "
        f"| `{json.dumps(known.example, ensure_ascii=False)}` |"
        for known in well_known.values()
    ]
    assert [line for line in page.read_text().splitlines() if line.startswith("| `")] == rows


@pytest.mark.parametrize("known", well_known.values(), ids=lambda known: f"{known.preference_type}-{known.key}")
def test_a_key_takes_its_example_and_neither_null_nor_a_number(known: WellKnownKey) -> None:
    assert known.checked(known.example) == known.example
    for wrong in (None, 7, [7], {"x": "y"}):
        with pytest.raises(ValueError, match="must be"):
            known.checked(wrong)


def test_every_type_has_keys() -> None:
    assert {kind for kind, _ in well_known} == set(PreferenceType)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("COMMUNICATION", "language", "German"),
        ("COMMUNICATION", "language", "de\n"),
        ("COMMUNICATION", "channel", "pigeon"),
        ("COMMUNICATION", "channel", "email|sms"),
        ("COMMUNICATION", "quiet_hours", {"from": "21:00"}),
        ("COMMUNICATION", "quiet_hours", {"from": "24:00", "until": "08:00"}),
        ("COMMUNICATION", "quiet_hours", {"from": "21:00", "until": "08:00", "zone": "UTC"}),
        ("SHOPPING", "sizes", "M"),
        ("SHOPPING", "sizes", ["M"] * 51),
        ("SHOPPING", "sizes", ["x" * 51]),
        ("SHOPPING", "sizes", ["\u200b"]),
        ("PAYMENT", "paper_receipt", "true"),
        ("PAYMENT", "paper_receipt", 1),
    ],
)
def test_a_value_of_another_form_is_refused_without_repeating_it(kind: str, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        checked_value(PreferenceType(kind), key, value)
    assert refused.value.__cause__ is None


def test_texts_are_trimmed_and_keep_the_form_of_json() -> None:
    assert checked_value(PreferenceType.SHOPPING, "sizes", [" M "]) == ["M"]
    hours = {"from": "21:00", "until": "08:00"}
    assert checked_value(PreferenceType.COMMUNICATION, "quiet_hours", hours) == hours


def test_another_key_takes_anything() -> None:
    assert checked_value(PreferenceType.PAYMENT, "sizes", {"a": [None, 1.5]}) == {"a": [None, 1.5]}
