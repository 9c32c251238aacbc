"""A notice: an event in one sentence, with the facts beside it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from lumbargrade.frozen import Frozen

Payload = Mapping[str, Any]


class Notice(Frozen):
    """One notice.

    Attributes:
        id: The same for the same event, so that a receiver can drop what comes twice.
        event: Its name, such as ``lumbargrade.drift``.
        about: A model or a flow run, by name.
        title: One sentence.
        facts: What else is known.
        time: When it was made; UTC.
    """

    id: str
    event: str
    about: str
    title: str
    facts: dict[str, Any]
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def text(self) -> str:
        """The notice as plain text."""
        facts = "".join(
            f"{name}: {_words(value)}\n" for name, value in self.facts.items() if value not in (None, [], "")
        )
        return f"{self.title}\n\n{facts}\n{self.event}, {self.time:%Y-%m-%d %H:%M:%S} UTC, {self.id}\n"


def make_notice(number: str, event: str, about: str, payload: Payload) -> Notice:
    """Puts an event into words; one that is not known is called by its name."""
    title, kept = _KNOWN.get(event, (lambda name, facts: f"{event}: {name}", ()))
    facts = {name: payload[name] for name in kept if name in payload}
    return Notice(id=number, event=event, about=about, title=title(about, payload), facts=facts)


def _gate(about: str, payload: Payload) -> str:
    version = f"{about} version {payload.get('version')}"
    return {
        "promote": f"{version} is the new champion",
        "keep": f"{version} is not better than the champion, which stays",
        "needs approval": f"{version} waits for a person's approval",
    }.get(str(payload.get("decision")), f"{version} was judged: {payload.get('decision')}")


def _drift(about: str, payload: Payload) -> str:
    if payload.get("kind") == "calibration":
        return f"{payload.get('model', about)} is less sure to be right than it says"
    return f"What {payload.get('model', about)} is asked has drifted since {str(payload.get('since'))[:16].replace('T', ' ')}"


def _ended(about: str, payload: Payload, how: str) -> str:
    if not payload.get("deployment"):
        return f"The flow run {about} {how}"
    error = f" by {payload['error']}" if payload.get("error") else ""
    return f"{payload['deployment']} {how}{error} (flow run {about})"


def _verification(about: str, payload: Payload) -> str:
    if payload.get("unchecked") and not payload.get("faults"):
        return f"{about} could not be checked; nothing was found altered"
    return f"{about} is not what was signed"


_KNOWN: dict[str, tuple[Callable[[str, Payload], str], tuple[str, ...]]] = {
    "lumbargrade.gate": (_gate, ("model", "version", "decision", "reason", "champion", "approve")),
    "lumbargrade.retrained": (
        lambda about, payload: f"{about}: a retraining has ended with version {payload.get('version')}",
        ("version", "dataset_md5", "studies", "score", "holdout_score", "decision"),
    ),
    "lumbargrade.drift": (
        _drift,
        ("model", "kind", "families", "since_study", "since", "raised_study", "raised", "studies", "excess"),
    ),
    "lumbargrade.verification": (
        _verification,
        ("model", "faults", "unchecked"),
    ),
    "lumbargrade.given-up": (
        lambda about, payload: f"{about} has failed too often and is not tried again by itself; look at its log",
        ("deployment", "run", "crashes", "tries"),
    ),
    "prefect.flow-run.Failed": (
        lambda about, payload: _ended(about, payload, "failed"),
        ("deployment", "run", "error"),
    ),
    "prefect.flow-run.Crashed": (
        lambda about, payload: _ended(about, payload, "crashed"),
        ("deployment", "run", "error"),
    ),
    "lumbargrade.test": (lambda about, payload: "Notices of Lumbargrade arrive", ()),
}
"""An event's sentence, and what of its payload is sent; nothing else leaves the machine."""


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
