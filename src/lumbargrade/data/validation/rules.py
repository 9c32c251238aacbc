"""The kinds of faults that the integrity check knows: how grave they are and what to do about them."""

from typing import Literal, NamedTuple

Level = Literal["error", "warning", "note"]


class Kind(NamedTuple):
    """A kind of fault: errors cost or spoil labelled cells, warnings may, notes are to be known."""

    level: Level
    title: str
    remedy: str


_LOOK = "look at the images; correct train_label_coordinates.csv and, if the grades are shifted too, train.csv"
_RESTORE = "fetch the files again from where the dataset comes from"

KINDS: dict[str, Kind] = {
    "study_without_images": Kind("error", "A listed study has no images", f"{_RESTORE}, or remove its rows"),
    "point_series_missing": Kind("error", "Points lie on a series without images", _RESTORE),
    "point_series_undescribed": Kind(
        "error", "Points lie on a series without a description", "add its row to train_series_descriptions.csv"
    ),
    "point_file_missing": Kind("error", "Points lie on slices that do not exist", f"{_RESTORE}, or remove the points"),
    "point_file_unreadable": Kind("error", "Points lie on slices that cannot be read", _RESTORE),
    "point_outside_image": Kind("error", "Points lie outside their image", "correct or remove the points"),
    "levels_out_of_order": Kind("error", "Levels do not follow each other from head to feet", _LOOK),
    "sides_swapped": Kind("error", "Left points lie to the right of right ones", _LOOK),
    "study_not_checked": Kind("error", "A study could not be checked", "look at its files; please report the fault"),
    "levels_disagree": Kind("warning", "Two series of a study do not agree where its levels are", _LOOK),
    "series_elsewhere": Kind(
        "warning", "A series seems to show another part of the body", "look at it; if it does, remove its rows"
    ),
    "series_missing": Kind("warning", "A described series has no images", f"{_RESTORE}, or remove its row"),
    "series_undescribed": Kind(
        "warning", "A series has no description", "add its row to train_series_descriptions.csv, or remove its folder"
    ),
    "series_kind_missing": Kind(
        "warning", "Labelled conditions lack the series that shows them", "those cells are not used; add the series"
    ),
    "file_unreadable": Kind("warning", "Files cannot be read", f"{_RESTORE}; the other slices are used"),
    "label_without_point": Kind("warning", "Labelled cells have no point", "add the points; else they are not used"),
    "point_repeated": Kind("warning", "A cell has several points in one series", "keep one of them"),
    "point_of_unlisted_study": Kind("warning", "Points belong to a study that train.csv lacks", "add or remove rows"),
    "shapes_mixed": Kind("warning", "Slices of one series differ in shape", "see whether they are of one series"),
    "geometry_missing": Kind(
        "warning", "Files lack orientation, position or spacing", "export them again with their geometry tags"
    ),
    "orientation_unexpected": Kind(
        "warning", "A series is not oriented as its description says", "correct train_series_descriptions.csv"
    ),
    "modality_unexpected": Kind("warning", "Images are not MR", "remove the series"),
    "thickness_missing": Kind("note", "Files lack the slice thickness", "it is taken from the slices' distance"),
    "file_not_image": Kind("note", "Files are no images", "they are left out"),
    "point_without_label": Kind("note", "Points belong to cells without a grade", "they are not used for training"),
    "point_not_used": Kind("note", "Points lie on series that do not show their condition", "they are not used"),
    "levels_in_several_series": Kind("note", "Cells have points in several series", "all of them are used"),
    "series_several": Kind("note", "Several series have the same description", "all with points are used"),
    "series_not_used": Kind("note", "A series shows no condition of the task", "it is not used"),
    "series_of_unlisted_study": Kind("note", "A study with series is not in train.csv", "it is not used"),
    "study_unlisted": Kind("note", "A folder of train_images is in no table", "it is not used"),
    "study_unlabelled": Kind("note", "A study has no grade at all", "it is not used for training"),
    "orientations_several": Kind("note", "A series has slices of several orientations", "they are taken apart"),
    "instances_out_of_order": Kind(
        "note", "Instance or frame numbers do not follow the position", "slices are ordered by position"
    ),
    "instances_with_gaps": Kind("note", "Instance numbers have gaps or do not start at 1", "none is needed"),
    "instances_differ": Kind("note", "File names are not the instance numbers", "points go by file names"),
    "positions_repeated": Kind("note", "Slices lie where another one lies", "one at each place is used"),
    "pixels_not_square": Kind("note", "Pixels are not square", "crops are resampled by spacing"),
    "series_uids_several": Kind(
        "note", "Files of one folder are of several DICOM series", "see if they belong together"
    ),
}
