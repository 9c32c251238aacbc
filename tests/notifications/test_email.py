import socket
import warnings
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from pydantic import SecretStr

from lumbargrade.config.settings import Settings
from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.email import send
from lumbargrade.notifications.message import make_notice
from lumbargrade.notifications.settings import Mail, read_settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, Envelope, Session

NOTICE = make_notice(
    "7",
    "lumbargrade.drift",
    "lumbargrade-rsna2024",
    {"model": "lumbargrade-rsna2024/1", "since": "2026-11-16T04:00:00"},
)


class Kept:
    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[int, list[EmailMessage]]]:
    kept = Kept()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield port, kept.messages
    controller.stop()


def settings(port: int, login: str = "") -> Mail:
    told = Settings(
        notices_smtp=SecretStr(f"smtp://{login}127.0.0.1:{port}"),
        notices_from="grader@example.org",
        notices_to="ada@example.org, grace@example.org",
    )
    mail = read_settings(told).mail
    assert mail is not None
    return mail


def test_a_mail_says_what_happened(mailbox: tuple[int, list[EmailMessage]]) -> None:
    port, messages = mailbox
    send(NOTICE, settings(port))
    (message,) = messages
    assert message["Subject"] == (
        "[Lumbargrade] What lumbargrade-rsna2024/1 is asked has drifted since 2026-11-16 04:00"
    )
    assert message["To"] == "ada@example.org, grace@example.org"
    assert "model: lumbargrade-rsna2024/1" in message.get_content()


def test_a_password_is_never_sent_in_clear(mailbox: tuple[int, list[EmailMessage]]) -> None:
    port, messages = mailbox
    with pytest.raises(LumbargradeError) as error:
        send(NOTICE, settings(port, "ada:hunter2@"))
    assert str(error.value) == "127.0.0.1 offers no encryption, so the password is not sent; use smtps://"
    assert not messages


def test_no_server() -> None:
    with pytest.raises(LumbargradeError, match=r"the mail was not taken by 127.0.0.1 \(ConnectionRefusedError\)"):
        send(NOTICE, settings(9))
