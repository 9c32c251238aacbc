"""What a search was named by, kept beside its folds, so that a new search can say why it does not go on with an older one."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lumbargrade.files import write_text
from lumbargrade.search.plan import SearchPlan

SEARCH = "search.json"
"""File in a search's folder: the parts of its name."""

_PARTS = {
    "task": "the task",
    "data": "the data",
    "files": "files that the parameters name",
    "code": "the code that trains",
}


def explain_new_search(plan: SearchPlan) -> str | None:
    """Says why a search begins anew although another one of its task is there, and writes down what this one is named by.

    Returns:
        A sentence; None if the search is not new, or the first of its task.
    """
    record = plan.folder / plan.name / SEARCH
    known = record.is_file()
    older = None if known else _newest(plan.folder, plan.task.name, plan.name)
    now = plan.identity
    if not known:
        write_text(record, json.dumps(now, indent=2, sort_keys=True))
    if older is None:
        return None
    if not (older / SEARCH).is_file():
        return (
            f"{plan.name} is a new search: {older.name} was trained by an older release, whose code is not this one's; its "
            "folds stay where they are and are not used"
        )
    before = json.loads((older / SEARCH).read_text(encoding="utf-8"))
    return f"{plan.name} is a new search, as {', '.join(_changes(before, now))} changed since {older.name}"


def _newest(folder: Path, task: str, name: str) -> Path | None:
    searches = [path for path in folder.glob(f"{task}-*") if path.is_dir() and path.name != name and _is_search(path)]
    return max(searches, key=lambda path: path.stat().st_mtime, default=None)


def _is_search(folder: Path) -> bool:
    """Whether a folder is a search's; locators have folders beside them, whose folds lie in them directly."""
    return (folder / SEARCH).is_file() or (folder / "optuna.log").is_file()


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    yield from sorted(_differences(before.get("settings", {}), now["settings"]))
    yield from (words for part, words in _PARTS.items() if before.get(part) != now[part])


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Names of the parameters that differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in {*before, *now}:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield name
