import pytest

from regulars.kit.messages import Mail, TextMessage


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.com\r\nBcc: eve@example.com",
        "anna@example.com\n",
        "anna@example.com, eve@example.com",
        "anna@example.com eve@example.com",
        "Anna <anna@example.com>",
        "<anna@example.com>",
        '"a b"@example.com',
        "anna@eve@example.com",
        "anna@[127.0.0.1]",
        "=?utf-8?q?a=0D=0ABcc=3A_eve=40example.com?=@example.com",
        "anna\0@example.com",
        "anna\ud800@example.com",
        "anna",
        "@example.com",
        "",
    ],
)
def test_only_one_bare_address_is_a_recipient(address: str) -> None:
    with pytest.raises(ValueError, match="the address") as refused:
        Mail(address, "Hello", "Hello")
    assert not address or address not in str(refused.value)


@pytest.mark.parametrize(
    "subject",
    [
        "Hello\r\nBcc: eve@example.com",
        "Hello\n",
        "Hello\rthere",
        "Hello\u2028there",
        "Hello\x85there",
        "Hello\0",
        "Hello\ud800",
        "=?utf-8?q?Hello=0D=0ABcc=3A_eve=40example.com?=",
    ],
)
def test_nothing_in_a_subject_can_become_a_header(subject: str) -> None:
    with pytest.raises(ValueError, match="the subject"):
        Mail("anna@example.com", subject, "Hello")


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "a\ud800b", "a\u2028b"])
def test_a_text_has_no_controls_but_line_ends(text: str) -> None:
    with pytest.raises(ValueError, match="the text"):
        Mail("anna@example.com", "Hello", text)
    with pytest.raises(ValueError, match="the text"):
        TextMessage("+4930123456", text)


def test_people_everywhere_can_be_written_to() -> None:
    Mail("zoë.o'neill+news@xn--bcher-kva.example", "Grüße 👋 Ihr Gutschein", "Zeile\n\tZeile\r\nZeile")
    TextMessage("+4930123456", "Ihr Code: 123456\nGrüße")


@pytest.mark.parametrize(
    "number",
    ["030123456", "+49 30 123456", "+0930123456", "+49301", "+4930123456\n", "+4930123456,+4930123457", "+٤٩٣٠١٢٣٤٥٦"],
)
def test_only_a_number_in_e164_is_a_recipient(number: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164"):
        TextMessage(number, "Hello")


def test_a_message_does_not_show_itself() -> None:
    shown = f"{Mail('anna@example.com', 'private', 'secret')!r} {TextMessage('+4930123456', 'secret')}"
    assert not any(part in shown for part in ("anna", "private", "secret", "4930"))
