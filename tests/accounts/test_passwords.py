import pytest

from regulars.accounts.errors import WeakPassword
from regulars.accounts.passwords import (
    PasswordHash,
    PasswordHashing,
    breached_passwords,
    check_password,
    unknown_account_hash,
)
from regulars.kit.security import Role


@pytest.mark.parametrize(
    ("password", "role", "rule"),
    [
        ("seven77", "customer", "too_short"),
        ("fourteen chars", "staff", "too_short"),
        ("fourteen chars", "admin", "too_short"),
        ("fourteen chars", "analyst", "too_short"),
        ("Password1", "customer", "breached"),
        ("QWERTYUIOP", "customer", "breached"),
        ("password password", "staff", "breached"),
        ("PasswordPassword", "admin", "breached"),
        ("pass-word-1", "customer", "breached"),
        ("sunshine princess", "staff", "breached"),
        ("qwertyqwertyqwerty", "staff", "breached"),
        ("1234567890123456", "staff", "breached"),
        ("a a a a a a a a a", "staff", "breached"),
        ("                ", "staff", "breached"),
        ("Bella-Moda!", "customer", "context"),
        ("bella moda 2026", "customer", "context"),
        ("john.doe@example.com", "customer", "context"),
        ("johndoe-johndoe", "customer", "context"),
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password: str, role: Role, rule: str) -> None:
    with pytest.raises(WeakPassword) as refusal:
        check_password(password, role=role, context=["Bella Moda", "bella-moda", "john.doe@example.com", "johndoe"])
    assert refusal.value.facts == {"rule": rule}


@pytest.mark.parametrize(
    ("password", "role"),
    [
        ("SecurePass123", "customer"),
        ("fifteen letters", "staff"),
        ("xq7!vb2k", "customer"),
        ("xq7!vb2x", "customer"),
        ("password of an old dragon", "staff"),
        ("twelve crates of apples", "admin"),
        ("correct horse battery staple", "admin"),
        ("moda fürs leben", "customer"),
    ],
)
def test_other_passwords_are_taken_without_rules_about_characters(password: str, role: Role) -> None:
    check_password(password, role=role, context=["Bella Moda", "Jo"])


def test_the_list_of_leaks_is_long_and_holds_no_word_that_is_too_short_anyway() -> None:
    assert len(breached_passwords()) > 3000
    assert min(map(len, breached_passwords())) >= 8
    assert all(word == word.casefold() for word in breached_passwords())


async def test_a_hash_matches_its_password_only() -> None:
    hashing = PasswordHashing()
    stored = await hashing.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hashing.matches("correct horse", stored)
    assert not await hashing.matches("Correct horse", stored)
    assert not await hashing.matches("correct horse", PasswordHash("no hash"))


async def test_the_hash_of_no_account_costs_what_a_real_one_costs() -> None:
    stored = await PasswordHashing().hash("any")
    assert unknown_account_hash.split("$")[:4] == stored.split("$")[:4]
