"""Measures how busy a search keeps its devices, and what overlapping trials cost, on a clock that is only counted.

    python -m benchmarks.occupancy [--devices 1 4 8] [--trials 20] [--folds 5] [--seeds 3]

The search is the one of ``tests/simulated_search.py``. Busy is the share of the devices' time, from the first fold's begin
to the last one's end, in which they train. Prints JSON.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from tests.simulated_search import simulate


def main() -> None:
    """Runs the searches and prints their means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for pruning in ("none", "wilcoxon"):
            for devices in told.devices:
                each = [
                    simulate(Path(f"{pruning}-{devices}-{seed}"), devices, told.trials, told.folds, pruning, seed)
                    for seed in range(told.seeds)
                ]
                means = {name: round(float(np.mean([one[name] for one in each])), 4) for name in each[0]}
                least = round(min(one["busy"] for one in each), 4)
                print(json.dumps({"pruning": pruning, "devices": devices, **means, "least_busy": least}), flush=True)


if __name__ == "__main__":
    main()
