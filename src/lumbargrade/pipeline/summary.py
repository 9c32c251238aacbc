"""What a run tells at its end: what it did, how good the result is, and what to do next."""

import shlex

from pydantic import BaseModel

from lumbargrade.config.params import Params
from lumbargrade.data.validation.report import CheckReport
from lumbargrade.data.versioning.dvc import uncommitted_pointers
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.register import Registration
from lumbargrade.serving.smoke_test import Answer
from lumbargrade.tracking.mlflow_tracker import tracking_uri
from lumbargrade.training.trial_record import count_ended


class RunSummary(BaseModel):
    """What a run did, for people and for ``--json``.

    Attributes:
        score: Official score of the best trial's out-of-fold predictions, where the locator looked; accuracy and its
            majority baseline likewise.
        score_labelled_points: The score at the labelled points; None if there is no locator.
        packaged: Which graders the version holds.
        champion: The version that is champion now.
        answer: What the new version said over HTTP; None if no version is new.
        approve: The command that makes the version champion; None unless the gate leaves that to a person.
        task_option: What commands about the task need; nothing for the default one.
        uncommitted: The data's pointers that git does not have yet.
    """

    dataset: str
    dataset_md5: str
    studies: int
    findings: dict[str, int]
    search: str
    trials: int
    new_trials: int
    score: float
    accuracy: float
    accuracy_majority: float
    score_labelled_points: float | None
    packaged: str
    model: str
    version: str
    decision: str
    reason: str
    champion: str | None
    holdout_score: float | None
    answer: Answer | None
    approve: str | None
    task_option: str
    uncommitted: list[str]
    tracking_uri: str

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people, with what to do next."""
        labelled = f"; at the labelled points {self.score_labelled_points:.4f}" if self.score_labelled_points else ""
        champion = f"{self.model}@champion is version {self.champion}" if self.champion else "there is no champion"
        pairs = [
            (
                "dataset",
                f"{self.dataset} {self.dataset_md5}, {self.studies} studies, "
                f"{self.findings['error']} errors and {self.findings['warning']} warnings",
            ),
            ("search", f"{self.search}: {self.trials} trials, {self.new_trials} of them now"),
            (
                "cross-validated",
                f"score {self.score:.4f}, accuracy {self.accuracy:.1%} (majority {self.accuracy_majority:.1%}){labelled}",
            ),
            ("packaged", self.packaged),
            ("model", f"{self.model} version {self.version}: {self.decision} ({self.reason}); {champion}"),
        ]
        if self.holdout_score is not None:
            pairs.append(("holdout", f"score {self.holdout_score:.4f}"))
        if self.approve is not None:
            pairs.append(("to make it champion", self.approve))
        if self.answer is not None:
            graded = f"{self.answer.graded} of {self.answer.cells} cells graded"
            pairs.append(("over HTTP", f"study {self.answer.study_id}: {graded}"))
        if self.uncommitted:
            pairs.append(("not in git yet", f"{', '.join(self.uncommitted)} (commit them, or use --commit)"))
        return [
            *pairs,
            ("look at runs", f"mlflow ui --backend-store-uri {self.tracking_uri}"),
            ("look at the flow", "prefect server start"),
            ("what it came from", f"lumbargrade audit show {self.version}{self.task_option}"),
            ("serve", f"lumbargrade models serve{self.task_option}"),
            ("read studies", f"lumbargrade serve{self.task_option}"),
        ]


def summarise(
    report: CheckReport,
    candidate: Candidate,
    new_trials: int,
    registration: Registration,
    answer: Answer | None,
) -> RunSummary:
    """Collects what a person wants to know at the end.

    Args:
        new_trials: Trials that this run had to run.
    """
    evaluation, task = candidate.evaluation, candidate.params.task
    return RunSummary(
        dataset=candidate.data["name"],
        dataset_md5=candidate.data["md5"],
        studies=report.studies,
        findings={level: sum(found.level == level for found in report.findings) for level in ("error", "warning")},
        search=candidate.search_name,
        trials=count_ended(candidate.trials),
        new_trials=new_trials,
        score=evaluation.score,
        accuracy=evaluation.accuracy,
        accuracy_majority=evaluation.accuracy_majority,
        score_labelled_points=candidate.on_labelled.score if candidate.on_labelled else None,
        packaged=candidate.packaging_words,
        model=registration.name,
        version=registration.version,
        decision=registration.decision,
        reason=registration.reason,
        champion=registration.champion,
        holdout_score=registration.holdout_score,
        answer=answer,
        approve=approve_command(registration.version, task) if registration.waits else None,
        task_option=task_option(task),
        uncommitted=uncommitted_pointers(),
        tracking_uri=tracking_uri(),
    )


def approve_command(version: str, task: str) -> str:
    """The command by which a person makes a version champion; name and reason are to be filled in."""
    return f"lumbargrade models approve {version}{task_option(task)} --by NAME --why TEXT"


def task_option(task: str) -> str:
    """What a command needs so that it is about a task; nothing for the default one."""
    return "" if task == Params().task else f" --task {shlex.quote(task)}"
