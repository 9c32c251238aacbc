"""What stops a reproduction, before anything is checked out or trained."""

import pytest

from lumbargrade.errors import InputError
from lumbargrade.pipeline.reproduce.reproduce import reproduce
from tests.alterations import a_byte_of_the_weights, a_version_from_elsewhere
from tests.projects import NAME, Project


def refused(project: Project, version: str, folds: int | None = None) -> str:
    told: list[str] = []
    with pytest.raises(InputError) as caught:
        reproduce(project.tracker, project.task, project.log, version, folds, tell=told.append)
    assert told == []
    return str(caught.value)


@pytest.mark.parametrize("folds", [0, 2])
def test_folds_that_the_version_does_not_have(project: Project, folds: int) -> None:
    assert refused(project, "1", folds) == f"--folds is {folds}; version 1 has 1 folds"


def test_a_version_without_evidence(project: Project) -> None:
    a_version_from_elsewhere(project)
    assert refused(project, "2") == "version 2 has no evidence; versions that `lumbargrade run` registers have it"


def test_a_version_that_was_altered(project: Project) -> None:
    a_byte_of_the_weights(project)
    assert refused(project, "1") == (
        f"version 1 of {NAME} is not made again, as it is not what was signed: the model's file "
        "artifacts/grader-00.safetensors was altered; `lumbargrade audit verify` names all that was altered, put it back "
        "from a copy"
    )
