"""What became of the studies and files of a source."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Outcome = Literal["added", "already there", "left out", "grades changed"]
CSV_COLUMNS = ("source", "study_id", "outcome", "reason")


class Line(NamedTuple):
    """One line of the table that an addition leaves.

    Attributes:
        source: File or folder within the source. It may name a patient: it goes into the table and nowhere else.
        study_id: The study's number in the dataset, if it has one.
        outcome: What became of it; files that came along with their study have no line.
        reason: Why it was left out, or what is to be known of it.
        code: Of the error that left it out, if one did.
    """

    source: str
    study_id: int | None
    outcome: Outcome
    reason: str
    is_study: bool
    code: str = ""


class AddedStudy(BaseModel):
    """What became of a study; nothing in it identifies anybody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_id: int | None
    outcome: Outcome
    reason: str


class AddSummary(BaseModel):
    """What an addition did.

    Attributes:
        added: Studies that are new in the dataset.
        labelled: Those of them that have a grade.
        files: Images that came with them.
        there: Studies that the dataset had already.
        relabelled: Studies of the dataset whose grades changed.
        left_out: Studies that were left out.
        files_left_out: How many files were left out, by reason.
        studies: What became of each study.
        warnings: What a person should look at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    added: int
    labelled: int
    files: int
    there: int
    relabelled: int
    left_out: int
    files_left_out: dict[str, int]
    studies: tuple[AddedStudy, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        pairs = [
            ("dataset", self.dataset),
            ("added", f"{self.added} studies, {self.labelled} of them with grades, {self.files:,} images"),
            ("already there", f"{self.there} studies"),
        ]
        if self.relabelled:
            pairs.append(("grades changed", f"{self.relabelled} studies"))
        pairs.append(("left out", f"{self.left_out} studies, {sum(self.files_left_out.values()):,} files"))
        reasons = Counter(study.reason for study in self.studies if study.outcome == "left out")
        pairs += [("  studies", f"{number}: {reason}") for reason, number in reasons.most_common()]
        pairs += [("  files", f"{number:,}: {reason}") for reason, number in self.files_left_out.items()]
        return pairs + [("warning", warning) for warning in self.warnings]


def summarise(dataset: str, lines: Iterable[Line], labelled: int, files: int, warnings: Iterable[str]) -> AddSummary:
    """Sums up the lines of an addition."""
    lines = list(lines)
    studies = [line for line in lines if line.is_study]
    count = Counter(line.outcome for line in studies)
    reasons = Counter(line.reason for line in lines if not line.is_study)
    return AddSummary(
        dataset=dataset,
        added=count["added"],
        labelled=labelled,
        files=files,
        there=count["already there"],
        relabelled=count["grades changed"],
        left_out=count["left out"],
        files_left_out=dict(reasons.most_common()),
        studies=tuple(AddedStudy(study_id=s.study_id, outcome=s.outcome, reason=s.reason) for s in studies),
        warnings=tuple(warnings),
    )


def as_csv(lines: Iterable[Line]) -> str:
    """The lines as CSV, with :data:`CSV_COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        writer.writerow([line.source, "" if line.study_id is None else line.study_id, line.outcome, line.reason])
    return text.getvalue()
