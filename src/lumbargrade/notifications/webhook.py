"""A notice as an HTTP POST that its receiver can verify: an HMAC over time and body, as Stripe and others sign theirs."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.message import Notice
from lumbargrade.notifications.settings import Webhook

SIGNATURE, NUMBER = "Lumbargrade-Signature", "Lumbargrade-Notice"
PAUSES = (1.0, 5.0, 25.0)
"""Seconds before each new try, if the receiver cannot be reached or is busy."""
_TIMEOUT_SECONDS = 15.0


def sign(secret: str, seconds: int, body: bytes) -> str:
    """The value of the header: ``t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>", hex>``.

    Args:
        seconds: Since 1970; a receiver refuses what is too old, so that nobody can send it again later.
    """
    digest = hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def post(notice: Notice, webhook: Webhook, pauses: Sequence[float] = PAUSES) -> None:
    """Sends a notice, again if need be; its number, in a header, stays the same.

    Raises:
        LumbargradeError: It was not taken.
    """
    body = notice.model_dump_json().encode()
    for pause in (*pauses, None):
        failure = _try(notice, webhook, body)
        if failure is None:
            return
        if failure.final or pause is None:
            raise LumbargradeError(
                f"the notice was not taken by {httpx.URL(webhook.address).host}: {failure.reason}",
                "",
                "webhook-refused" if failure.final else "webhook-not-reached",
            )
        time.sleep(pause)


class _Failure(NamedTuple):
    """Why a notice was not taken; a final one will not get better."""

    reason: str
    final: bool


def _try(notice: Notice, webhook: Webhook, body: bytes) -> _Failure | None:
    """Sends a notice once; returns what is wrong, if something is."""
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: sign(webhook.secret, int(time.time()), body),
        NUMBER: notice.id,
    }
    try:
        answer = httpx.post(webhook.address, content=body, headers=headers, timeout=_TIMEOUT_SECONDS)
    except httpx.TransportError as error:
        return _Failure(f"it did not answer ({type(error).__name__})", final=False)
    if answer.is_success:
        return None
    busy = answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    return _Failure(f"{'it is busy' if busy else 'refused'} (status {answer.status_code})", final=not busy)
