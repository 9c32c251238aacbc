"""Makes one grader that answers as the best trial's folds do together, so that a study costs one network and not k.

Distilled: teachers and student see the same crop, augmented alike, and the student learns the teachers' mean probabilities;
nothing is learned from labels. Source: Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", 2022.
Averaged: it has the mean of their weights, which serves if they began with the same and did not go far. Source: Wortsman et
al., "Model soups", 2022.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lumbargrade.errors import InputError
from lumbargrade.files import file_sha256, write_text
from lumbargrade.inference.predict import predict_studies
from lumbargrade.models.calibration import logarithms
from lumbargrade.models.grader import Grader, load_grader
from lumbargrade.training.grader.fit import GraderRun
from lumbargrade.training.grader.sampling import Rows, student_rows
from lumbargrade.training.jobs.spec import HISTORY, Epoch, FoldResult, StudentSpec, Teacher
from lumbargrade.training.loop.loop import Course, finish_fold, train_epochs

_AGREES = 0.8
"""An average that gives fewer of the sample's cells the grade of its teachers answers for something else than they do."""


def train_student(spec: StudentSpec, each_epoch: Callable[[Epoch], None] | None = None) -> FoldResult:
    """Makes a student and writes model, history, its answers to the sample and, last, the result.

    It goes on where it was killed. All its epochs are trained, whatever ``patience`` says: no study is left that it has not
    seen, by which it could be stopped.

    Raises:
        InputError: There are no crops to train on, a teacher is not the one that was named, or the mean of the teachers'
            weights does not answer as they do.
        DivergedError: The loss became infinite or no number.
    """
    run = _Run.begin(spec)
    course = run.average() if spec.how == "averaged" else train_epochs(run, each_epoch=each_epoch)
    return finish_fold(run, course, run.predictions())


@dataclass
class _Run(GraderRun):
    """The state of a student's training: a grader's, with teachers in place of labels.

    Attributes:
        wanted: What the teachers say of the sample's cells, as they would be served together, (cells, grades).
    """

    spec: StudentSpec
    teachers: list[Grader] = field(init=False)
    wanted: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.teachers = [
            _load_teacher(teacher).to(self.device).to(memory_format=torch.channels_last)
            for teacher in self.spec.teachers
        ]
        self.wanted = self._answers(self.teachers)

    @staticmethod
    def choose(
        index: pd.DataFrame, split: pd.DataFrame, fold: int, trust: NDArray[np.float32] | None
    ) -> tuple[Rows, dict[str, Rows]]:
        """As :func:`student_rows`."""
        return student_rows(index, split)

    def average(self) -> Course:
        """Gives the grader the mean of its teachers' weights; there is nothing to train.

        Raises:
            InputError: It does not answer as they do.
        """
        started, began = time.monotonic(), datetime.now(UTC)
        mean = AveragedModel(self.grader, use_buffers=True)
        for teacher in self.teachers:
            mean.update_parameters(teacher)
        self.grader.load_state_dict(mean.module.state_dict())
        divergence, same_grade = self._validate()
        if same_grade < _AGREES:
            raise InputError(
                f"the mean of {len(self.teachers)} folds' weights gives the same grade as they do together in "
                f"{same_grade:.0%} of a sample of cells: they have gone too far apart to be averaged",
                "set package.graders to ensemble or distilled, for which nothing is searched anew, or lower "
                "training.learning_rate",
                "average-differs-from-ensemble",
            )
        epoch = Epoch(
            epoch=1,
            train_loss=divergence,
            validation_loss=divergence,
            validation_accuracy=same_grade,
            learning_rate=0.0,
            seconds=time.monotonic() - started,
        )
        write_text(self.spec.folder / HISTORY, epoch.model_dump_json() + "\n")
        self.keep()
        return Course(epoch, 1, started, began)

    def _training_loss(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Sum of the divergences of the teachers' answers from the student's, and the number of crops.

        Weights of grades and label smoothing are in the teachers' answers already.
        """
        images = self._augmented(rows)
        if self.spec.training.mixup:
            images, *_ = self._mixed(images, rows)
        wanted = self._taught(images, rows)
        told = F.log_softmax(self._logits(self.grader, images, rows), 1)
        return F.kl_div(told, wanted, reduction="sum"), torch.tensor(len(rows), device=self.device)

    @torch.no_grad()
    def _taught(self, images: Tensor, rows: Rows) -> Tensor:
        """Mean of the teachers' probabilities, (rows, grades)."""
        told = [torch.softmax(self._logits(teacher, images, rows), 1) for teacher in self.teachers]
        return torch.stack(told).mean(0)

    def _validate(self) -> tuple[float, float]:
        """Mean divergence from the teachers on the sample, and share of its cells with the same likeliest grade."""
        told = self._answers([self.kept.eval()])
        divergence = (self.wanted * (logarithms(self.wanted) - logarithms(told))).sum(axis=1).mean()
        return float(divergence), float((told.argmax(axis=1) == self.wanted.argmax(axis=1)).mean())

    def _answers(self, graders: Sequence[Grader]) -> NDArray[np.float64]:
        (sample,) = self.validation.values()
        cells = predict_studies(graders, self.packed, sample, self.spec.task)
        return cells[list(self.spec.task.grade_columns)].to_numpy(np.float64)


def _load_teacher(teacher: Teacher) -> Grader:
    if file_sha256(teacher.model) != teacher.sha256:
        raise InputError(
            f"the teacher {teacher.model} has changed since it was named",
            "run again: its student is made anew",
            "teacher-changed",
        )
    return load_grader(teacher.model)
