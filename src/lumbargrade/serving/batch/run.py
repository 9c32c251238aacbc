"""A batch from its folder to its tables, as the command and the flow run it."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from lumbargrade.models.trained_on import state
from lumbargrade.serving.batch.grade import find_studies, grade_batch, journal_name, plan_batch
from lumbargrade.serving.batch.journal import BatchModel, Journal
from lumbargrade.serving.batch.outputs import check_output, write_faults, write_predictions, write_statement
from lumbargrade.serving.verified_model import open_model


class BatchSummary(BaseModel):
    """What a batch came to.

    Attributes:
        trained_on: What the model was trained on, and ``performance`` how well it did, in sentences.
        studies: That the folder holds.
        now: Graded, or tried, by this run.
        cells: Graded, of all studies.
        faults: Studies that could not be graded.
        faults_file: What they are and why; None if there are none.
    """

    model: str
    trained_on: str
    performance: str | None
    out: str
    studies: int
    now: int
    cells: int
    faults: int
    faults_file: str | None

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        pairs = [
            ("caution", "not for clinical use"),
            ("model", self.model),
            ("trained on", self.trained_on),
            *([("performance", self.performance)] if self.performance else []),
            ("studies", f"{self.studies:,}, {self.now:,} of them now; {self.cells:,} cells graded"),
            ("wrote", self.out),
        ]
        if self.faults_file is not None:
            pairs.append(
                ("not graded", f"{self.faults:,} studies, see {self.faults_file}; run again to try them again")
            )
        return pairs


def run_batch(
    folder: Path, out: Path, model: str, processes: int, on_progress: Callable[[int, int], None]
) -> BatchSummary:
    """Grades what of a folder's studies is not graded yet, and writes the tables.

    Raises:
        InputError: There is nothing to grade, no such model, the output is another model's, or it cannot be written.
    """
    check_output(out)
    studies = find_studies(folder)
    packaged = open_model(model)
    task, statement = packaged.loaded.config.task, state(packaged.loaded.facts)
    by = BatchModel(name=packaged.name, task=task.name, sha256=packaged.sha256)
    plan = plan_batch(packaged.files, packaged.abstain_above, processes)
    faults_file = out.with_suffix(".faults.csv")
    with Journal.opened(out.with_name(f"{out.name}.journal"), by) as journal:
        now = grade_batch(journal, studies, plan, on_progress)
        graded = [one for study in studies for one in journal.graded(journal_name(study))]
        write_predictions(out, task, packaged.name, statement, graded)
        write_statement(out.with_name(f"{out.name}.model.json"), packaged.name, statement)
        write_faults(faults_file, graded)
    faults = sum(each.fault is not None for each in graded)
    return BatchSummary(
        model=packaged.name,
        trained_on=statement.sentence,
        performance=statement.performance,
        out=str(out),
        studies=len(graded),
        now=now,
        cells=sum(record["grade"] is not None for each in graded for record in each.records),
        faults=faults,
        faults_file=str(faults_file) if faults else None,
    )
