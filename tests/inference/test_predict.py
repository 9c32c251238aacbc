import numpy as np
import pandas as pd
import torch

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import truth_table
from lumbargrade.inference.predict import cell_codes, grade_crops, pool_cells
from lumbargrade.models.grader import Grader, GraderConfig


def test_several_crops_of_a_cell_are_averaged(rsna: GradingTask) -> None:
    cells = [
        (1, "spinal_canal_stenosis", "L1/L2"),
        (1, "spinal_canal_stenosis", "L1/L2"),
        (2, "spinal_canal_stenosis", "L1/L2"),
    ]
    index = pd.DataFrame(cells, columns=["study_id", "condition", "level"])
    pooled = pool_cells(index, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), rsna)
    assert pooled[["normal_mild", "moderate", "severe"]].to_numpy().tolist() == [[0.5, 0.5, 0], [0, 0, 1]]


def test_an_ensemble_gives_the_mean_of_its_graders(rsna: GradingTask) -> None:
    config = GraderConfig(task=rsna, prepare=PrepareParams(crop_mm=40.0, pixel_mm=2.0), crop_mm=40.0, image_pixels=32)
    graders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        graders.append(Grader(config).eval())
        torch.nn.init.normal_(graders[-1].cell_bias.weight)
    crops = np.random.default_rng(0).integers(0, 256, (70, 3, 20, 20), dtype=np.uint8)
    cells = np.arange(70) % 25
    both = grade_crops(graders, crops, cells)
    alone = [grade_crops([grader], crops, cells) for grader in graders]
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-9)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert np.abs(alone[0] - alone[1]).max() > 0.1


def test_cells_are_coded_in_the_tasks_order(rsna: GradingTask) -> None:
    table = pd.DataFrame([(cell.condition.name, cell.level) for cell in rsna.cells], columns=["condition", "level"])
    assert cell_codes(table, rsna).tolist() == list(range(25))


def test_the_truth_has_each_labelled_cell_once() -> None:
    rows = [(1, "a", "L1/L2", 2), (1, "a", "L1/L2", 2), (1, "b", "L1/L2", None)]
    index = pd.DataFrame(rows, columns=["study_id", "condition", "level", "grade"]).astype({"grade": "Int8"})
    assert truth_table(index).to_dict("records") == [{"study_id": 1, "condition": "a", "level": "L1/L2", "grade": 2}]
