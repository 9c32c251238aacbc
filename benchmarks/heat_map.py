"""How long a heat map takes if the model server still has the study's crops, and if the study is sent again.

    lumbargrade models serve --port 5001 &
    python benchmarks/heat_map.py http://127.0.0.1:5001 DATASET [--times 7]

DATASET is in the RSNA layout; its first study is sent. Prints JSON. Exits with 1 if the two heat maps differ, or if the crops
were not kept.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import pandas as pd

from lumbargrade.data.study_zip import zip_study
from lumbargrade.serving.mlflow_server import ask, ask_kept


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    study = zip_study(
        options.dataset, int(pd.read_csv(options.dataset / "train.csv")["study_id"].min()), with_points=False
    )
    records = ask(options.model, study)
    first = next(record for record in records if record["grade"] is not None)
    column = f"{first['condition']}_{first['level'].lower().replace('/', '_')}"
    sent, kept, same = [], [], True
    for _ in range(options.times):
        started = time.perf_counter()
        anew = ask(options.model, study, explain=column)
        between = time.perf_counter()
        again = ask_kept(options.model, first["request_id"], column)
        kept.append(time.perf_counter() - between)
        sent.append(between - started)
        same &= [record["heat_map"] for record in anew] == [record["heat_map"] for record in again]
    result = {
        "zip_megabytes": round(len(study) / 1e6, 1),
        "study_sent_seconds": round(median(sent), 3),
        "crops_kept_seconds": round(median(kept), 3),
        "same": same,
    }
    print(json.dumps(result))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
