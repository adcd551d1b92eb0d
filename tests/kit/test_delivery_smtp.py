import asyncio
import logging
import ssl
from pathlib import Path

import pytest
import trustme
from aiosmtpd.smtp import SMTP

from regulars.kit.clock import Clock
from regulars.kit.delivery_mail import Sender
from regulars.kit.delivery_smtp import SmtpMessenger, SmtpServer
from regulars.kit.messages import FinalDeliveryError, Mail, PassingDeliveryError
from tests.kit.mail_server import Mailbox, mail_server

hello = Mail("anna@example.com", "Hello", "Hello Anna\n")
login = "shop:p%2Fss%20w%40rd"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What the server shows; this machine trusts its authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return certificate_for("localhost", authority)


def certificate_for(name: str, authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def messenger(clock: Clock, url: str, *, name: str = "Bücher & Co.", timeout_seconds: float = 5) -> SmtpMessenger:
    sender = Sender("shop@example.com", name)
    return SmtpMessenger(SmtpServer.from_url(url), sender, clock, timeout_seconds=timeout_seconds)


async def test_a_mail_arrives_as_it_was_written(mailbox: Mailbox, clock: Clock) -> None:
    text = "Grüße, Zoë!\n.\nMAIL FROM:<eve@example.com>\n..\nhttps://shop.example/verify?token=" + "a" * 1200 + "\n"
    async with mail_server(mailbox):
        mail = Mail("anna@example.com", "Ihr Gutschein über 5 € 👋 " + "und mehr " * 20 + "Ende", text)
        await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(mail)
    message = mailbox.message()
    assert (mailbox.envelopes[0].mail_from, mailbox.envelopes[0].rcpt_tos) == ("shop@example.com", ["anna@example.com"])
    assert message["From"].addresses[0].display_name == "Bücher & Co."
    assert message["From"].addresses[0].addr_spec == "shop@example.com"
    assert (message["To"], message["Subject"]) == (mail.to, mail.subject)
    assert message["Date"].datetime == clock.now()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == text
    assert message.get_content_type() == "text/plain"


@pytest.mark.parametrize("text", ["Grüße", "a" * 1200, "ü" * 1200], ids=["short", "long", "both"])
async def test_any_server_can_pass_a_mail_on(text: str, mailbox: Mailbox, clock: Clock) -> None:
    async with mail_server(mailbox):
        mail = Mail("anna@example.com", text, text)
        await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(mail)
    assert isinstance(content := mailbox.envelopes[0].content, bytes)
    assert content.isascii()
    assert max(len(line) for line in content.splitlines()) <= 998
    assert mailbox.message()["Subject"] == text


async def test_an_address_beyond_ascii_needs_a_server_that_takes_it(mailbox: Mailbox, clock: Clock) -> None:
    mail = Mail("zoë@example.com", "Hello", "Grüße")
    async with mail_server(mailbox, enable_SMTPUTF8=True):
        await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(mail)
    assert mailbox.message()["To"] == "zoë@example.com"
    async with mail_server(mailbox):
        with pytest.raises(FinalDeliveryError):
            await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(mail)


async def test_starttls_encrypts_before_login_and_mail(
    mailbox: Mailbox, clock: Clock, certificate: ssl.SSLContext
) -> None:
    async with mail_server(mailbox, starttls=certificate, auth_required=True, auth_require_tls=True):
        await messenger(clock, f"smtp://{login}@localhost:{mailbox.port}").send_mail(hello)
    assert (mailbox.encrypted, len(mailbox.logins)) == ([True], 1)


async def test_tls_from_the_start(mailbox: Mailbox, clock: Clock, certificate: ssl.SSLContext) -> None:
    # To aiosmtpd only STARTTLS is TLS.
    async with mail_server(mailbox, tls=certificate, auth_require_tls=False):
        await messenger(clock, f"smtps://{login}@localhost:{mailbox.port}").send_mail(hello)
    assert mailbox.message()["Subject"] == "Hello"
    assert len(mailbox.logins) == 1


async def test_without_starttls_nothing_is_sent(mailbox: Mailbox, clock: Clock) -> None:
    async with mail_server(mailbox, auth_require_tls=False):
        with pytest.raises(FinalDeliveryError):
            await messenger(clock, f"smtp://{login}@localhost:{mailbox.port}").send_mail(hello)
    assert (mailbox.envelopes, mailbox.logins) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("flaw", ["unknown authority", "other name"])
async def test_a_wrong_certificate_is_not_trusted(
    scheme: str, flaw: str, mailbox: Mailbox, clock: Clock, authority: trustme.CA, certificate: ssl.SSLContext
) -> None:
    shown = certificate_for(
        "localhost" if flaw == "unknown authority" else "other.example",
        trustme.CA() if flaw == "unknown authority" else authority,
    )
    async with mail_server(mailbox, **{"starttls" if scheme == "smtp" else "tls": shown}, auth_require_tls=False):
        with pytest.raises(PassingDeliveryError):  # it can be renewed
            await messenger(clock, f"{scheme}://{login}@localhost:{mailbox.port}").send_mail(hello)
    assert (mailbox.envelopes, mailbox.logins) == ([], [])


async def test_a_wrong_password_is_final(mailbox: Mailbox, clock: Clock, certificate: ssl.SSLContext) -> None:
    async with mail_server(mailbox, starttls=certificate):
        with pytest.raises(FinalDeliveryError, match="535"):
            await messenger(clock, f"smtp://shop:wrong@localhost:{mailbox.port}").send_mail(hello)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.1.1 <anna@example.com> unknown", FinalDeliveryError),
        ("450 4.2.0 <anna@example.com> greylisted", PassingDeliveryError),
        ("421 4.3.2 closing", PassingDeliveryError),
    ],
)
@pytest.mark.parametrize("moment", ["recipient_answer", "data_answer"])
async def test_the_first_digit_tells_whether_to_try_again(
    moment: str, answer: str, expected: type[Exception], mailbox: Mailbox, clock: Clock
) -> None:
    setattr(mailbox, moment, answer)
    async with mail_server(mailbox):
        with pytest.raises(expected, match=answer[:3]) as failed:
            await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(hello)
    assert "anna" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


