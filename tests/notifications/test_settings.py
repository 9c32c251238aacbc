import pytest

from lumbargrade.errors import InputError
from lumbargrade.notifications.message import make_notice
from lumbargrade.notifications.settings import Webhook, read_settings

HOOK, SECRET = "LUMBARGRADE_NOTICES_WEBHOOK", "LUMBARGRADE_NOTICES_SECRET"
SMTP, FROM = "LUMBARGRADE_NOTICES_SMTP", "LUMBARGRADE_NOTICES_FROM"


def test_nothing_is_set() -> None:
    settings = read_settings()
    assert settings.webhook is None and settings.mail is None


def test_webhook_and_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        HOOK: "https://example.org/hook",
        SECRET: "s",
        SMTP: "smtps://ada:p%40ss@mail.example.org",
        FROM: "a@b.org",
        "LUMBARGRADE_NOTICES_TO": "c@d.org",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.webhook == Webhook("https://example.org/hook", "s")
    assert settings.mail is not None
    assert (settings.mail.port, settings.mail.tls, settings.mail.password) == (465, True, "p@ss")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({HOOK: "example.org"}, f"{HOOK} is no address; give https://host/path"),
        (
            {HOOK: "https://example.org"},
            f"{HOOK} is set and {SECRET} is not; give the secret that the receiver verifies notices with",
        ),
        (
            {SMTP: "mail.example.org:25"},
            f"{SMTP} is no mail server; give smtp://user:password@host:587 or smtps://user:password@host:465",
        ),
        (
            {SMTP: "smtp://ada:hunter2@mail.example.org:port"},
            f"{SMTP} is no mail server; give smtp://user:password@host:587 or smtps://user:password@host:465",
        ),
        ({SMTP: "smtp://mail.example.org"}, f"{SMTP} is set and {FROM} is not; give the mail address"),
    ],
)
def test_wrong_settings(told: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as error:
        read_settings()
    assert str(error.value) == message


def test_only_known_facts_are_told() -> None:
    notice = make_notice("1", "lumbargrade.retrained", "m", {"version": "2", "score": 0.7, "folder": "/home/ada"})
    assert notice.facts == {"version": "2", "score": 0.7}
    other = make_notice("1", "some.event", "m", {"folder": "/home/ada"})
    assert other.title == "some.event: m" and other.facts == {}
