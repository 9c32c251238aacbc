"""A study that is nobody's: the input example of every model version."""

import tempfile
from pathlib import Path

import pandas as pd

from lumbargrade.data.study_zip import zip_study
from lumbargrade.phantom import generate


def example_study() -> bytes:
    """Returns a zip of one phantom study, thinned to the slices that carry points."""
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as name:
        folder = Path(name) / "phantom"
        generate(folder, studies=1, seed=0, workers=1)
        study_id = int(pd.read_csv(folder / "train.csv")["study_id"].iloc[0])
        return zip_study(folder, study_id, only_pointed=True)
