"""What the fault programs judge by: a program that calls everything well proves nothing."""

from pathlib import Path

import pytest
from proof.history import History
from proof.result import missed_bars


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"lost": 0, "recovery_s": 15.0}, []),
        ({"lost": 1, "recovery_s": 3.2}, ["lost"]),
        ({"lost": 0, "recovery_s": 15.1}, ["recovery_s"]),
    ],
)
def test_a_bar_that_is_missed_is_named(figures: dict[str, float], missed: list[str]) -> None:
    assert missed_bars(figures, {"lost": "== 0", "recovery_s": "<= 15"}) == missed


def test_a_bar_without_a_figure_is_a_fault_of_the_program() -> None:
    with pytest.raises(KeyError):
        missed_bars({}, {"lost": "== 0"})


def test_intent_is_in_the_history_before_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history = History(file)
    operation = history.intend("earn", "/earn", {"points": 5})
    assert file.read_text().count("\n") == 1
    assert (operation.is_done, operation.is_refused) == (False, False)
    history.acknowledge(operation, 201, {"id": "x"})
    assert ['"event": "intent"' in line for line in file.read_text().splitlines()] == [True, False]
    assert operation.is_done
