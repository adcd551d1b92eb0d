import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from regulars.kit.delivery import Delivery, messenger_from
from regulars.kit.delivery_outbox import OutboxMessenger
from regulars.kit.delivery_smtp import SmtpMessenger
from regulars.kit.delivery_webhook import WebhookTextMessenger
from regulars.kit.errors import OperatorError
from regulars.kit.messages import FinalDeliveryError, Mail, TextMessage
from regulars.kit.settings import Settings, load_settings

mail_server = {"smtp_url": "smtps://shop:hunter2@mx.example", "mail_from": "shop@example.com"}
text_service = {"sms_webhook_url": "https://sms.example/send?key=1", "sms_webhook_token": "s3cret"}


def settings(tmp_path: Path, **given: Any) -> Settings:
    return Settings(data_dir=tmp_path, **given)


@pytest.mark.parametrize(
    ("given", "mails", "texts"),
    [
        ({}, OutboxMessenger, OutboxMessenger),
        (mail_server, SmtpMessenger, OutboxMessenger),
        (text_service, OutboxMessenger, WebhookTextMessenger),
        (mail_server | text_service, SmtpMessenger, WebhookTextMessenger),
    ],
)
def test_settings_choose_the_way(given: dict[str, str], mails: type, texts: type, tmp_path: Path) -> None:
    messenger = messenger_from(settings(tmp_path, **given))
    assert isinstance(messenger, Delivery)
    assert (type(messenger.mails), type(messenger.texts)) == (mails, texts)


async def test_by_default_messages_are_files_in_the_data_folder(tmp_path: Path) -> None:
    messenger = messenger_from(settings(tmp_path))
    await messenger.send_mail(Mail("anna@example.com", "Hello", "Hello"))
    await messenger.send_text(TextMessage("+4930123456", "Hello"))
    assert len(list((tmp_path / "outbox").iterdir())) == 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (mail_server | {"mail_from": None}, "REGULARS_MAIL_FROM"),
        (mail_server | {"smtp_url": "smtp+insecure://shop:hunter2@mx.example"}, "REGULARS_SMTP_URL would send"),
        (mail_server | {"smtp_url": "hunter2"}, "REGULARS_SMTP_URL is not of the form"),
        ({"mail_from": "Shop <shop@example.com>"}, "REGULARS_MAIL_FROM"),
        ({"brand_name": "Shop\nBcc: eve@example.com"}, "REGULARS_BRAND_NAME"),
        (text_service | {"sms_webhook_token": "s3cret\n"}, "REGULARS_SMS_WEBHOOK_TOKEN has"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_shown(
    given: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match=named) as refused:
        messenger_from(settings(tmp_path, **given))
    assert not any(secret in str(refused.value) for secret in ("hunter2", "s3cret"))


@pytest.mark.parametrize("name", ["public_url", "sms_webhook_url"])
@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example",
        "https://shop.example:8443/a",
        "http://127.0.0.1:8000",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_web_addresses_are_https_or_lead_to_this_machine(name: str, address: str) -> None:
    assert getattr(Settings.model_validate({name: address}), name) == address


@pytest.mark.parametrize("name", ["public_url", "sms_webhook_url"])
@pytest.mark.parametrize(
    "address",
    [
        "http://shop.example",
        "http://localhost.example",
        "http://192.168.0.1",
        "ftp://shop.example",
        "https://",
        "shop.example",
        "https://shop:hunter2@shop.example",
        "https://shop.example\n",
        "https://shop.example/a b",
        "https://shop.example:99999",
        "https://bücher.example",
        "",
    ],
)
def test_other_web_addresses_are_refused(name: str, address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({name: address})
    assert "hunter2" not in str(refused.value)


def test_links_begin_with_an_address_without_query_or_last_slash() -> None:
    assert Settings(public_url="https://shop.example/").public_url == "https://shop.example"
    for address in ("https://shop.example/?a=1", "https://shop.example/#a"):
        with pytest.raises(ValidationError, match="query"):
            Settings(public_url=address)


def test_the_operator_is_told_which_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_PUBLIC_URL", "http://shop.example")
    with pytest.raises(OperatorError, match=r"REGULARS_PUBLIC_URL cannot be used: .*https://"):
        load_settings()


async def test_a_failure_is_logged_without_recipient_and_text(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing:
        async def send_mail(self, mail: Mail) -> None:
            raise FinalDeliveryError("The mail server answered 550.")

        async def send_text(self, message: TextMessage) -> None:
            raise FinalDeliveryError("The text message service answered 400.")

    delivery = Delivery(Refusing(), Refusing())
    with pytest.raises(FinalDeliveryError):
        await delivery.send_mail(Mail("anna@example.com", "Hello", "secret"))
    with pytest.raises(FinalDeliveryError):
        await delivery.send_text(TextMessage("+4930123456", "secret"))
    assert [record.getMessage() for record in caplog.records] == [
        "FinalDeliveryError: The mail server answered 550.",
        "FinalDeliveryError: The text message service answered 400.",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
