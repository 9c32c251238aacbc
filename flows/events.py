"""Events about a model, which automations act on: a retraining, a notice."""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.events import emit_event

DRIFT, GATE, RETRAINED, VERIFICATION, GIVEN_UP = (
    f"lumbargrade.{name}" for name in ("drift", "gate", "retrained", "verification", "given-up")
)


def event_id(event: str, model: str, what: str) -> UUID:
    """The id of an event; one that is raised again, as a process was killed before it could note it, has the same."""
    return uuid5(NAMESPACE_URL, f"{event}/{model}/{what}")


def emit(event: str, name: str, payload: Mapping[str, Any], number: UUID, version: str = "") -> None:
    """Raises an event about a registered model.

    Args:
        name: Registered name.
        payload: No patient's data and no paths: it may leave the machine.
    """
    emit_event(
        event=event,
        resource={
            "prefect.resource.id": f"lumbargrade.model.{name}",
            "prefect.resource.name": name,
            **({"lumbargrade.model.version": version} if version else {}),
        },
        payload=dict(payload),
        id=number,
    )


def emit_given_up(deployment: str, payload: Mapping[str, Any], what: str) -> None:
    """Raises the event that a deployment's work has failed too often, and is not tried again by itself.

    Args:
        payload: No patient's data and no paths: it may leave the machine.
        what: Names the work; raised again for the same, the event has the same id.
    """
    emit_event(
        event=GIVEN_UP,
        resource={
            "prefect.resource.id": f"lumbargrade.deployment.{deployment}",
            "prefect.resource.name": deployment,
        },
        payload=dict(payload),
        id=event_id(GIVEN_UP, deployment, what),
    )
