"""What a locator would find."""

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.preprocessing.pack_views import PackedViews


def labelled_points(packed: PackedViews, task: GradingTask, study: int) -> pd.DataFrame:
    """What a locator would find that is never off."""
    rows = [
        (study, p["series_id"], p["instance_number"], task.condition(p["condition"]).name, p["level"], *p["position"])
        for p in packed.points_of(study)
    ]
    columns = ["study_id", "series_id", "instance_number", "condition", "level", "x_mm", "y_mm", "z_mm"]
    return pd.DataFrame(rows, columns=columns)
