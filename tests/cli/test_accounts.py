"""`regulars users` and `regulars clients`: what the operator does with accounts that exist."""

import re

import pytest
from argon2 import PasswordHasher

from regulars.accounts.tokens import hash_token
from tests.cli.program import complaint, query, regulars
from tests.cli.test_users import create_admin

good = "another sentence that nobody says"


def create(url: str, email: str, role: str = "staff") -> None:
    arguments = ("users", "create", "--email", email, "--role", role, "--password-stdin")
    assert regulars(url, *arguments, typed="a sentence that nobody says\n").exit_code == 0


def audit(url: str) -> list[tuple[object, ...]]:
    return query(url, "SELECT actor_kind, action, fields FROM audit_log ORDER BY id")


def test_people_are_listed_by_role_newest_first(own_database_url: str) -> None:
    create(own_database_url, "one@example.com", "admin")
    create(own_database_url, "two@example.com")
    listed = regulars(own_database_url, "users", "list").output.splitlines()
    assert [line.split()[0:2] + line.split()[3:] for line in listed] == [
        ["staff", "enabled", "two@example.com"],
        ["admin", "enabled", "one@example.com"],
    ]
    assert "one@example.com" not in regulars(own_database_url, "users", "list", "--role", "staff").output
    page = regulars(own_database_url, "users", "list", "--limit", "1").output.splitlines()
    assert page[-1] == "1 more: --offset 1"


def test_a_person_is_disabled_and_the_last_admin_is_not(own_database_url: str) -> None:
    create_admin(own_database_url)
    create(own_database_url, "ann@example.com")
    done = regulars(own_database_url, "users", "disable", "--email", "ANN@example.com")
    assert (done.exit_code, done.output) == (0, "ann@example.com may not sign in any more\n")
    assert query(own_database_url, "SELECT email FROM users WHERE NOT is_enabled") == [("ann@example.com",)]
    refused = regulars(own_database_url, "users", "disable", "--email", "owner@example.com")
    assert "last administrator" in complaint(refused)
    assert audit(own_database_url)[-1] == ("operator", "disable_user", ["is_enabled"])


def test_a_role_is_changed(own_database_url: str) -> None:
    create_admin(own_database_url)
    create(own_database_url, "ann@example.com")
    done = regulars(own_database_url, "users", "set-role", "--email", "ann@example.com", "--role", "analyst")
    assert (done.exit_code, done.output) == (0, "ann@example.com may sign in as analyst\n")
    assert query(own_database_url, "SELECT role, auth_epoch FROM users WHERE email LIKE 'ann%'") == [("analyst", 2)]
    refused = regulars(own_database_url, "users", "set-role", "--email", "owner@example.com", "--role", "staff")
    assert "last administrator" in complaint(refused)


def test_a_password_is_set_and_who_was_signed_in_is_out(own_database_url: str) -> None:
    create_admin(own_database_url)
    statement = "INSERT INTO sessions (user_id, created_at, expires_at) SELECT id, now(), now() FROM users"
    query(own_database_url, statement)
    arguments = ("users", "set-password", "--email", "owner@example.com", "--password-stdin")
    done = regulars(own_database_url, *arguments, typed=good + "\n")
    assert (done.exit_code, done.output) == (0, "The password is set\n")
    [(stored, closed)] = query(own_database_url, "SELECT password_hash, closed_at IS NOT NULL FROM users, sessions")
    assert PasswordHasher().verify(str(stored), good)
    assert closed is True
    assert audit(own_database_url)[-1] == ("operator", "set_password", ["password"])
    assert "15 characters or more" in complaint(regulars(own_database_url, *arguments, typed="short\n"))


@pytest.mark.parametrize(
    "command", [["disable"], ["set-role", "--role", "staff"], ["set-password", "--password-stdin"]]
)
def test_who_is_not_there_is_told(own_database_url: str, command: list[str]) -> None:
    done = regulars(own_database_url, "users", *command, "--email", "nobody@example.com", typed=good + "\n")
    assert complaint(done).startswith("Nobody signs in under this address.")
    assert "nobody@" not in complaint(done)


def create_till(url: str, *more: str) -> tuple[str, str]:
    arguments = ("clients", "create", "--name", "till 4", "--source", "till", "--scope", "orders:write")
    found = re.fullmatch(r"client_id     (\S{36})\nclient_secret (\S{43})\n", regulars(url, *arguments, *more).output)
    assert found
    return found[1], found[2]


def test_programs_are_listed_without_their_secrets(own_database_url: str) -> None:
    client_id, secret = create_till(own_database_url, "--max-points-per-day", "500")
    listed = regulars(own_database_url, "clients", "list").output
    assert listed == f"{client_id} enabled   till         till 4: orders:write\n"
    assert query(own_database_url, "SELECT max_points_per_day FROM api_clients") == [(500,)]
    assert secret not in str(audit(own_database_url))


@pytest.mark.parametrize(("more", "days"), [((), 7), (("--at-once",), 0)])
def test_a_new_secret_leaves_the_old_one_as_much_time_as_it_is_given(
    own_database_url: str, more: tuple[str, ...], days: int
) -> None:
    client_id, first = create_till(own_database_url)
    done = regulars(own_database_url, "clients", "rotate", client_id, *more)
    found = re.fullmatch(rf"client_id     {client_id}\nclient_secret (\S{{43}})\n", done.output)
    assert found
    statement = (
        "SELECT secret_hash, previous_secret_hash, extract(day FROM previous_secret_until - updated_at)::int"
        " FROM api_clients"
    )
    assert query(own_database_url, statement) == [(hash_token(found[1]), hash_token(first), days)]


def test_a_program_is_disabled(own_database_url: str) -> None:
    client_id, _ = create_till(own_database_url)
    done = regulars(own_database_url, "clients", "disable", client_id)
    assert (done.exit_code, done.output) == (0, f"{client_id} may not sign in any more\n")
    assert query(own_database_url, "SELECT is_enabled FROM api_clients") == [(False,)]


@pytest.mark.parametrize("command", ["rotate", "disable"])
def test_a_program_that_is_not_there_is_told(own_database_url: str, command: str) -> None:
    done = regulars(own_database_url, "clients", command, "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77")
    assert complaint(done).startswith("No program has this id.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--name", " "), "A name has"),
        (("--source", "two words"), "A source has"),
        (("--max-points-per-day", "0"), "A cap is"),
    ],
)
def test_what_a_program_cannot_be_is_told(own_database_url: str, wrong: tuple[str, ...], said: str) -> None:
    usual = {"--name": "till 4", "--source": "till", "--scope": "orders:write"} | {wrong[0]: wrong[1]}
    arguments = [part for pair in usual.items() for part in pair]
    assert said in complaint(regulars(own_database_url, "clients", "create", *arguments))
