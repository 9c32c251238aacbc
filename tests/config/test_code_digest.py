"""What makes trained folds stale, and what does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lumbargrade.config import code_digest as module
from lumbargrade.config.code_digest import PACKAGE, TRAINING, code_digest, import_closure

Change = Callable[[str, str, str], bool]


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Whether a change of a copy of the package changes the digest of the training."""
    number = 0

    def make(file: str, old: str, new: str) -> bool:
        nonlocal number
        number += 1
        copy = tmp_path / str(number) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("page", "__pycache__"))
        path = copy / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        before = code_digest(TRAINING)
        with monkeypatch.context() as patch:
            patch.setattr(module, "PACKAGE", copy)
            return code_digest(TRAINING) != before

    return make


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("evaluation/plots.py", "import", "import sys\nimport", id="a plot"),
        pytest.param("search/plots.py", "import", "import sys\nimport", id="a plot of the search"),
        pytest.param("evaluation/report.html.j2", "<body", "<body class='new'", id="a report's template"),
        pytest.param("tracking/mlflow_tracker.py", "import", "import sys\nimport", id="what MLflow is told"),
        pytest.param("__init__.py", "__version__ = ", "__version__ = 'x' + ", id="the version"),
        pytest.param("training/worker.py", '"""The training process', '"""The process', id="a docstring"),
        pytest.param("training/loop/loop.py", "\n\n", "\n# why\n\n", id="a comment"),
    ],
)
def test_what_cannot_change_a_weight_leaves_folds_as_they_are(changes: Change, file: str, old: str, new: str) -> None:
    assert not changes(file, old, new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("training/grader/fit.py", "loss_sum / weight_sum", "2 * loss_sum / weight_sum", id="the loss"),
        pytest.param("training/loop/schedule.py", "return ", "return 2 * ", id="the schedule"),
        pytest.param("preprocessing/crop.py", "sigma = [0.5", "sigma = [0.6", id="preprocessing"),
        pytest.param("models/heatmap.py", "STRIDE = ", "STRIDE = 2 * ", id="a network"),
        pytest.param("dicom/pixels.py", "2 **", "3 **", id="decoding"),
    ],
)
def test_what_can_change_a_weight_makes_folds_stale(changes: Change, file: str, old: str, new: str) -> None:
    assert changes(file, old, new)


def test_the_text_of_an_error_leaves_folds_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [
        _digest_of(tmp_path / str(number), code, monkeypatch)
        for number, code in enumerate(
            (
                "def f(x):\n    if x < 0:\n        raise ValueError(f'{x} is negative')\n    return x\n",
                'def f(x):\n    """Docs."""\n    if x < 0:\n        raise ValueError("negative")\n    return x\n',
                "def f(x):\n    if x < 1:\n        raise ValueError(f'{x} is negative')\n    return x\n",
            )
        )
    ]
    assert digests[0] != digests[2]
    assert digests[0] == digests[1]


def test_what_is_logged_leaves_folds_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = ("def f(x):\n    log.warning('a')\n    return x\n", "def f(x):\n    log.warning('b %s', x)\n    return x\n")
    first, second = (_digest_of(tmp_path / code[-20], code, monkeypatch) for code in codes)
    assert first == second


@pytest.mark.parametrize("call", ["InputError(f'{x} {}', 'mend it', 'bad')", "Note.make('few-slices', '{}', count=x)"])
def test_texts_that_are_made_in_one_place_and_used_in_another_leave_folds_as_they_are(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        _digest_of(tmp_path / text, f"def f(x):\n    return {call.replace('{}', text)}\n", monkeypatch)
        for text in ("a", "b")
    )
    assert first == second


def _digest_of(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    package = folder / "lumbargrade"
    package.mkdir(parents=True)
    (package / "one.py").write_text(code)
    with monkeypatch.context() as patch:
        patch.setattr(module, "PACKAGE", package)
        return code_digest("lumbargrade.one")


def test_the_closure_follows_imports_inside_functions_and_not_those_for_types(tmp_path: Path) -> None:
    package = tmp_path / "lumbargrade"
    (package / "deep").mkdir(parents=True)
    (package / "deep" / "__init__.py").touch()
    for name, code in {
        "one": "def f():\n    from lumbargrade.deep.two import g\n    return g\n",
        "deep/two": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lumbargrade.three import T\n",
        "three": "",
    }.items():
        (package / f"{name}.py").write_text(code)
    found = import_closure(package, ("lumbargrade.one",))
    assert sorted(found) == ["lumbargrade.deep", "lumbargrade.deep.two", "lumbargrade.one"]


def test_how_a_study_is_located_counts_as_a_locators_validation_uses_it() -> None:
    assert "lumbargrade.localization.localize" in import_closure(PACKAGE, (TRAINING,))
