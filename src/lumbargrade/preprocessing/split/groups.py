"""Which studies must stay on one side of the split: those of one patient, and near-duplicates."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PATIENTS = "patients.csv"
"""The dataset's table of patients, as the split reads it: study_id and patient_id."""

_NUMBERS = 10**18


def study_groups(duplicates: pd.DataFrame, patients: pd.DataFrame) -> dict[int, int]:
    """Joins studies of one patient, and near-duplicates, directly or through others.

    Args:
        duplicates: Pairs, as :func:`lumbargrade.preprocessing.split.duplicates.find_duplicates` gives them.
        patients: study_id and patient_id, for studies whose patient is known.

    Returns:
        The number that stands for the group of each study that has one. It is the smallest study_id among the studies
        whose patient is not known; without such, a number made of the patient. So a study does not change sides when
        its patient's next one is added.
    """
    numbers = {str(patient): _number(str(patient)) for patient in patients["patient_id"].unique()}
    pairs = duplicates[["study_id", "other_study_id"]].to_numpy(np.int64).tolist()
    links = [(("study", one), ("study", other)) for one, other in pairs]
    links += [
        (("study", int(study)), ("patient", numbers[str(patient)]))
        for study, patient in zip(patients["study_id"], patients["patient_id"], strict=True)
    ]
    nodes = sorted({node for link in links for node in link})
    if not nodes:
        return {}
    places = {node: place for place, node in enumerate(nodes)}
    first, second = np.array([[places[one], places[other]] for one, other in links]).T
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(len(nodes), len(nodes)))
    _, labels = connected_components(graph, directed=False)
    known = set(patients["study_id"].tolist())
    owners: dict[int, tuple[bool, int]] = {}
    for label, (kind, number) in zip(labels.tolist(), nodes, strict=True):
        if kind == "patient" or number not in known:
            candidate = (kind == "patient", number)
            owners[label] = min(owners.get(label, candidate), candidate)
    return {
        number: owners[label][1]
        for label, (kind, number) in zip(labels.tolist(), nodes, strict=True)
        if kind == "study"
    }


def _number(patient: str) -> int:
    return int.from_bytes(patient.encode(), "big") % _NUMBERS
