"""What the watch says as a page that needs nothing else, and as text for Prefect."""

import numpy as np
from matplotlib.figure import Figure

from lumbargrade.evaluation.pages import encode_figure, render_page
from lumbargrade.monitoring.calibration import FIRST_LOOK
from lumbargrade.monitoring.drift import Drift, Watched, WatchReport
from lumbargrade.monitoring.feature_groups import FAMILIES


def watch_lines(report: WatchReport) -> list[tuple[str, str]]:
    """The report for people, with what to do next."""
    said = {
        "waits": f"too few studies to look: {report.needed} more",
        "no drift": "no drift",
        "drift": "drift",
    }[report.state]
    lines = [("watch", said), ("model", report.model), ("compared with", report.reference)]
    lines.append(("studies since", f"{report.studies}; {report.refused} could not be opened"))
    for drift in report.drifts:
        over = "" if drift.ended is None else f", over by study {drift.ended}"
        lines.append((
            "drift",
            f"since about study {drift.since} ({_short(drift.since_time)}), raised at study {drift.raised} "
            f"({_short(drift.raised_time)}){over}",
        ))  # fmt: skip
        lines += [(f"  {family.family}", _family_words(drift, number)) for number, family in enumerate(drift.families)]
    lines.append(("calibration", _calibration_words(report)))
    if report.state == "drift":
        lines.append(
            ("next", "look at the studies since then, label some, and run `lumbargrade run` on the larger dataset")
        )
    return lines


def watch_markdown(report: WatchReport) -> str:
    """The same as Markdown."""
    rows = "\n".join(f"| {name.strip()} | {value} |" for name, value in watch_lines(report))
    return f"| | |\n|---|---|\n{rows}\n"


def watch_html(watched: Watched) -> str:
    """The page: what was said, what moved, and the course of every family."""
    return render_page(
        "lumbargrade.monitoring",
        "report.html.j2",
        report=watched.report,
        lines=watch_lines(watched.report),
        families=FAMILIES,
        picture="" if watched.course is None else encode_figure(course_figure(watched)),
    )


def course_figure(watched: Watched) -> Figure:
    """Draws how far each family was from its reference after each study.

    Raises:
        ValueError: The watch has not looked yet.
    """
    course = watched.course
    if course is None:
        raise ValueError("the watch has not looked yet")
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    studies = np.arange(course.heights.shape[1]) + watched.first_look
    for name, heights in zip(course.names, course.heights, strict=True):
        axes.plot(studies, heights, label=name, linewidth=1.3)
    axes.axhline(course.threshold, color="black", linestyle="--", linewidth=1, label="drift above")
    for drift in watched.report.drifts:
        axes.axvspan(drift.since, drift.ended or studies[-1], color="tab:red", alpha=0.08)
    axes.set_yscale("symlog", linthresh=10)
    axes.set_xlabel("Studies answered since the reference")
    axes.set_ylabel("Deviations from chance")
    axes.legend(ncols=4, fontsize=8)
    return figure


def _family_words(drift: Drift, number: int) -> str:
    family = drift.families[number]
    moved = "; ".join(f"{each.what} {each.before:.3g} → {each.now:.3g}" for each in family.moved)
    return f"{family.means}: {family.height:.1f} deviations from chance ({_chance(family.chance)}); {moved}"


def _calibration_words(report: WatchReport) -> str:
    found = report.calibration
    if found.excess is None:
        return f"not looked at: {found.studies} studies have corrections, the first look needs {FIRST_LOOK}"
    verdict = (
        "worse than the model says" if found.drift else "not worse than the model says, as far as corrections tell"
    )
    return f"{verdict}: Brier score {found.excess:+.3f} beyond what it promises, {found.studies} corrected studies"


def _chance(chance: float) -> str:
    return (
        f"by chance in {chance:.1%} of undrifted stretches" if chance >= 0.002 else "in none of the undrifted replays"
    )


def _short(time: str) -> str:
    return time[:16].replace("T", " ")
