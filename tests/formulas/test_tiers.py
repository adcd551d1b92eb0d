import pytest

from regulars.formulas.tiers import LoyaltyTier, TierThresholds, next_tier, tier_after_earning, tier_for

seed = TierThresholds()


@pytest.mark.parametrize(
    ("points", "tier"),
    [
        (0, "bronze"), (9_999, "bronze"), (10_000, "silver"), (49_999, "silver"), (50_000, "gold"), (99_999, "gold"),
        (100_000, "platinum"), (10**9, "platinum"),
    ],
)  # fmt: skip
def test_tiers_begin_where_the_table_says(points: int, tier: str) -> None:
    assert tier_for(points, seed) == tier


def test_labels_are_for_people() -> None:
    assert [tier.label for tier in LoyaltyTier] == ["Bronze", "Silver", "Gold", "Platinum"]


def test_the_next_tier_and_the_way_to_it() -> None:
    assert next_tier(0, seed) == (LoyaltyTier.SILVER, 10_000)
    assert next_tier(50_000, seed) == (LoyaltyTier.PLATINUM, 50_000)
    assert next_tier(100_000, seed) is None


@pytest.mark.parametrize(
    ("current", "is_manual", "before", "after", "expected"),
    [
        ("bronze", False, 0, 10_000, "silver"),
        ("gold", False, 0, 10_000, "gold"),  # earning never lowers
        ("bronze", True, 10_000, 10_001, "bronze"),  # set by hand, no threshold crossed
        ("bronze", True, 10_000, 50_000, "gold"),
        ("platinum", True, 9_999, 10_000, "platinum"),
    ],
)
def test_earning_lifts_and_never_lowers(
    current: str, before: int, after: int, expected: str, *, is_manual: bool
) -> None:
    found = tier_after_earning(LoyaltyTier(current), is_manual=is_manual, before=before, after=after, thresholds=seed)
    assert found == expected
