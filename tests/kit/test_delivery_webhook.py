import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from regulars.kit.delivery_webhook import WebhookTextMessenger
from regulars.kit.messages import FinalDeliveryError, PassingDeliveryError, TextMessage

code = TextMessage("+4930123456", "Ihr Code: 123456 Grüße")


@dataclass
class Service:
    """What the service was asked, and how it answers.

    Attributes:
        status: Of every answer.
        headers: Of every answer.
        endless: Whether headers come, one at a time, until `hang_up` is set.
        silent: Whether nothing comes until `hang_up` is set.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False
    silent: bool = False
    hang_up: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def running(service: Service) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.requests.append((self.path, dict(self.headers), body))
            if service.silent:
                service.hang_up.wait()
                return
            self.send_response(service.status)
            while service.endless and not service.hang_up.wait(0.05):
                self.send_header("X-More", "follows")
                self.flush_headers()
            for name, value in {"Content-Length": "0", **service.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        service.hang_up.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_any_success_means_taken(status: int) -> None:
    with running(Service(status)) as service:
        await WebhookTextMessenger(f"{service.url}/send?from=shop", "s3cret").send_text(code)
    [(path, headers, body)] = service.requests
    assert path == "/send?from=shop"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"to": code.to, "text": code.text}


async def test_without_a_token_none_is_sent() -> None:
    with running(Service()) as service:
        await WebhookTextMessenger(service.url, None).send_text(code)
    assert "Authorization" not in service.requests[0][1]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (500, PassingDeliveryError),
        (503, PassingDeliveryError),
        (408, PassingDeliveryError),
        (429, PassingDeliveryError),
        (400, FinalDeliveryError),
        (401, FinalDeliveryError),
        (404, FinalDeliveryError),
    ],
)
async def test_the_status_tells_whether_to_try_again(status: int, expected: type[Exception]) -> None:
    with running(Service(status)) as service, pytest.raises(expected, match=str(status)):
        await WebhookTextMessenger(service.url, "s3cret").send_text(code)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    with running(Service()) as elsewhere, running(Service(status, {"Location": f"{elsewhere.url}/"})) as service:
        with pytest.raises(FinalDeliveryError, match=str(status)):
            await WebhookTextMessenger(service.url, "s3cret").send_text(code)
        assert elsewhere.requests == []


@pytest.mark.parametrize("service", [Service(silent=True), Service(endless=True)], ids=["silent", "endless"])
async def test_a_service_that_never_ends_its_answer_is_given_up(service: Service) -> None:
    with running(service):
        async with asyncio.timeout(10):
            with pytest.raises(PassingDeliveryError):
                await WebhookTextMessenger(service.url, "s3cret", timeout_seconds=0.2).send_text(code)


async def test_a_service_that_is_down_may_come_back() -> None:
    with running(Service()) as service:
        pass
    with pytest.raises(PassingDeliveryError):
        await WebhookTextMessenger(service.url, "s3cret").send_text(code)


async def test_of_an_endless_answer_nothing_is_read() -> None:
    with running(Service(headers={"Content-Length": str(10**12)})) as service:
        await WebhookTextMessenger(service.url, "s3cret", timeout_seconds=2).send_text(code)


@pytest.mark.parametrize("token", ["s3cret\r\nX-Other: 1", "s3cret\n", "two words", "schlüssel"])
def test_a_token_that_cannot_stand_in_a_header_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent") as refused:
        WebhookTextMessenger("https://sms.example", token)
    assert token not in str(refused.value)


async def test_neither_message_nor_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running(Service(500)) as service, pytest.raises(PassingDeliveryError):
        await WebhookTextMessenger(service.url, "s3cret").send_text(code)
    assert not any(part in caplog.text for part in ("123456", "4930", "s3cret"))
