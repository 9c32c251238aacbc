"""The reading room behind its HTTP addresses: studies wait, are decoded, graded, kept for their time, and forgotten."""

import base64
import logging
import queue
import shutil
import statistics
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

from lumbargrade.config.task import CellKey
from lumbargrade.deidentify.study_hash import StudyHasher
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.scratch import is_full
from lumbargrade.serving.mlflow_server import ask, ask_kept, is_ready
from lumbargrade.serving.records.corrections import Correction, Corrections, KeptCorrection, ServedVersion
from lumbargrade.viewer.errors import Problem, Refusal, problem_of, sentence
from lumbargrade.viewer.http.upload import disk_full
from lumbargrade.viewer.image_index import StudyIndex
from lumbargrade.viewer.metrics import Metrics
from lumbargrade.viewer.reports.dicom_sr import structured_report
from lumbargrade.viewer.schemas import CorrectionRequest, Heat, StudyAnswer, StudyChoice
from lumbargrade.viewer.settings import WebSettings
from lumbargrade.viewer.studies.decode import UPLOAD, check_upload, decode_upload
from lumbargrade.viewer.studies.job import StudyWork
from lumbargrade.viewer.studies.parts import part_name
from lumbargrade.viewer.studies.present import build_answer, build_heat, report_of, version_of
from lumbargrade.viewer.studies.sandbox import GuardError, Limits, run_guarded, start_guard
from lumbargrade.viewer.studies.spool import Spool, Sweeper, remove

_CHECK_SECONDS = 60
_REPORT_SECONDS = 120
_SWEEP_SECONDS = 10.0
_READY_SECONDS = 2.0
NO_ANSWER = Problem(
    what="The model server does not answer.",
    do="Try again in a minute; tell whoever runs it.",
    code="model-server-no-answer",
)
_UNEXPECTED = Problem(
    what="Something went wrong while this study was graded.",
    do="Try again; tell whoever runs it.",
    code="unexpected-fault",
)

log = logging.getLogger(__name__)


