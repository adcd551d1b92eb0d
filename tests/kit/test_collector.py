import asyncio
import gc
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from regulars.cli import main, process
from regulars.kit.collector import collect_less_often


@pytest.fixture(autouse=True)
def own_pace() -> Iterator[None]:
    pace = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*pace)


def test_what_is_there_is_not_looked_at_and_the_rest_less_often() -> None:
    gc.set_threshold(700, 10, 10)
    collect_less_often()
    assert gc.get_threshold()[0] > 700
    assert gc.get_freeze_count() > 0


def test_commands_run_at_that_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.set_threshold(700, 10, 10)
    paces: list[int] = []
    monkeypatch.setattr(main, "app", lambda: paces.append(gc.get_threshold()[0]))
    main.run()
    assert paces == [20_000]


async def test_each_process_of_the_server_runs_at_that_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(process, "configure_logging", lambda: None)
    monkeypatch.setattr(process, "create_app", lambda: SimpleNamespace(state=None))
    monkeypatch.setattr(process, "collect_less_often", lambda: calls.append("less often"))
    process.AnsweringProcess([])._create_app()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert calls == ["less often"]
