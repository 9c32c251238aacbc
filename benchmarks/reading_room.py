"""How long the reading room takes beside its model, and whether studies that are sent at once are kept apart.

    lumbargrade models serve --port 5001 &
    lumbargrade serve --with-model-url http://127.0.0.1:5001 --port 8080 &
    python benchmarks/reading_room.py http://127.0.0.1:8080 http://127.0.0.1:5001 DATASET [--studies 20] [--times 7]

DATASET is in the RSNA layout. Asks the model server and the page in turn for one study, then sends so many studies at once,
and compares each cell with what the model server alone answers for that study. Prints JSON. Exits with 1 if a cell differs.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import requests

from lumbargrade.data.study_zip import zip_study
from lumbargrade.serving.mlflow_server import ask

_COMPARED = ("condition", "level", "grade", "reason")


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--times", type=int, default=7)
    told = parser.parse_args()
    ids = sorted(pd.read_csv(told.dataset / "train.csv")["study_id"])[: told.studies]
    zips = [zip_study(told.dataset, study_id, with_points=False) for study_id in ids]
    alone, through = [], []
    for _ in range(told.times):
        alone.append(_seconds(lambda: ask(told.model, zips[0])))
        through.append(_seconds(lambda: _grade(told.page, zips[0])))
    wanted = [ask(told.model, study) for study in zips]
    started = time.perf_counter()
    with ThreadPoolExecutor(len(zips)) as pool:
        answers = list(pool.map(lambda study: _grade(told.page, study), zips))
    together = time.perf_counter() - started
    differing = sum(
        not _same(cell, record)
        for answer, records in zip(answers, wanted, strict=True)
        for cell, record in zip(answer["cells"], records, strict=True)
    )
    result = {
        "model_seconds": round(median(alone), 2),
        "page_seconds": round(median(through), 2),
        "ratio": round(median(after / before for before, after in zip(alone, through, strict=True)), 2),
        "studies_at_once": len(zips),
        "seconds_at_once": round(together, 1),
        "study_hashes": len({answer["study_hash"] for answer in answers}),
        "cells": sum(len(answer["cells"]) for answer in answers),
        "cells_differing": differing,
    }
    print(json.dumps(result, indent=2))
    sys.exit(differing > 0)


def _seconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _grade(page: str, study: bytes) -> dict[str, Any]:
    """Sends a study to the reading room, waits for its grades, and deletes it there."""
    with requests.Session() as browser:
        headers = {"X-CSRF-Token": browser.get(f"{page}/api/session", timeout=60).json()["csrf_token"]}
        sent = browser.post(f"{page}/api/studies", files={"file": ("study.zip", study)}, headers=headers, timeout=300)
        sent.raise_for_status()
        address = f"{page}/api/studies/{sent.json()['id']}"
        with browser.get(f"{address}/events", stream=True, timeout=600) as events:
            last = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith(b"data: ")][-1]
        if last["stage"] != "done":
            raise SystemExit(f"a study was not graded: {last['words']}")
        answer: dict[str, Any] = browser.get(address, timeout=60).json()
        browser.delete(address, headers=headers, timeout=60)
        return answer


def _same(cell: dict[str, Any], record: dict[str, Any]) -> bool:
    told = {name: record[name.lower().replace("/", "_")] for name in cell["probabilities"] or ()}
    return all(cell[name] == record[name] for name in _COMPARED) and (cell["probabilities"] or {}) == told


if __name__ == "__main__":
    main()
