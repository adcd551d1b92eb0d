from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.formulas.earning import OrderAmounts, Returned, earning_base, points_left, share_kept
from regulars.formulas.points import points_earned

cent = Decimal("0.01")
rules = st.fixed_dictionaries({"with_tax": st.booleans(), "with_shipping": st.booleans()})


def amounts(total: str, tax: str, shipping: str, *, net: bool = False, lines: bool = True) -> OrderAmounts:
    """An order whose lines contain their tax, or do not."""
    whole = OrderAmounts(Decimal(total), Decimal(tax), Decimal(shipping))
    goods = whole.total - whole.shipping - (whole.tax if net else 0)
    return replace(whole, lines=goods if lines else None)


@st.composite
def orders(draw: st.DrawFn) -> OrderAmounts:
    """Orders as shops have them: some goods, perhaps shipping, tax at one rate, gross or net."""
    goods, shipping = (Decimal(draw(st.integers(*span))) * cent for span in ((0, 50_000), (0, 2_000)))
    rate = Decimal(draw(st.sampled_from(["0", "0.05", "0.07", "0.19", "0.25"])))
    tax = ((goods + shipping) * rate).quantize(cent, ROUND_HALF_UP)
    if draw(st.booleans()):
        return OrderAmounts(goods + shipping + tax, tax, shipping, lines=goods)
    gross_shipping = (shipping * (1 + rate)).quantize(cent, ROUND_HALF_UP)
    gross = max(goods + shipping + tax, gross_shipping)
    return OrderAmounts(gross, tax, gross_shipping, lines=gross - gross_shipping if draw(st.booleans()) else None)


@pytest.mark.parametrize(
    ("order", "with_tax", "base"),
    [
        (amounts("120", "20", "6"), False, "95"),
        (amounts("249.90", "39.90", "11.90"), False, "200"),
        (amounts("120", "20", "5", net=True), True, "114"),
        (amounts("249.90", "39.90", "10.00", net=True), True, "238"),
        (amounts("120", "20", "6", lines=False), False, "95"),  # without lines, amounts are taken as gross
        (amounts("120", "20", "6"), True, "114"),
        (amounts("120", "20", "5", net=True), False, "95"),
    ],
)
def test_shipping_is_left_out_together_with_its_tax(order: OrderAmounts, *, with_tax: bool, base: str) -> None:
    assert earning_base(order, with_tax=with_tax, with_shipping=False).amount == Decimal(base)


@pytest.mark.parametrize(
    ("with_tax", "with_shipping", "base"),
    [(True, True, "100"), (True, False, "95"), (False, True, "84"), (False, False, "79.80")],
)
def test_tax_and_shipping_earn_as_the_programme_says(*, with_tax: bool, with_shipping: bool, base: str) -> None:
    order = OrderAmounts(Decimal(100), Decimal(16), Decimal(5))
    assert earning_base(order, with_tax=with_tax, with_shipping=with_shipping).amount == Decimal(base)


@given(
    goods=st.integers(0, 100_000),
    shipping=st.integers(0, 5_000),
    rate=st.sampled_from([5, 7, 19, 20, 25]),
    with_tax=st.booleans(),
)
def test_a_purchase_earns_the_same_gross_and_net(goods: int, shipping: int, rate: int, *, with_tax: bool) -> None:
    """In whole units, so that no rounding comes between the two."""
    tax = Decimal((goods + shipping) * rate)
    net = OrderAmounts(
        Decimal((goods + shipping) * 100) + tax, tax, Decimal(shipping * 100), lines=Decimal(goods * 100)
    )
    gross = replace(net, shipping=Decimal(shipping * (100 + rate)), lines=Decimal(goods * (100 + rate)))
    bases = [earning_base(order, with_tax=with_tax, with_shipping=False) for order in (net, gross)]
    assert bases[0] == bases[1]
    assert bases[0].amount == goods * (100 + rate if with_tax else 100)


@given(
    total=st.decimals(0, 10**13, places=2),
    tax=st.decimals(0, 10**13, places=2),
    shipping=st.decimals(0, 10**13, places=2),
    lines=st.none() | st.decimals(-(10**13), 10**13, places=2),
    rule=rules,
)
def test_no_amounts_however_odd_make_a_base_below_zero_or_above_the_total(
    total: Decimal, tax: Decimal, shipping: Decimal, lines: Decimal | None, rule: dict[str, bool]
) -> None:
    base = earning_base(OrderAmounts(total, tax, shipping, lines=lines), **rule)
    assert min(base.goods, base.shipping) >= 0
    assert base.amount <= total