class ReadingRoom:
    """Studies that are here, the queue of those at work, and what is kept of them.

    Args:
        served: The version that the model server was started with.
    """

    def __init__(self, settings: WebSettings, served: ServedVersion, metrics: Metrics) -> None:
        self.settings = settings
        self.served = served
        self.metrics = metrics
        self.task = settings.task
        self._task_json = settings.task.model_dump_json()
        self._hash = StudyHasher(settings.data)
        self.corrections = Corrections(settings.data, settings.task)
        self._spool = Spool(settings.spool)
        self._studies: dict[str, StudyWork] = {}
        self._lock = threading.Lock()
        self._queue: queue.Queue[StudyWork | None] = queue.Queue()
        self._times: deque[float] = deque(maxlen=20)
        self._pinged = (-1e9, False)
        start_guard()
        self._workers = [
            threading.Thread(target=self._work, name=f"study-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        for worker in self._workers:
            worker.start()
        self._sweeper = Sweeper(self.sweep, min(_SWEEP_SECONDS, settings.keep_seconds / 4))

    def close(self) -> None:
        """Stops the workers after what they are at, and empties the spool."""
        self._sweeper.close()
        for study_id in list(self._studies):
            self.forget(study_id)
        for _ in self._workers:
            self._queue.put(None)
        for worker in self._workers:
            worker.join(timeout=5)
        self._spool.close()

    def model_is_ready(self) -> bool:
        """Whether the model server answers; it is asked every two seconds at most."""
        asked, ready = self._pinged
        if time.monotonic() - asked > _READY_SECONDS:
            ready = is_ready(self.settings.model_url)
            self._pinged = (time.monotonic(), ready)
        return ready

    def admit(self) -> StudyWork:
        """Makes room for a study that is going to be uploaded.

        Raises:
            Refusal: There is none.
        """
        with self._lock:
            if len(self._studies) >= self.settings.max_studies:
                raise Refusal(
                    503,
                    "The reading room is full.",
                    "Try again later, or delete studies that were read.",
                    "viewer-full",
                )
            if self._spool.free_bytes() < 3 * self.settings.max_bytes:
                raise disk_full()
            study_id, folder = self._spool.new()
            work = StudyWork(study_id, folder, time.monotonic() + self.settings.keep_seconds)
            self._studies[study_id] = work
            return work

    def submit(self, work: StudyWork) -> None:
        """Checks an upload that is in its folder, and puts it into the queue.

        Raises:
            Refusal: It is no study, as can be seen at once.
        """
        limits = Limits(_CHECK_SECONDS, self.settings.decode_bytes)
        try:
            run_guarded(check_upload, str(work.folder), self.settings.max_files, limits=limits)
        except LumbargradeError as error:
            raise Refusal(415, **problem_of(error).model_dump()) from error
        self._queue.put(work)
        self._tell_places()

    def hash_study(self, study_uid: str) -> str:
        """By what reports and log lines name a study."""
        return self._hash(study_uid)

    def choose(self, study_id: str, number: int) -> StudyWork:
        """Takes one of the studies of an upload that holds several for a study of its own, and puts it into the queue.

        Returns:
            The study; the same one if it was chosen before and is still here.

        Raises:
            Refusal: There is no such choice, or no room.
        """
        work = self.get(study_id)
        part = work.folder / part_name(number)
        if not any(choice.number == number for choice in work.event.studies):
            raise Refusal(404, "There is no such study in this upload.", "Choose one that is listed.", "choice-missing")
        with work.turn:
            before = self._studies.get(work.chosen.get(number, ""))
            if before is not None:
                return before
            chosen = self.admit()
            try:
                shutil.copyfile(part, chosen.folder / UPLOAD)
            except OSError as error:
                self.forget(chosen.id)
                if is_full(error):
                    raise disk_full() from error
                raise
            work.chosen[number] = chosen.id
        self._queue.put(chosen)
        self._tell_places()
        return chosen

    def get(self, study_id: str) -> StudyWork:
        """Returns a study.

        Raises:
            Refusal: There is none of this id, or it is forgotten.
        """
        work = self._studies.get(study_id)
        if work is None or work.expires < time.monotonic():
            raise Refusal(404, "This study is not here (any more).", "Send it again.", "study-gone")
        return work

    def answer(self, study_id: str) -> tuple[StudyWork, StudyIndex, StudyAnswer]:
        """Returns a study that is done.

        Raises:
            Refusal: It is not here, not done, or has failed.
        """
        work = self.get(study_id)
        if work.answer is None or work.index is None:
            raise Refusal(409, "This study is not graded.", "Wait until it is, or send it again.", "study-not-graded")
        return work, work.index, work.answer

    def forget(self, study_id: str) -> None:
        """Removes a study and all that was made of it; corrections stay."""
        with self._lock:
            work = self._studies.pop(study_id, None)
        if work is not None:
            work.forget()
            remove(work.folder)

    def sweep(self) -> None:
        """Forgets what has been here for its time."""
        now = time.monotonic()
        for work in list(self._studies.values()):
            if work.expires < now:
                self.forget(work.id)
        self.metrics.kept.set(len(self._studies))

    def correct(self, study_id: str, request: CorrectionRequest, by: str) -> Correction:
        """Keeps what a reader thinks instead of the model; the model's answer stays as it is.

        Raises:
            Refusal: There is no such cell or grade.
        """
        work, _, answer = self.answer(study_id)
        cell = next((c for c in answer.cells if (c.condition, c.level) == (request.condition, request.level)), None)
        if cell is None or (request.grade is not None and request.grade not in self.task.grades):
            raise Refusal(
                422, "There is no such condition, level or grade.", "Choose one that is shown.", "correction-invalid"
            )
        comment = (request.comment or "").strip() or None
        correction = Correction(
            **request.model_dump(exclude={"comment"}),
            comment=comment,
            model_grade=cell.grade,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            by=by,
        )
        self.corrections.add(
            KeptCorrection(
                task=self.task.name,
                request_id=answer.request_id,
                study_hash=answer.study_hash,
                model=answer.model,
                correction=correction,
            )
        )
        with self._lock:
            corrected = self.corrections.of(answer.study_hash)
            cells = tuple(
                c.model_copy(update={"correction": corrected.get((c.condition, c.level))}) for c in answer.cells
            )
            work.answer = answer.model_copy(update={"cells": cells})
        self.metrics.corrections.inc()
        return correction

    def heat(self, study_id: str, condition: str, level: str) -> Heat:
        """What spoke for a grade; the model is asked once a cell.

        Raises:
            Refusal: The cell was not graded, or the model server does not answer.
        """
        work, index, answer = self.answer(study_id)
        key = (condition, level)
        cell = next((cell for cell in answer.cells if (cell.condition, cell.level) == key), None)
        with work.turn:
            heat = work.heats.get(key)
            if heat is None and cell is not None and cell.grade is not None and cell.place is not None:
                record = self._explained(work, key)
                if version_of([record], answer.model) != answer.model:
                    raise Refusal(
                        409,
                        "Another version of the model answers now.",
                        "Send the study again.",
                        "model-version-changed",
                    )
                if record.get("heat_map") is None:  # the model server could not grade the study again
                    raise Refusal(503, **NO_ANSWER.model_dump())
                heat = build_heat(record, cell, cell.place, index)
                work.heats[key] = heat
        if heat is None:
            raise Refusal(
                404,
                "There is nothing to explain: this cell was not graded.",
                "Choose a graded cell.",
                "cell-not-graded",
            )
        return heat

    def slice_bytes(self, study_id: str, series_id: str, number: int) -> tuple[bytes, float, float]:
        """A slice's raw values, and the offset and scale that make them the scanner's.

        Raises:
            Refusal: There is none.
        """
        work, index, _ = self.answer(study_id)
        series = next((series for series in index.series if series.id == series_id), None)
        if series is None or not 0 <= number < len(series.slices):
            raise Refusal(404, "There is no such slice.", "Choose one that is listed.", "slice-missing")
        with (work.folder / f"{series.id}.u16").open("rb") as file:
            file.seek(number * series.slice_bytes)
            return file.read(series.slice_bytes), series.offset, series.scale

    def structured_report(self, study_id: str) -> bytes:
        """The answer as a DICOM structured report; the patient module is taken from the upload now, and not kept.

        Raises:
            Refusal: It cannot be made.
        """
        work, index, answer = self.answer(study_id)
        report = report_of(answer, self.task, self.settings.research_strip).model_dump_json()
        places = {
            f"{cell.condition} {cell.level}": _frame(index, cell.place.series_id, cell.place.slice)
            for cell in answer.cells
            if cell.place is not None
        }
        limits = Limits(_REPORT_SECONDS, self.settings.decode_bytes)
        try:
            document = run_guarded(
                structured_report,
                str(work.folder),
                index.archive,
                report,
                places,
                index.members,
                self._task_json,
                limits=limits,
                doing="making the structured report",
            )
        except LumbargradeError as error:
            raise Refusal(422, **problem_of(error).model_dump()) from error
        return base64.b64decode(document)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            self._tell_places()
            if work.forgotten:
                continue
            try:
                with self.metrics.at_work.track_inprogress():
                    self._grade(work)
                if work.answer is not None:
                    self.metrics.studies.labels("done").inc()
            except LumbargradeError as error:
                self._fail(work, problem_of(error) if isinstance(error, InputError | GuardError) else NO_ANSWER)
            except Exception as error:  # the next study must have its turn; the sentence quotes nothing
                if not work.forgotten:
                    log.error("a study failed with %s", type(error).__name__)
                self._fail(work, _UNEXPECTED)

    def _fail(self, work: StudyWork, problem: Problem) -> None:
        self.metrics.studies.labels("failed").inc()
        work.tell(stage="failed", percent=100, words=problem.what, error=problem)

    def _grade(self, work: StudyWork) -> None:
        work.tell(stage="checking", percent=10, words="The files are checked.")
        decoded = self._decode(work)
        if "studies" in decoded:
            studies = tuple(map(StudyChoice.model_validate, decoded["studies"]))
            words = " ".join([f"The upload holds {len(studies)} studies.", *map(sentence, decoded["notes"])])
            work.tell(stage="choose", percent=100, words=words, studies=studies)
            return
        index = StudyIndex.model_validate(decoded)
        usual = f"; this usually takes {statistics.median(self._times):.0f} s" if self._times else ""
        work.tell(stage="grading", percent=50, words=f"The model grades {len(self.task.cells)} places{usual}.")
        started = time.monotonic()
        records = self._ask(work)
        self._times.append(time.monotonic() - started)
        self.metrics.grading_seconds.observe(time.monotonic() - started)
        study_hash = self._hash(index.study_uid or str(records[0].get("study_id") or work.id))
        work.index = index
        work.answer = build_answer(
            work.id, self.task, records, index, self.served, study_hash, self.corrections.of(study_hash)
        )
        work.tell(stage="done", percent=100, words="The study is graded.")

    def _decode(self, work: StudyWork) -> dict[str, Any]:
        def on_progress(done: int, total: int) -> None:
            percent = 15 + 35 * done // total
            if percent > work.event.percent:
                work.tell(stage="reading", percent=percent, words=f"Slice {done} of {total} is read.")

        settings = self.settings
        limits = Limits(settings.decode_seconds, settings.decode_bytes)
        started = time.monotonic()
        decoded: dict[str, Any] = run_guarded(
            decode_upload,
            str(work.folder),
            self._task_json,
            settings.show_identifiers,
            limits=limits,
            on_progress=on_progress,
        )
        self.metrics.decoding_seconds.observe(time.monotonic() - started)
        return decoded

    def _explained(self, work: StudyWork, key: CellKey) -> dict[str, Any]:
        column = next(cell.column for cell in self.task.cells if (cell.condition.name, cell.level) == key)
        records = ask_kept(self.settings.model_url, work.request_id, column) if work.request_id else []
        if not records:
            try:
                records = self._ask(work, explain=column)
            except LumbargradeError as error:
                raise Refusal(503, NO_ANSWER.what, NO_ANSWER.do, error.code) from error
        return next(record for record in records if (record["condition"], record["level"]) == key)

    def _ask(self, work: StudyWork, explain: str = "") -> list[dict[str, Any]]:
        try:
            records = ask(self.settings.model_url, work.folder / UPLOAD, explain)
        except LumbargradeError:
            self.metrics.model_failures.inc()
            raise
        work.request_id = str(records[0].get("request_id") or "")
        return records

    def _tell_places(self) -> None:
        """Tells each waiting study how many are before it."""
        with self._queue.mutex:
            waiting = [work for work in self._queue.queue if work is not None]
        for place, work in enumerate(waiting):
            before = "No study is" if place == 0 else "1 study is" if place == 1 else f"{place} studies are"
            if work.event.stage == "received":
                work.tell(stage="received", percent=5, words=sentence(f"{before} waiting before this one"))
        self.metrics.waiting.set(len(waiting))


def _frame(index: StudyIndex, series_id: str, number: int) -> tuple[str, int | None]:
    piece = next(series for series in index.series if series.id == series_id).slices[number]
    return piece.sop_uid, piece.frame
