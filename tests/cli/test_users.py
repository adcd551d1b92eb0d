"""`regulars users create` and `regulars clients create`, as the operator types them."""

import re
import subprocess
import sys

import pytest
from argon2 import PasswordHasher
from click.testing import Result

from regulars.accounts.tokens import hash_token
from tests.cli.program import complaint, query, regulars

good = "a sentence that nobody says"


def create_admin(url: str, typed: str = good, email: str = "Owner@example.com") -> Result:
    arguments = ("users", "create", "--email", email, "--role", "admin", "--password-stdin")
    return regulars(url, *arguments, typed=typed + "\n")


def test_the_first_admin_is_made_at_the_terminal(own_database_url: str) -> None:
    done = create_admin(own_database_url)
    assert (done.exit_code, done.output) == (0, "owner@example.com may sign in as admin\n")
    [row] = query(own_database_url, "SELECT email, role, password_hash FROM users")
    assert row[:2] == ("owner@example.com", "admin")
    assert PasswordHasher().verify(row[2], good)


@pytest.mark.parametrize(
    ("typed", "email", "said"),
    [
        ("too short", "a@example.com", "15 characters or more"),
        ("", "a@example.com", "15 characters or more"),
        ("1qaz2wsx3edc4rfv", "a@example.com", "tried first"),
        ("regularsregulars", "a@example.com", "made of the shop's name"),
        ("x" * 129, "a@example.com", "128 characters or fewer"),
        (good, "nobody", "no e-mail address"),
    ],
)
def test_what_cannot_be_used_is_said_without_repeating_it(
    own_database_url: str, typed: str, email: str, said: str
) -> None:
    done = create_admin(own_database_url, typed, email)
    answer = complaint(done)
    assert done.output == ""
    assert said in answer
    assert not typed or typed not in answer


def test_the_complaint_is_one_line_and_exit_code_2() -> None:
    arguments = ["users", "create", "--email", "a@example.com", "--role", "admin", "--password-stdin"]
    done = subprocess.run(
        [sys.executable, "-m", "regulars", *arguments], input="hunter2 hunter2\n", capture_output=True, text=True,
        check=False,
        env={"REGULARS_BRAND_NAME": "hunter2"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "hunter2" not in done.stderr


def test_an_address_can_be_taken_once(own_database_url: str) -> None:
    assert create_admin(own_database_url).exit_code == 0
    assert "already" in complaint(create_admin(own_database_url, email="owner@EXAMPLE.com"))


def test_without_a_terminal_the_password_must_be_sent(own_database_url: str) -> None:
    done = regulars(own_database_url, "users", "create", "--email", "a@example.com", "--role", "staff", typed=good)
    assert "--password-stdin" in complaint(done)


def test_a_program_gets_its_secret_once(own_database_url: str) -> None:
    scopes = ("--scope", "orders:write", "--scope", "orders:read")
    done = regulars(own_database_url, "clients", "create", "--name", "till 4", "--source", "till", *scopes)
    found = re.fullmatch(r"client_id     (\S{36})\nclient_secret (\S{43})\n", done.output)
    assert found, done.output
    [row] = query(own_database_url, "SELECT id::text, secret_hash, scopes, source, name FROM api_clients")
    assert row == (found[1], hash_token(found[2]), ["orders:read", "orders:write"], "till", "till 4")


def test_a_program_cannot_have_scopes_of_people(own_database_url: str) -> None:
    done = regulars(own_database_url, "clients", "create", "--name", "x", "--source", "x", "--scope", "customers:erase")
    assert "orders:write" in complaint(done)
