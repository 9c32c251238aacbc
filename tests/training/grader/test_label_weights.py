"""A table of doubted labels, read back: what it must be, and how much its labels count."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.params import TrainingParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.training.grader.fit import fold_rows
from lumbargrade.training.grader.label_weights import count_suspects, label_trust, read_suspects

WAYS_OUT = "give the suspects.csv of a search or of `lumbargrade evaluate --report`, or set training.suspects to null"


def write(path: Path, *rows: str, header: str = "study_id,condition,level") -> str:
    path.write_text("\n".join([header, *rows, ""]))
    return str(path)


def test_only_the_cells_are_read(tmp_path: Path, disc: GradingTask) -> None:
    header = "labelled,study_id,condition,level,probability"
    source = write(tmp_path / "s.csv", "Severe,4003253000,disc_degeneration,L4/L5,0.01", header=header)
    assert read_suspects(source, disc).to_dict("records") == [
        {"study_id": 4003253000, "condition": "disc_degeneration", "level": "L4/L5"}
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "is no file"),
        ("", "is no CSV table"),
        ("study_id,condition\n1,disc_degeneration\n", "has no column level"),
        (
            "study_id,condition,level\n1,disc_degeneration,L1/L2\n1,spinal_canal_stenosis,L1/L2\n",
            "names condition 'spinal_canal_stenosis', which task disc_degeneration does not have (disc_degeneration)",
        ),
        (
            "study_id,condition,level\n1,disc_degeneration,L6/S1\n",
            "names level 'L6/S1', which task disc_degeneration does not have (L1/L2, L2/L3, L3/L4, L4/L5, L5/S1)",
        ),
        ("study_id,condition,level\n1.0,disc_degeneration,L1/L2\n", "has study_id '1.0', which is no number"),
    ],
    ids=["missing", "empty", "column", "condition", "level", "study"],
)
def test_a_wrong_table_is_told_with_the_way_out(
    tmp_path: Path, disc: GradingTask, text: str | None, wrong: str
) -> None:
    path = tmp_path / "s.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_suspects(str(path), disc)
    assert str(caught.value) == f"training.suspects {path} {wrong}; {WAYS_OUT}"


def test_studies_that_are_not_there_are_passed_over_and_told_if_all_are_unknown(
    tmp_path: Path, disc: GradingTask
) -> None:
    some = write(tmp_path / "some.csv", "1,disc_degeneration,L1/L2", "99,disc_degeneration,L1/L2")
    none = write(tmp_path / "none.csv", "98,disc_degeneration,L1/L2", "99,disc_degeneration,L1/L2")
    empty = write(tmp_path / "empty.csv")
    assert count_suspects(some, disc, [1, 2]) == f"training.suspects {some}: 1 of its labels are doubted in training"
    assert count_suspects(empty, disc, [1, 2]) == f"training.suspects {empty}: 0 of its labels are doubted in training"
    assert count_suspects(none, disc, [1, 2]) == (
        f"training.suspects {none} names no study of the dataset, so no label is doubted; {WAYS_OUT}"
    )


def test_every_crop_of_a_doubted_cell_counts_less_and_no_other(packed: Path, disc: GradingTask) -> None:
    index = PackedCrops(packed / "crops", packed / "crops").index
    source = write(packed / "s.csv", "3,disc_degeneration,L4/L5", "99,disc_degeneration,L1/L2")
    assert label_trust(TrainingParams(), index, disc) is None
    trust = label_trust(TrainingParams(suspects=source, suspect_weight=0.25), index, disc)
    doubted = (index["study_id"] == 3) & (index["level"] == "L4/L5")
    assert doubted.sum() == 2
    np.testing.assert_array_equal(trust, np.where(doubted, 0.25, 1).astype(np.float32))


def test_a_label_that_counts_nothing_does_not_train_but_validates(packed: Path, disc: GradingTask) -> None:
    index, split = PackedCrops(packed / "crops").index, pd.read_csv(packed / "split.csv")
    source = write(packed / "s.csv", "1,disc_degeneration,L4/L5", "2,disc_degeneration,L4/L5")
    trust = label_trust(TrainingParams(suspects=source, suspect_weight=0.0), index, disc)
    training, validation = fold_rows(index, split, 0, trust)
    every, in_full = fold_rows(index, split, 0)
    (left_out,) = set(every) - set(training)
    assert index.loc[left_out, ["study_id", "level"]].tolist() == [1, "L4/L5"]
    np.testing.assert_array_equal(validation["labelled"], in_full["labelled"])
