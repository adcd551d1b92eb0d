"""What the pages print is so: commands are run as a reader would run them, the other blocks are checked by language."""

import json
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from regulars.app import create_app
from regulars.kit.database import Connection, recreate_database
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import Settings
from regulars.migrations import migrate
from tests.docs.shell import (
    Block,
    Command,
    ReaderShell,
    blocks_of,
    commands_of,
    environment_of,
    is_as_printed,
    root,
)

folders = ("tutorial", "how-to", "reference", "explanation")
pages = {
    str(path.relative_to(root)): path.read_text()
    for path in [root / "README.md", *sorted(path for name in folders for path in (root / "docs" / name).glob("*.md"))]
}

# What must be there before the commands of a page: a reader has a shop of their own.
stages = {
    "docs/how-to/connect-a-till.md": [
        "printf 'email,phone,first_name,last_name\nada@example.com,+4915112345678,Ada,Abend\n' > people.csv",
        "regulars import customers people.csv",
        "regulars serve",
    ],
    "docs/reference/consents.md": [
        "printf 'email,channel,action\nada@example.com,email,granted\n' > newsletter.csv",
        "printf 'email\nada@example.com\n' | regulars import customers --format csv -",
    ],
    "docs/explanation/privacy.md": [
        "printf 'email,created_at\nada@example.com,2026-06-15\n' | regulars import customers --format csv -",
    ],
}

