"""Times a whole study, from its zip's bytes to the answer, step by step.

    python benchmarks/grading.py STUDY.zip --model models:/lumbargrade-rsna2024@champion [--times 5]

Prints the median seconds of each step as JSON. Nothing else may run beside it.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.inference import grade
from lumbargrade.inference.study import open_study
from lumbargrade.preprocessing import series
from lumbargrade.registry.resolve import load_model


def main() -> None:
    """Parses the command line and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--times", type=int, default=5)
    told = parser.parse_args()
    model = load_model(told.model)
    zipped = told.study.read_bytes()
    seconds: dict[str, list[float]] = defaultdict(list)
    decoded: set[SliceHeader] = set()

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[step].append(time.perf_counter() - started)

    def decode(header: SliceHeader) -> object:
        decoded.add(header)
        return read_pixels(header)

    def locate(*arguments: object) -> object:
        with timed("locate (with decoding)"):
            return locate_study(*arguments)

    def network(*arguments: object, **named: object) -> object:
        with timed("grade"):
            return grade_crops(*arguments, **named)

    locate_study, grade_crops = grade.locate_study, grade.grade_crops
    slices = 0
    with (
        patch.object(series, "read_pixels", decode),
        patch.object(grade, "locate_study", locate),
        patch.object(grade, "grade_crops", network),
    ):
        for _ in range(told.times):
            decoded.clear()
            with timed("whole"):
                started = time.perf_counter()
                with open_study(zipped, model.config.task) as study:
                    seconds["read (unpack, headers)"].append(time.perf_counter() - started)
                    slices = sum(len(headers) for headers in study.series.values())
                    grade.grade_study(model, study)
    steps = {step: round(median(times), 3) for step, times in seconds.items()}
    rest = steps["whole"] - sum(value for step, value in steps.items() if step != "whole")
    print(json.dumps({**steps, "crop and rest": round(rest, 3), "slices": slices, "decoded": len(decoded)}, indent=2))


if __name__ == "__main__":
    main()
