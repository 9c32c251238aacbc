"""What a run says at its end."""

import pytest

from lumbargrade.data.validation.report import CheckReport
from lumbargrade.pipeline import summary
from lumbargrade.registry.register import Registration
from tests.candidates import make_candidate


def test_the_summary_ends_with_the_command_to_approve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "uncommitted_pointers", list)
    report = CheckReport.model_construct(studies=8, findings=[])
    waiting = Registration("lumbargrade-rsna2024", "1", True, "needs approval", "there was no champion", None, None)
    told = summary.summarise(report, make_candidate(), 1, waiting, None)
    assert ("to make it champion", "lumbargrade models approve 1 --by NAME --why TEXT") in told.lines()
    assert told.approve == "lumbargrade models approve 1 --by NAME --why TEXT"
    assert told.champion is None
    assert ("packaged", "0 graders, one a fold, whose probabilities are averaged") in told.lines()
