"""The watch sees a changed scanner soon, says since when, and keeps still otherwise."""

import pytest

from lumbargrade.config.params import WatchParams
from lumbargrade.config.task import GradingTask
from lumbargrade.monitoring.drift import watch
from lumbargrade.monitoring.report import watch_html, watch_lines
from tests.answers import MODEL, QUICK, Answer


def test_a_change_is_raised_within_fifty_studies_and_dated(answers: Answer, rsna: GradingTask) -> None:
    served = [*answers(160, 1), *answers(50, 2, noise=0.02)]
    report = watch(served, MODEL, rsna, QUICK).report
    (drift,) = report.drifts
    assert report.state == "drift" and report.now == drift
    assert 100 < drift.raised <= 150
    assert abs(drift.since - 101) <= 3
    assert drift.raised_by == f"2-{drift.raised - 101}"
    assert drift.families[0].family == "intensity"
    assert all("noise" in moved.what and moved.now > moved.before for moved in drift.families[0].moved)
    assert report.reference == "60 studies that the version answered first"


def test_without_a_change_nothing_is_raised(answers: Answer, rsna: GradingTask) -> None:
    reports = [watch(answers(210, seed), MODEL, rsna, QUICK).report for seed in range(3)]
    assert [(report.state, report.drifts) for report in reports] == [("no drift", ())] * 3


def test_signed_studies_are_the_reference_where_they_are_enough(answers: Answer, rsna: GradingTask) -> None:
    served = answers(60, 1, maker="ge")
    report = watch(served, MODEL, rsna, QUICK, reference=answers(80, 2)).report
    assert (report.reference, report.studies, report.state) == (
        "80 held-out studies that were signed with the version", 60, "drift",
    )  # fmt: skip
    assert report.drifts[0].families[0].family == "scanner"
    few = watch(served, MODEL, rsna, QUICK, reference=answers(59, 2)).report
    assert (few.reference_studies, few.studies, few.state) == (60, 0, "waits")


def test_a_drift_that_is_over_is_told_and_does_not_stand(answers: Answer, rsna: GradingTask) -> None:
    served = [*answers(100, 1), *answers(40, 2, noise=0.02), *answers(110, 3)]
    report = watch(served, MODEL, rsna, QUICK).report
    assert report.state == "no drift" and report.now is None
    (drift,) = report.drifts
    assert drift.ended is not None and 80 < drift.ended <= 150


def test_a_study_counts_once_and_only_of_the_version_that_is_watched(answers: Answer, rsna: GradingTask) -> None:
    served = [*answers(70, 1), *answers(70, 1), *answers(90, 2, model="lumbargrade-rsna2024/2")]
    unopened = answers(2, 3)[0].model_copy(update={"study": "", "features": None})
    report = watch([*served, unopened], MODEL, rsna, QUICK).report
    assert (report.studies, report.needed, report.refused, report.state) == (10, 20, 1, "waits")
    assert watch_lines(report) == [
        ("watch", "too few studies to look: 20 more"),
        ("model", MODEL),
        ("compared with", "60 studies that the version answered first"),
        ("studies since", "10; 1 could not be opened"),
        ("calibration", "not looked at: 0 studies have corrections, the first look needs 20"),
    ]


def test_a_series_that_is_missing_from_now_on_is_drift(answers: Answer, rsna: GradingTask) -> None:
    def without_first(index: int) -> object:
        return (features := later[index].features) and features.model_copy(update={"series": features.series[1:]})

    later = answers(40, 2)
    cut = [each.model_copy(update={"features": without_first(index)}) for index, each in enumerate(later)]
    report = watch([*answers(100, 1), *cut], MODEL, rsna, QUICK).report
    assert report.now is not None
    assert "geometry" in {family.family for family in report.now.families}


def test_the_page_needs_nothing_else(answers: Answer, rsna: GradingTask) -> None:
    watched = watch([*answers(120, 1), *answers(45, 2, noise=0.02)], MODEL, rsna, QUICK)
    page = watch_html(watched)
    assert f"Watch over {MODEL}: drift" in page and "data:image/png;base64," in page
    assert "noise (log)" in page and "http" not in page
    assert "data:image" not in watch_html(watch([], MODEL, rsna, QUICK))


def test_parameters_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"200 replays do not suffice to measure false_alarms 0\.005; give at least 1000"
    ):
        WatchParams(replays=200)
    with pytest.raises(ValueError, match="horizon 60 must be more than window 60"):
        WatchParams(horizon=60, window=60)
