"""Every path of a project comes from one object, and every variable of the environment from a settings object."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.config.project import Project, check_folder_name, current_project
from lumbargrade.errors import InputError

SOURCES = (PACKAGE, PACKAGE.parents[1] / "flows")
PROJECT = PACKAGE / "config/project.py"
READERS = {
    "scratch.py": "TMPDIR, as Python's own tempfile",
    "training/jobs/devices.py": "CUDA_VISIBLE_DEVICES, as CUDA itself",
    "training/worker.py": "OMP_NUM_THREADS, as torch itself",
    "operations/addresses.py": "settings of Prefect's, which are left as they are",
    "data/versioning/dvc.py": "PATH, for DVC's stages",
    "serving/mlflow_server.py": "PATH, for MLflow's commands",
}
"""Who asks the environment itself, and for what."""


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_no_path_is_relative_to_where_a_command_is_run() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if path != PROJECT and isinstance(node, ast.Call) and is_relative(node)
    ]
    assert found == []


def is_relative(call: ast.Call) -> bool:
    """Whether a call makes a path of the folder that a command is run in: ``Path()``, ``Path("runs")``, ``Path.cwd()``."""
    name = ast.unparse(call.func)
    if name in ("Path.cwd", "os.getcwd"):
        return True
    if name != "Path" or not all(isinstance(argument, ast.Constant) for argument in call.args):
        return False
    return not any(str(argument.value).startswith("/") for argument in call.args if isinstance(argument, ast.Constant))


def test_the_environment_is_read_by_settings() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if reads_environment(node) and path not in {PACKAGE / reader for reader in READERS}
    ]
    assert found == []


def reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) == "os.environ" and isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv")


def test_the_environment_names_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMBARGRADE_PROJECT", str(tmp_path))
    assert current_project() == Project(tmp_path)
    monkeypatch.setenv("LUMBARGRADE_PROJECT", "")
    assert current_project() == Project(Path())


def test_a_path_of_a_parameter_file_is_meant_from_the_project(tmp_path: Path) -> None:
    assert Project(Path()).resolve_path("data/phantom") == Path("data/phantom")
    assert Project(tmp_path).resolve_path("data/phantom") == tmp_path / "data/phantom"
    assert Project(tmp_path).resolve_path("/elsewhere") == Path("/elsewhere")


def test_what_an_older_project_has_at_its_top_stays_there(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    project = Project(tmp_path)
    assert project.prediction_log == tmp_path / "served/answers.jsonl"
    assert project.server_logs == tmp_path / "state/operations/logs"


def test_a_folder_whose_path_its_stores_cannot_write_down_is_refused() -> None:
    for name in ("a?b", "a%20b", "{a}", "a/b?/c", 'a"b', "a\\b", "a\nb", "a\udcffb"):
        with pytest.raises(InputError) as caught:
            check_folder_name(Path("/projects") / name)
        assert caught.value.code == "project-folder-name"
    check_folder_name(Path("/projects/a b#ü:';&[~]$骨"))
