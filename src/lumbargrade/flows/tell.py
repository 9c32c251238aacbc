"""Tells people what happened; automations start it with the event."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from lumbargrade.errors import LumbargradeError
from lumbargrade.notices.mail import send
from lumbargrade.notices.notice import Notice, make_notice
from lumbargrade.notices.settings import SMTP, WEBHOOK, Mail, Webhook, read_settings
from lumbargrade.notices.webhook import post


@flow(name="tell")
def tell(event: str, about: str, payload: dict[str, Any] | None = None, number: str = "") -> list[str]:
    """Sends a notice to the webhook and by mail, whichever is set; one that fails does not keep the other.

    Args:
        event: Name of the event.
        about: The model or flow run that it is about.
        payload: What the event says; only known facts are passed on.
        number: Id of the event.

    Returns:
        Who was told: ``webhook``, ``mail``.

    Raises:
        InputError: A setting is wrong.
        LumbargradeError: A notice was not taken.
    """
    settings = read_settings()
    number = number or str(uuid5(NAMESPACE_URL, f"{event}/{about}/{payload}"))
    notice = make_notice(number, event, about, payload or {})
    if settings.webhook is None and settings.mail is None:
        get_run_logger().info(f"{notice.title}. Nobody is told: neither {WEBHOOK} nor {SMTP} is set")
        return []
    ways: list[tuple[str, Any, Webhook | Mail | None]] = [
        ("webhook", by_webhook, settings.webhook),
        ("mail", by_mail, settings.mail),
    ]
    told, failed = [], []
    for name, way, where in ways:
        if where is None:
            continue
        try:
            way(notice, where)
            told.append(name)
        except LumbargradeError as error:
            failed.append(str(error))
    if failed:
        raise LumbargradeError("; ".join(failed))
    return told


@task(name="webhook", cache_policy=NO_CACHE)
def by_webhook(notice: Notice, webhook: Webhook) -> None:
    """Sends it by HTTP."""
    post(notice, webhook)


@task(name="mail", cache_policy=NO_CACHE)
def by_mail(notice: Notice, mail: Mail) -> None:
    """Sends it by mail."""
    send(notice, mail)
