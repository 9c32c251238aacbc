"""Tells people what happened; automations start it with the event."""

import re
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.email import send
from lumbargrade.notifications.message import Notice, make_notice
from lumbargrade.notifications.sent import sent_once
from lumbargrade.notifications.settings import SMTP, WEBHOOK, Mail, Webhook, read_settings
from lumbargrade.notifications.webhook import post

FLOW_RUN = "prefect.flow-run."
_ERROR = re.compile(r"Flow run encountered an exception: (?:\w+\.)*(\w+)\b")


@flow(name="tell")
def tell(event: str, about: str, payload: dict[str, Any] | None = None, number: str = "") -> list[str]:
    """Sends a notice to the webhook and by mail, whichever is set; one that fails does not keep the other.

    What has a number is sent once each way, however often Prefect starts this for it.

    Args:
        event: Name of the event.
        about: The model or flow run that it is about.
        payload: What the event says; only known facts are passed on.
        number: Id of the event; of a flow run's, ``prefect.flow-run.`` and the run's.

    Returns:
        Who was told now: ``webhook``, ``mail``.

    Raises:
        InputError: A setting is wrong.
        LumbargradeError: A notice was not taken.
    """
    settings = read_settings()
    known = number
    number = number or str(uuid5(NAMESPACE_URL, f"{event}/{about}/{payload}"))
    facts = {**(payload or {}), **(run_facts(number) if event.startswith(FLOW_RUN) else {})}
    notice = make_notice(number, event, about, facts)
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
            with sent_once(f"{event} {known} {name}" if known else None) as is_new:
                if is_new:
                    way(notice, where)
                    told.append(name)
                else:
                    get_run_logger().info(f"the {name} has had this notice: {event}, {number}")
        except LumbargradeError as error:
            failed.append(str(error))
    if failed:
        raise LumbargradeError("; ".join(failed), "", "notice-not-taken")
    return told


def run_facts(number: str) -> dict[str, Any]:
    """What may be told of a flow run: its deployment, state and kind of error; none of its messages, which may name files."""
    try:
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(UUID(number.removeprefix(FLOW_RUN)))
            deployment = client.read_deployment(run.deployment_id).name if run.deployment_id else None
    except (ValueError, httpx.HTTPError, PrefectException):
        return {}  # the notice is worth more than its facts
    error = _ERROR.match(run.state.message or "") if run.state else None
    return {"deployment": deployment, "run": run.name, "error": error.group(1) if error else None}


@task(name="webhook", cache_policy=NO_CACHE)
def by_webhook(notice: Notice, webhook: Webhook) -> None:
    """Sends it by HTTP."""
    post(notice, webhook)


@task(name="mail", cache_policy=NO_CACHE)
def by_mail(notice: Notice, mail: Mail) -> None:
    """Sends it by mail."""
    send(notice, mail)
