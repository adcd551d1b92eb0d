"""What the page of the benchmarks says of goals and noise, and that the list of programs is whole."""

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import programs
from benchmarks.page import page_of, read_lines, write_page
from benchmarks.report import command_of, figure, reported, rounds_of

folder = Path(__file__).parents[2] / "benchmarks"
sources = {path.stem: path.read_text() for path in folder.glob("*.py")}


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> list[dict[str, Any]]:
    """What a program prints at its end, as the page takes it."""
    with reported(
        "imports", "Imports beside COPY: `python`.\n\nOurs is\nthe command.\n", Namespace(orders=7)
    ) as report:
        report.add("ratio", [0.5, 0.3, 0.39999], goal=">= 0.4")
        report.add("seconds", [29, 31, 30], unit="s", goal="<= 30")
        report.add("rows", [12345.6], unit="/s", goal=">= 1000000", judged=False)
    (tmp_path / "said").write_text(capsys.readouterr().out.splitlines()[-1])
    line = read_lines(tmp_path / "said")["imports"]
    return [{**line, "machine": {"CPU": "one"}, "others_cores": 0.1, "noisy": False}]


def test_the_page_says_what_was_met_and_what_was_missed(lines: list[dict[str, Any]]) -> None:
    page = page_of(lines)
    assert "| imports | ratio | 0.4 (0.3 to 0.5) | >= 0.4 | **missed** |" in page
    assert "| imports | seconds | 30 s (29 to 31) | <= 30 | met |" in page
    assert "| imports | rows | 12,346 /s | >= 1000000 | not judged at this size |" in page
    assert "## imports: Imports beside COPY\n\nOurs is the command.\n" in page
    assert "oisy**: others" not in page


def test_a_noisy_run_is_marked_where_its_figures_stand(lines: list[dict[str, Any]]) -> None:
    page = page_of([{**lines[0], "others_cores": 0.8, "noisy": True}])
    assert "| imports, noisy | ratio |" in page
    assert "- **Noisy**: others used 0.8 cores" in page


def test_what_was_written_is_read_again(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    write_page(tmp_path, lines)
    assert read_lines(tmp_path / "benchmarks.jsonl") == {"imports": lines[0]}
    assert (tmp_path / "benchmarks.md").read_text() == page_of(lines)


def test_the_verdict_is_that_of_the_median_not_of_its_print() -> None:
    assert figure("ratio", [0.399999], goal=">= 0.4").verdict == "missed"
    assert figure("ratio", [0.4], goal=">= 0.4").verdict == "met"
    assert figure("ratio", [0.4]).verdict == ""


def test_rounds_go_forth_and_back_and_the_first_does_not_count() -> None:
    ran: list[str] = []

    def run(side: str) -> int:
        ran.append(side)
        return len(ran)

    assert rounds_of(2, ["a", "b"], run) == [{"b": 3, "a": 4}, {"a": 5, "b": 6}]
    assert ran == ["a", "b", "b", "a", "a", "b"]
    assert rounds_of(0, ["a"], run) == [{"a": 7}]


def test_the_command_does_not_name_the_server_of_the_day() -> None:
    command = command_of("imports", ["--orders", "9", "--server-url", "postgresql://x", "--rounds", "1"])
    assert command == "python -m benchmarks.imports --orders 9 --rounds 1"


def test_every_program_that_reports_is_in_the_list() -> None:
    assert {name for name, text in sources.items() if "__doc__, given" in text} == set(programs)


@pytest.mark.parametrize("program", programs)
def test_every_program_has_all_sizes_and_takes_their_options(program: str) -> None:
    assert list(programs[program]) == ["toy", "small", "full"]
    for arguments in programs[program].values():
        assert all(f'"{option}"' in sources[program] for option in re.findall(r"--[a-z-]+", arguments))
