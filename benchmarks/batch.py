"""Throughput of a batch beside that of the bare model with decoding, in one run.

    python benchmarks/batch.py DATASET --model models:/lumbargrade-rsna2024@champion [--studies 30] [--rounds 3]

DATASET is in RSNA's layout. In turn, round by round: one process grades a share of the studies one after the other, on all
cores and without keeping anything; then a batch grades the same. Prints JSON: studies a second of both, the batch's from its
first study on (its processes start once, however many studies there are) and with their start, and the ratio.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.serving.batch.grade import find_studies, grade_batch, plan_batch
from lumbargrade.serving.batch.journal import BatchModel, Journal
from lumbargrade.serving.verified_model import open_model


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    packaged = open_model(told.model)
    plan = plan_batch(packaged.files, packaged.abstain_above)
    model = packaged.loaded
    by = BatchModel(name=packaged.name, task=model.config.task.name, sha256=packaged.sha256)
    studies = find_studies(told.dataset)[: told.studies]
    shares = [studies[number :: told.rounds] for number in range(told.rounds)]
    bare, steady, whole = [], [], []
    for share in shares:
        started = time.perf_counter()
        for study in share:
            with open_study(study, model.config.task) as opened:
                grade_study(model, opened, packaged.abstain_above)
        bare.append(len(share) / (time.perf_counter() - started))
        times: list[float] = []
        with tempfile.TemporaryDirectory() as folder, Journal.opened(Path(folder) / "journal", by) as journal:
            started = time.perf_counter()
            grade_batch(journal, share, plan, lambda done, total, told=times: told.append(time.perf_counter()))
        steady.append((len(share) - 1) / (times[-1] - times[1]))
        whole.append(len(share) / (times[-1] - started))
    ratios = [batch / alone for batch, alone in zip(steady, bare, strict=True)]
    result = {
        "studies": len(studies),
        "processes": len(plan.devices),
        "bare_studies_per_second": round(median(bare), 3),
        "batch_studies_per_second": round(median(steady), 3),
        "batch_with_start": round(median(whole), 3),
        "ratio": round(median(ratios), 2),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
