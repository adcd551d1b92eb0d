import json
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from regulars.kit.clock import Clock
from regulars.kit.delivery_mail import Sender
from regulars.kit.delivery_outbox import OutboxMessenger
from regulars.kit.messages import Mail, PassingDeliveryError, TextMessage

sender = Sender("shop@example.com", "Shop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "outbox"


@pytest.fixture
def outbox(folder: Path, clock: Clock) -> OutboxMessenger:
    return OutboxMessenger(folder, sender, clock)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_owner_may_read_what_was_written(outbox: OutboxMessenger, folder: Path) -> None:
    await outbox.send_mail(Mail("anna@example.com", "Hello", "Hello"))
    await outbox.send_text(TextMessage("+4930123456", "Hello"))
    files = files_in(folder)
    assert [file.suffix for file in files] == [".eml", ".json"]
    assert {mode_of(file) for file in files} == {0o600}
    assert mode_of(folder) == 0o700


async def test_a_link_can_be_copied_out_of_the_file(outbox: OutboxMessenger, folder: Path) -> None:
    link = "https://shop.example/verify?token=" + "a" * 120
    await outbox.send_mail(Mail("zoë@example.com", "Grüße", f"Grüße, Zoë:\n{link}\n"))
    [file] = files_in(folder)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert {"To: zoë@example.com", "Subject: Grüße", "Grüße, Zoë:", link} <= set(lines)


async def test_names_sort_by_time(folder: Path, outbox: OutboxMessenger, clock: Clock) -> None:
    later = replace(clock, stopped_at=clock.now() + timedelta(seconds=1))
    await OutboxMessenger(folder, sender, later).send_text(TextMessage("+4930123456", "third"))
    await outbox.send_text(TextMessage("+4930123456", "first"))
    await outbox.send_text(TextMessage("+4930123456", "second"))
    texts = [json.loads(file.read_text())["text"] for file in files_in(folder)]
    assert texts == ["first", "second", "third"]


async def test_the_last_mail_to_somebody_can_be_read(outbox: OutboxMessenger, folder: Path, clock: Clock) -> None:
    subject = "Ihr Gutschein über 5 € 👋 " + "und mehr " * 20 + "Ende"
    for subject_line in ("Hello", subject):
        await outbox.send_mail(Mail("anna@example.com", subject_line, "Grüße\n"))
    await outbox.send_mail(Mail("eve@example.com", "Other", "Other\n"))
    reader = OutboxMessenger(folder, sender, clock)
    assert reader.last_mail_to("anna@example.com") == Mail("anna@example.com", subject, "Grüße\n")
    assert reader.last_mail_to("nobody@example.com") is None


def test_where_nothing_was_written_there_is_no_last_mail(outbox: OutboxMessenger) -> None:
    assert outbox.last_mail_to("anna@example.com") is None


async def test_an_outbox_that_cannot_be_written_may_be_mended(clock: Clock) -> None:
    outbox = OutboxMessenger(Path(__file__) / "outbox", sender, clock)
    with pytest.raises(PassingDeliveryError):
        await outbox.send_text(TextMessage("+4930123456", "Hello"))
