"""Where notices go: by variables of the environment, as they hold secrets."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError

WEBHOOK, SECRET = "LUMBARGRADE_NOTICES_WEBHOOK", "LUMBARGRADE_NOTICES_SECRET"
SMTP, MAIL_FROM, MAIL_TO = "LUMBARGRADE_NOTICES_SMTP", "LUMBARGRADE_NOTICES_FROM", "LUMBARGRADE_NOTICES_TO"
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Webhook:
    """An address that takes notices by POST.

    Attributes:
        secret: Shared with the receiver; signs each notice.
    """

    address: str
    secret: str


@dataclass(frozen=True)
class Mail:
    """A mail server and who writes to whom.

    Attributes:
        tls: From the first byte (``smtps``); else STARTTLS is used if the server offers it.
        user: None if the server asks for none; then there is no password either.
    """

    host: str
    port: int
    tls: bool
    user: str | None
    password: str
    sender: str
    receivers: tuple[str, ...]


@dataclass(frozen=True)
class NoticeSettings:
    """Where notices go; either may be missing."""

    webhook: Webhook | None = None
    mail: Mail | None = None


def read_settings(settings: Settings | None = None) -> NoticeSettings:
    """Reads the settings from the environment.

    Raises:
        InputError: A variable is wrong, or its companion is missing; secrets are not repeated.
    """
    settings = settings or Settings()
    return NoticeSettings(_webhook(settings), _mail(settings))


def _webhook(settings: Settings) -> Webhook | None:
    address, secret = settings.notices_webhook, settings.notices_secret
    if not address:
        return None
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise InputError(f"{WEBHOOK} is no address", "give https://host/path", "webhook-address-invalid")
    if secret is None:
        raise InputError(
            f"{WEBHOOK} is set and {SECRET} is not",
            "give the secret that the receiver verifies notices with",
            "webhook-secret-missing",
        )
    return Webhook(address, secret.get_secret_value())


def _mail(settings: Settings) -> Mail | None:
    if settings.notices_smtp is None:
        return None
    parts = urlsplit(settings.notices_smtp.get_secret_value())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1:
        raise InputError(
            f"{SMTP} is no mail server",
            "give smtp://user:password@host:587 or smtps://user:password@host:465",
            "mail-server-invalid",
        )
    receivers = tuple(each.strip() for each in (settings.notices_to or "").split(",") if each.strip())
    sender = settings.notices_from
    if sender is None or not receivers:
        missing = MAIL_TO if sender else MAIL_FROM
        raise InputError(f"{SMTP} is set and {missing} is not", "give the mail address", "mail-address-missing")
    return Mail(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        sender=sender,
        receivers=receivers,
    )