# Not run here, each for a reason. Of `make`, the target is made sure of (`make --dry-run`).
make_runs_elsewhere = {
    "make demo": "installs into .venv and serves until it is stopped; .ci/run runs the demo, tests/demo tests it",
    "make install": "is how what runs here came to be; the shell stands in a folder where it has been done",
}
own_server = "docs/how-to/own-server.md"  # has a test of its own, below
printed_by_programs = {
    "docs/explanation/lifetime-value.md": "`make figures` prints its tables, which take two shops and minutes;"
    " tests/cli/test_backtest.py tests the command",
}
unused_secret = "a secret that nobody uses anywhere"
languages = {"console", "http", "json", "python", "sql", "text"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose embedded database runs all the while, so that no command has to start it."""
    with tempfile.TemporaryDirectory(prefix="regulars-docs-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def commands_url(home: Path) -> Iterator[str]:
    """A migrated, empty database, to be copied for each page into the one that the commands use."""
    with EmbeddedPostgres(home / ".local" / "share" / "regulars", durable=False) as url:
        template = make_conninfo(url, dbname="template_pages")
        recreate_database(template)
        migrate(template)
        yield url


@pytest.fixture
def shell(home: Path, commands_url: str) -> Iterator[ReaderShell]:
    """A reader's shell with an empty database."""
    with psycopg.connect(make_conninfo(commands_url, dbname="postgres"), autocommit=True) as administrator:
        administrator.execute("DROP DATABASE regulars")
        administrator.execute("CREATE DATABASE regulars TEMPLATE template_pages")
    with ReaderShell(home) as shell:
        yield shell


def follow(shell: ReaderShell, commands: list[Command]) -> None:
    """Run the commands in order; fail at the first that does not do what the page prints."""
    for command in commands:
        if command.text in make_runs_elsewhere:
            continue
        status, came = shell.run(command.text)
        assert status == 0, f"line {command.line}: $ {command.text}\nended with {status}:\n{came}"
        if command.printed is not None:
            assert is_as_printed(command.printed, came), (
                f"line {command.line}: $ {command.text}\n--- is printed as\n{command.printed}\n--- and printed\n{came}"
            )


@pytest.mark.parametrize("page", [page for page, text in pages.items() if commands_of(text) and page != own_server])
def test_commands_do_what_the_page_prints(page: str, shell: ReaderShell) -> None:
    for command in stages.get(page, []):
        assert shell.run(command)[0] == 0, command
    follow(shell, commands_of(pages[page]))
    status, readable = shell.run(r"grep -rl 'client_secret [A-Za-z0-9_-]\{20\}' . | xargs -r -I{} find {} -perm /077")
    assert (status, readable.strip()) == (0, ""), "a secret is left where others can read it"


def test_a_page_that_prints_something_else_is_found(shell: ReaderShell) -> None:
    said = "```console\n$ printf 'one\\ntwo\\n'\none\n{}\n```"
    follow(shell, commands_of(said.format("two")))
    follow(shell, commands_of(said.format("...")))
    for wrong in ("three", "two\nthree", "", "...\nthree"):
        with pytest.raises(AssertionError, match="is printed as"):
            follow(shell, commands_of(said.format(wrong)))
    with pytest.raises(AssertionError, match="ended with 1"):
        follow(shell, commands_of("```console\n$ false\n```"))


def test_what_runs_elsewhere_is_printed_somewhere_and_can_be_made() -> None:
    printed = {command.text for text in pages.values() for command in commands_of(text)}
    assert make_runs_elsewhere.keys() <= printed
    assert printed_by_programs.keys() <= pages.keys()
    for command in make_runs_elsewhere:
        dry = [*command.split(), "--dry-run"]
        assert subprocess.run(dry, cwd=root, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("page", pages)
def test_every_block_says_its_language_and_commands_stand_in_console_blocks(page: str) -> None:
    if page in printed_by_programs:
        return
    for block in blocks_of(pages[page]):
        assert block.language in languages, f"{page}, line {block.line}"
        if block.language != "console":
            assert not re.search(r"^\$ ", block.text, re.MULTILINE), f"{page}, line {block.line}"


def blocks(language: str) -> list[Block]:
    return [block for text in pages.values() for block in blocks_of(text) if block.language == language]


def test_json_can_be_read() -> None:
    for block in blocks("json"):
        json.loads(block.text)


def test_python_runs(home: Path) -> None:
    for block in blocks("python"):
        run = ["python3", "-c", block.text]
        subprocess.run(run, cwd=home, env=environment_of(home), check=True, timeout=60)


def test_requests_are_for_operations_that_there_are() -> None:
    asked = [
        match
        for block in blocks("http")
        for match in re.findall(r"^(GET|POST|PUT|DELETE) (/\S+)", block.text, re.MULTILINE)
    ]
    assert asked
    settings = Settings(database_url="postgresql://nowhere.invalid", jwt_secret=SecretStr(unused_secret))
    operations = create_app(settings).openapi()["paths"]
    for method, path in asked:
        assert method.lower() in operations[path], f"{method} {path}"


async def test_queries_can_be_prepared(connection: Connection) -> None:
    queries = [block for block in blocks("sql") if not block.text.startswith("CREATE ROLE")]
    assert queries
    for number, block in enumerate(queries):
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", block.text)))
        text = re.sub(r"%\((\w+)\)s", lambda match, names=names: f"${names.index(match[1]) + 1}", block.text)
        await connection.execute(f"PREPARE page_{number} AS {text}".encode())


def test_a_server_that_is_set_up_as_printed_can_be_used_as_printed(shop_server: str, tmp_path: Path) -> None:
    """The reference sets it up, the how-to works on it; what belongs to each role is reached by that role."""
    set_up = next(block for block in blocks("sql") if block.text.startswith("CREATE ROLE")).text
    with psycopg.connect(shop_server, autocommit=True) as administrator:
        for statement in re.sub(r"--.*", "", set_up).split(";"):
            if statement.strip():
                administrator.execute(statement.encode())
    owner, program = (make_conninfo(shop_server, user=user, dbname="shop") for user in ("shop_owner", "shop"))
    with ReaderShell(tmp_path) as shell:
        shell.run(f"ADDRESS_OF_THE_OWNER={shlex.quote(owner)}")
        env_file = f"REGULARS_DATABASE_URL={program}\nREGULARS_JWT_SECRET={unused_secret}\n"
        shell.run(f"printf {shlex.quote(env_file)} > .env")
        follow(shell, commands_of(pages[own_server]))
        assert '"ok"' in shell.run("curl -sS http://127.0.0.1:8000/readyz")[1]
    with psycopg.connect(owner) as reader:
        reader.execute("SET ROLE regulars_report")
        assert reader.execute("SELECT count(*) FROM orders").fetchone() == (0,)


@pytest.fixture
def shop_server() -> Iterator[str]:
    """A server on which nothing has been set up."""
    with (
        tempfile.TemporaryDirectory(prefix="regulars-docs-") as folder,
        EmbeddedPostgres(Path(folder) / "server") as url,
    ):
        yield url
