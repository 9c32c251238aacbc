"""Where notices go: by variables of the environment, as they hold secrets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

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
        user: Nothing if the server asks for none; then there is no password either.
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


def read_settings(variables: Mapping[str, str] | None = None) -> NoticeSettings:
    """Reads the settings from the environment.

    Raises:
        InputError: A variable is wrong, or its companion is missing; secrets are not repeated.
    """
    told = os.environ if variables is None else variables
    return NoticeSettings(_webhook(told), _mail(told))


def _webhook(told: Mapping[str, str]) -> Webhook | None:
    address = told.get(WEBHOOK)
    if not address:
        return None
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise InputError(f"{WEBHOOK} is no address; give https://host/path")
    if not told.get(SECRET):
        raise InputError(
            f"{WEBHOOK} is set and {SECRET} is not; give the secret that the receiver verifies notices with"
        )
    return Webhook(address, told[SECRET])


def _mail(told: Mapping[str, str]) -> Mail | None:
    address = told.get(SMTP)
    if not address:
        return None
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1:
        raise InputError(
            f"{SMTP} is no mail server; give smtp://user:password@host:587 or smtps://user:password@host:465"
        )
    receivers = tuple(each.strip() for each in told.get(MAIL_TO, "").split(",") if each.strip())
    for name, value in ((MAIL_FROM, told.get(MAIL_FROM)), (MAIL_TO, receivers)):
        if not value:
            raise InputError(f"{SMTP} is set and {name} is not; give the mail address")
    return Mail(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        sender=told[MAIL_FROM],
        receivers=receivers,
    )
