"""Names of the tags of a registered version, as MLflow stores them and the audit log writes them down.

They are a stored format: whoever renames one can no longer read the versions that were registered before.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from lumbargrade.models.trained_on import ModelFacts, Performance

TASK = "task"

DATASET = "dataset."
"""Begins the tags with the version of the dataset and the hashes of what was made of it."""
DATASET_NAME = "dataset.name"
DATASET_SPLIT_MD5 = "dataset.split_md5"

GIT_COMMIT = "git.commit"
GIT_DIRTY = "git.dirty"
GIT_DIFF_SHA256 = "git.diff_sha256"
CODE_SHA256 = "code.sha256"
PARAMS_SHA256 = "params.sha256"
FLOW_RUN = "prefect.flow_run_id"

SEARCH_NAME = "search.name"
SEARCH_RUN = "search.run_id"
SEARCH_TRIALS = "search.trials"
TRIAL_RUN = "search.trial_run_id"
FOLD_RUNS = "search.fold_run_ids"

PACKAGE_GRADERS = "package.graders"
LOCATORS_SHA256 = "locators.sha256"
STUDENT_RUN = "student.run_id"
"""MLflow's id of the student's training; only versions that hold a student have it."""
STUDENT_DIVERGENCE = "student.teachers_divergence"
STUDENT_SAME_GRADE = "student.teachers_same_grade"

CV_SCORE = "cv.score"
CV_ACCURACY = "cv.accuracy"
CV_ACCURACY_MAJORITY = "cv.accuracy_majority"
CV_SCORE_LABELLED = "cv.score_labelled_points"

FACTS = "facts"
""":class:`lumbargrade.models.trained_on.ModelFacts` as JSON."""
TRAINED_ON = "trained_on"
"""The sentence that says what it was trained on."""

GATE_DECISION = "gate.decision"
GATE_REASON = "gate.reason"
GATE_CHAMPION = "gate.champion"
"""The version that it was judged against."""
GATE_CHAMPION_SCORE = "gate.champion_score"
GATE_ARTIFACTS = "gate.artifacts"
GATE_SHA256 = "gate.sha256"
GATE_LOOK = "gate.look"

HOLDOUT_SHA256 = "holdout.sha256"
HOLDOUT_SCORE = "holdout.score"
HOLDOUT_ACCURACY = "holdout.accuracy"
HOLDOUT_SCORE_LABELLED = "holdout.score_labelled_points"
HOLDOUT_PERFORMANCE = "holdout.performance"
""":class:`lumbargrade.models.trained_on.Performance` on the holdout as JSON."""

APPROVAL_BY = "approval.by"
APPROVAL_WHY = "approval.why"
APPROVAL_TIME = "approval.time"

MAX_LENGTH = 5000
"""Characters that MLflow keeps of a tag."""


def facts_of_tags(tags: Mapping[str, str]) -> ModelFacts | None:
    """Reads the facts of a registered version; None if it was registered before they were kept."""
    try:
        facts = ModelFacts.model_validate_json(tags.get(FACTS, ""))
        if HOLDOUT_PERFORMANCE in tags:
            holdout = Performance.model_validate_json(tags[HOLDOUT_PERFORMANCE])
            facts = facts.model_copy(update={"holdout": holdout})
    except ValidationError:
        return None
    return facts
