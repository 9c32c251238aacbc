"""A notice as a mail."""

import smtplib
import ssl
from email.message import EmailMessage

from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.message import Notice
from lumbargrade.notifications.settings import Mail

_TIMEOUT_SECONDS = 30.0


def send(notice: Notice, mail: Mail) -> None:
    """Sends a notice by mail, encrypted where the server can; a password is never sent in clear.

    Raises:
        LumbargradeError: The server did not take it.
    """
    message = EmailMessage()
    message["Subject"] = f"[Lumbargrade] {notice.title}"
    message["From"], message["To"] = mail.sender, ", ".join(mail.receivers)
    message["Message-ID"] = f"<{notice.id}@lumbargrade>"
    message.set_content(notice.text())
    context = ssl.create_default_context()
    try:
        with (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=_TIMEOUT_SECONDS, context=context)
            if mail.tls
            else smtplib.SMTP(mail.host, mail.port, timeout=_TIMEOUT_SECONDS)
        ) as server:
            server.ehlo()
            if not mail.tls and server.has_extn("starttls"):
                server.starttls(context=context)
            elif not mail.tls and mail.user:
                raise LumbargradeError(
                    f"{mail.host} offers no encryption, so the password is not sent",
                    "use smtps://",
                    "mail-server-without-encryption",
                )
            if mail.user:
                server.login(mail.user, mail.password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        raise LumbargradeError(
            f"the mail was not taken by {mail.host} ({type(error).__name__}{code})", "", "mail-not-taken"
        ) from error
