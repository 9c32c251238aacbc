import shutil
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def sagittal(phantom: Path, tmp_path: Path) -> Path:
    """Folder of a sagittal T2 that may be spoiled."""
    table = pd.read_csv(phantom / "train_series_descriptions.csv")
    row = table[table["series_description"] == "Sagittal T2/STIR"].iloc[0]
    shutil.copytree(phantom / f"train_images/{row.study_id}/{row.series_id}", tmp_path / "series")
    return tmp_path / "series"