@given(order=orders(), rule=rules, seed=st.integers(0, 999), parts=st.integers(1, 6))
def test_parts_of_a_return_take_back_what_was_earned_in_any_order(
    order: OrderAmounts, rule: dict[str, bool], seed: int, parts: int
) -> None:
    earned = points_earned(earning_base(order, **rule).amount, Decimal(1))
    chance = Random(seed)  # noqa: S311 - invented returns need no secrets
    pieces = returns_of(order, parts, chance)
    for _ in range(2):
        chance.shuffle(pieces)
        left, so_far = [earned], Returned()
        for piece in pieces:
            so_far = Returned(so_far.goods + piece.goods, so_far.shipping + piece.shipping, so_far.other + piece.other)
            left.append(left_of(earned, order, so_far, rule))
        assert left == sorted(left, reverse=True)
        assert left[-1] == (0 if order.total else earned)


@given(order=orders(), rule=rules, back=st.integers(0, 100), amount=st.integers(0, 100))
def test_each_further_return_leaves_less(order: OrderAmounts, rule: dict[str, bool], back: int, amount: int) -> None:
    base = earning_base(order, **rule)
    goods = (order.goods * back / 100).quantize(cent)
    other = ((order.total - goods) * amount / 100).quantize(cent)
    kept = share_kept(base, order, Returned(goods=goods, other=other))
    assert 0 <= kept <= share_kept(base, order, Returned(goods=goods)) <= 1
    assert kept <= share_kept(base, order, Returned(other=other))


@given(order=orders(), with_tax=st.booleans())
def test_shipping_that_earned_nothing_takes_nothing(order: OrderAmounts, *, with_tax: bool) -> None:
    base = earning_base(order, with_tax=with_tax, with_shipping=False)
    points = points_earned(base.amount, Decimal(1))
    rule = {"with_tax": with_tax, "with_shipping": False}
    assert left_of(points, order, Returned(shipping=order.shipping_with_tax), rule) == points
    assert left_of(points, order, Returned(goods=order.goods), rule) == 0


def test_an_amount_without_a_purpose_takes_its_share_of_what_can_still_come_back() -> None:
    order = OrderAmounts(Decimal(50), shipping=Decimal(40))
    base = earning_base(order, with_tax=True, with_shipping=False)
    assert share_kept(base, order, Returned(other=Decimal(25))) == Fraction(1, 2)
    assert share_kept(base, order, Returned(goods=Decimal(5), other=Decimal("22.5"))) == Fraction(1, 4)


@given(first=st.integers(0, 20_000), then=st.integers(0, 20_000), rate=st.sampled_from(["1", "0.1", "2.5", "29.9"]))
def test_a_changed_order_keeps_what_it_would_have_earned(first: int, then: int, rate: str) -> None:
    before, after = first * cent, then * cent
    points = points_earned(before, Decimal(rate))
    left = points_left(points, awarded_for=before, base=after, kept=Fraction(1), points_per_unit=Decimal(rate))
    assert left == points_earned(after, Decimal(rate))


@pytest.mark.parametrize(
    ("before", "after", "left"), [("100", "100", 200), ("100", "40", 80), ("100", "150", 300), ("0", "9", 200)]
)
def test_points_by_other_rules_than_the_programme_change_in_proportion(before: str, after: str, left: int) -> None:
    found = points_left(
        200, awarded_for=Decimal(before), base=Decimal(after), kept=Fraction(1), points_per_unit=Decimal(1)
    )
    assert found == left


def returns_of(order: OrderAmounts, parts: int, chance: Random) -> list[Returned]:
    """All of an order in parts: goods and shipping, or amounts without a purpose, or both."""
    if chance.random() < 0.5:
        return [Returned(other=part) for part in split(order.total, parts, chance)]
    goods = [Returned(goods=part) for part in split(order.goods, parts, chance)]
    if chance.random() < 0.5:
        return [*goods, Returned(other=order.shipping_with_tax)]
    return [*goods, *(Returned(shipping=part) for part in split(order.shipping_with_tax, 2, chance))]


def split(amount: Decimal, parts: int, chance: Random) -> list[Decimal]:
    cuts = sorted(chance.randint(0, int(amount / cent)) * cent for _ in range(parts - 1))
    return [end - start for start, end in zip([Decimal(0), *cuts], [*cuts, amount], strict=True)]


def left_of(points: int, order: OrderAmounts, returned: Returned, rule: dict[str, bool]) -> int:
    base = earning_base(order, **rule)
    kept = share_kept(base, order, returned)
    return points_left(points, awarded_for=base.amount, base=base.amount, kept=kept, points_per_unit=Decimal(1))
