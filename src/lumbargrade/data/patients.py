"""Which studies of a dataset are of one patient, as far as they were added by ``lumbargrade dataset add``."""

from pathlib import Path

import numpy as np
import pandas as pd

from lumbargrade.errors import InputError

PATIENTS = "train_patients.csv"
COLUMNS = ["study_id", "patient_id", "study_uid", "key"]


def read_patients(root: Path) -> pd.DataFrame:
    """Reads ``train_patients.csv``.

    Returns:
        study_id (int64), the stand-ins of the patient and of the StudyInstanceUID, and the fingerprint of the key that
        they were made with; no row if the dataset has no such table.

    Raises:
        InputError: It is not such a table.
    """
    path = root / PATIENTS
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS).astype({"study_id": np.int64})
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)[COLUMNS]
        table = table.astype({"study_id": np.int64})
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is no table of {', '.join(COLUMNS)}",
            "take it from the dataset's last version",
            "patients-table-malformed",
        ) from error
    if table["study_id"].duplicated().any():
        raise InputError(
            f"{path} names a study twice", "take it from the dataset's last version", "patients-name-study-twice"
        )
    return table
