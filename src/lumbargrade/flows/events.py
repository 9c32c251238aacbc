"""Events about a model, which automations act on: a retraining, a notice."""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.events import emit_event

DRIFT, GATE, RETRAINED, VERIFICATION = (
    f"lumbargrade.{name}" for name in ("drift", "gate", "retrained", "verification")
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
