"""What the flow shows of its steps."""

from types import SimpleNamespace

import pytest

from flows import retrain
from lumbargrade.config.params import GateParams
from lumbargrade.errors import DivergedError, InputError, LumbargradeError, OutOfMemoryError, TooSlowError
from lumbargrade.registry.promotion.decision import GateDecision, decide
from lumbargrade.registry.register import Registration
from tests.candidates import TASK, TRUTH
from tests.predictions import both, right

NAME = "lumbargrade-rsna2024"


def registered(gate: GateDecision) -> Registration:
    return Registration(NAME, "1", True, gate.decision, gate.reason, None, None, gate=gate)


def test_table_and_reasons_of_the_gate_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, dict] = {}
    for kind in ("table", "markdown"):
        monkeypatch.setattr(retrain, f"create_{kind}_artifact", lambda **told: shown.update({told["key"]: told}))
    gate = decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.9), right(TRUTH, 0.6)), True, GateParams(), 3)
    monkeypatch.setattr(retrain, "register_candidate", lambda *told: registered(gate))
    retrain.register.fn(None, None)
    assert shown["registration"]["markdown"].startswith(f"**{NAME} version 1: {gate.decision}**\n\n- score ")
    assert "Look 3 at holdout" in shown["registration"]["markdown"]
    assert [row["check"] for row in shown["gate"]["table"]] == [check.name for check in gate.checks]
    shown.clear()
    first = decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.8), None), False, GateParams(promotion="approval"), 1)
    monkeypatch.setattr(retrain, "register_candidate", lambda *told: registered(first))
    retrain.register.fn(None, None)
    assert list(shown) == ["registration"]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OutOfMemoryError("fold 0: its process was killed", "", "training-process-killed"), True),
        (OutOfMemoryError("fold 0 does not fit", "", "training-out-of-memory"), False),
        (TooSlowError("fold 0 was stopped", "", "training-too-slow"), False),
        (DivergedError("the loss is no number", "", "loss-diverged"), False),
        (InputError("a parameter is wrong", "", "params-invalid"), False),
        (LumbargradeError("fold 0: its process failed", "", "training-process-failed"), True),
        (OSError("the disk is away"), True),
    ],
)
def test_only_what_may_do_better_is_tried_again(error: Exception, again: bool) -> None:
    state = SimpleNamespace(result=lambda raise_on_failure: error)
    assert retrain._worth_retrying(None, None, state) is again
