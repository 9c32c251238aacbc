"""Follows a project whose folder was moved or copied: MLflow writes down the absolute place of each artifact.

A copy names its own artifacts from then on, also while the folder that it was copied from is still there.
"""

import logging
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import quote

from lumbargrade.errors import StoreError

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
EXPERIMENTS = "lumbargrade-"
"""How the names of the project's experiments begin; their artifacts lie in the store's own folder."""

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_WAIT_SECONDS = 30


@cache
def follow_move(store: Path) -> None:
    """Lets MLflow's database name the artifacts where they are now, if it was made in another place.

    Args:
        store: The project's own store, absolute; a store without database or artifacts stays as it is.

    Raises:
        StoreError: The project was moved, and its database cannot be changed.
    """
    database, artifacts = store / DATABASE, store / ARTIFACTS
    if not database.is_file() or not artifacts.is_dir():
        return
    moved: list[str] = []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=_WAIT_SECONDS)) as rows:
            moved = [place for place in recorded_places(rows) if place != str(artifacts)]
            if moved:
                _rewrite(rows, moved, str(artifacts))
    except sqlite3.Error as error:
        if moved:
            raise StoreError(
                f"the project was moved from {Path(moved[0]).parents[1]} to {store.parent}, and {database}, which "
                f"names the old place, cannot be changed ({error})",
                "let this user write it, end what holds it, and run again",
                "store-not-movable",
            ) from error
    for place in moved:
        logging.getLogger(__name__).warning(
            "the project was moved: its store named %s, and names %s now", place, artifacts
        )


def recorded_places(rows: sqlite3.Connection) -> list[str]:
    """The folders that MLflow's database names as those of the project's artifacts."""
    query = "SELECT DISTINCT artifact_location FROM experiments WHERE substr(name, 1, ?) = ?"
    return [place for (place,) in rows.execute(query, (len(EXPERIMENTS), EXPERIMENTS)) if place.startswith("/")]


def _rewrite(rows: sqlite3.Connection, moved: list[str], now: str) -> None:
    with rows:
        rows.execute("BEGIN IMMEDIATE")
        for table, column in _PLACES:
            for then in moved:
                rows.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (now, len(then) + 1, then, len(then) + 1, f"{then}/"),
                )
