"""The project's folder, and the programs beside Python: git, and Node for those who build the page."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.config.project import check_folder_name, current_project
from lumbargrade.errors import LumbargradeError
from lumbargrade.git import run_git
from lumbargrade.operations.doctor.findings import Finding

_PARTS = ("dvc", "prefect", "mlflow", "optuna", "torch")


def check_project() -> Iterator[Finding]:
    """Whether this is a project, under a name that its stores can write down, with the packages that it needs."""
    project = current_project()
    root = project.root.resolve()
    check_folder_name(root)
    missing = [path.name for path in (project.params, project.dvc_stages, project.deployments) if not path.is_file()]
    if missing:
        yield Finding.problem(
            "project-missing",
            f"{root} is no project's folder: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there",
            "run the command in a project's folder, or name it in LUMBARGRADE_PROJECT",
        )
    else:
        yield Finding.ok("project", f"the project is {root}")
    gone = [name for name in _PARTS if _version(name) is None]
    if gone:
        yield Finding.problem("package-missing", f"not installed: {', '.join(gone)}", "install Lumbargrade again")
    else:
        yield Finding.ok("packages", "these are installed: " + ", ".join(f"{name} {_version(name)}" for name in _PARTS))


def check_git() -> Iterator[Finding]:
    """Whether git is there and the project has a commit: a version of a model is named by it."""
    root = current_project().root
    try:
        version_words = run_git(root, "--version").decode().strip()
        run_git(root, "rev-parse", "--verify", "HEAD")
    except LumbargradeError as error:
        if error.code != "git-failed":
            yield Finding.of(error)
            return
        yield Finding.problem(
            "git-without-commit",
            f"{root.resolve()} is no git repository with a commit, so that no version of a model can be made",
            "clone the project with git, or `git init` and commit it",
        )
    else:
        yield Finding.ok("git", f"{version_words}, and the project has a commit")


def check_page() -> Iterator[Finding]:
    """The reading room's page, which Node builds."""
    if (PACKAGE / "viewer/page/index.html").is_file():
        yield Finding.ok("page", "the reading room's page is built")
    elif shutil.which("node") is None:
        yield Finding.note(
            "page-missing",
            "the reading room's page is not built, and Node is not installed; all else works",
            "install Node 20.19 or newer and run `make page`, for `lumbargrade serve`",
        )
    else:
        yield Finding.note("page-missing", "the reading room's page is not built", "run `make page`")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