async def test_a_server_that_is_down_may_come_back(clock: Clock, unused_tcp_port: int) -> None:
    with pytest.raises(PassingDeliveryError):
        await messenger(clock, f"smtp+insecure://127.0.0.1:{unused_tcp_port}").send_mail(hello)


@pytest.fixture
async def unused_tcp_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("greeting", [b"", b"hello?\r\n", b"220 mx.test\r\n"])
async def test_a_server_that_falls_silent_is_given_up(greeting: bytes, clock: Clock) -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()  # until the other side has hung up
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PassingDeliveryError):
            await messenger(clock, f"smtp+insecure://127.0.0.1:{port}", timeout_seconds=0.2).send_mail(hello)


async def test_a_mail_that_was_taken_counts_although_the_farewell_fails(mailbox: Mailbox, clock: Clock) -> None:
    class Rude(Mailbox):
        async def handle_QUIT(self, server: SMTP, *_: object) -> str:  # noqa: N802
            server.transport.abort()
            return "221 unheard"

    rude = Rude()
    async with mail_server(rude):
        await messenger(clock, f"smtp+insecure://127.0.0.1:{rude.port}").send_mail(hello)
    assert rude.message()["Subject"] == "Hello"


async def test_nothing_of_a_mail_is_logged(mailbox: Mailbox, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # that of the test's own server
    async with mail_server(mailbox):
        await messenger(clock, f"smtp+insecure://127.0.0.1:{mailbox.port}").send_mail(hello)
    assert "anna" not in caplog.text.lower()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://mx.example", SmtpServer("mx.example", 465, "tls")),
        ("smtp://a%40b:c%2F%23d@mx.example", SmtpServer("mx.example", 587, "starttls", "a@b", "c/#d")),
        ("smtp://a:b@mx.example:2525/", SmtpServer("mx.example", 2525, "starttls", "a", "b")),
        ("smtp+insecure://[::1]", SmtpServer("::1", 25, "none")),
    ],
)
def test_an_address_says_how_to_talk(url: str, expected: SmtpServer) -> None:
    assert SmtpServer.from_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://mx.example",
        "mx.example:587",
        "smtp://",
        "smtp://shop:hunter2/x@mx.example",
        "smtp://shop:hunter2#x@mx.example",
        "smtp://shop:hunter2@mx.example?starttls=no",
        "smtp://shop:hunter2@mx.example:99999",
        "smtp://shop:hunter2@mx.example:smtp",
        "smtp://shop:hunter2@[mx.example",
        "smtp://shop:hunter2\u2100@mx.example",
        "smtp://shop:hünter2@mx.example",
        "smtp://shop@mx.example",
        "smtp://:hunter2@mx.example",
        "smtp+insecure://shop:hunter2@mx.example",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has a|would send") as refused:
        SmtpServer.from_url(url)
    assert "nter2" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_sender_cannot_bring_in_headers() -> None:
    for address, name in (("shop@example.com\nBcc: eve@example.com", "Shop"), ("shop@example.com", "Shop\nBcc: eve")):
        with pytest.raises(ValueError, match="characters"):
            Sender(address, name)
    with pytest.raises(ValueError, match="ASCII"):
        Sender("shop@bücher.example", "Shop")
