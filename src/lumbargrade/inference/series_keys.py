"""How a study's series are called: by their UID, or by RSNA's number where a folder of that number holds just them.

``points.csv`` names a series by the number of its folder, and an instance by that of its file, else of its header.
"""

from collections import defaultdict
from collections.abc import Sequence

from lumbargrade.dicom.grouping import SeriesGroup
from lumbargrade.dicom.headers import SliceHeader

KeyedSeries = tuple[dict[str, list[SliceHeader]], dict[str, str | None], frozenset[str]]


def key_series(groups: Sequence[SeriesGroup]) -> KeyedSeries:
    """Gives each series a key.

    Returns:
        The headers by key; the key by RSNA's number, None where the number does not name one series and its instances;
        the keys of single slices that were torn out of their series.
    """
    owners: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        for number in sorted(_numbers(group)):
            owners[number].append(place)
    keys: list[str] = []
    for place, group in enumerate(groups):
        own = _sole_number(group)
        is_key = own is not None and owners[own] == [place] and own not in keys and _tells_instances(group)
        keys.append(own if own is not None and is_key else _free(group.uid, groups, keys))
    numbers = {
        number: keys[places[0]] if len(places) == 1 and _tells_instances(groups[places[0]]) else None
        for number, places in owners.items()
    }
    series = {key: list(group.slices) for key, group in zip(keys, groups, strict=True)}
    return series, numbers, frozenset(key for key, group in zip(keys, groups, strict=True) if group.torn)


def _numbers(group: SeriesGroup) -> set[str]:
    return {str(int(header.path.parent.name)) for header in group.slices if _is_numbered(header)}


def _sole_number(group: SeriesGroup) -> str | None:
    """RSNA's number of a series, if all of its files lie in folders of that number."""
    numbers = _numbers(group)
    return next(iter(numbers)) if len(numbers) == 1 and all(map(_is_numbered, group.slices)) else None


def _is_numbered(header: SliceHeader) -> bool:
    return header.path.parent.name.isdecimal()


def _tells_instances(group: SeriesGroup) -> bool:
    """Whether the numbers of a series' files are each there once, in whatever folder."""
    files = {header.path: header.instance_number for header in group.slices if _is_numbered(header)}
    numbers = {int(path.stem) if path.stem.isdecimal() else number for path, number in files.items()}
    return len(numbers) == len(files) and None not in numbers


def _free(uid: str, groups: Sequence[SeriesGroup], taken: Sequence[str]) -> str:
    """The UID, with a number behind it where several series have it, or none has one."""
    if uid and sum(group.uid == uid for group in groups) == 1 and uid not in taken:
        return uid
    count = 1
    while f"{uid or 'series'}/{count}" in taken:
        count += 1
    return f"{uid or 'series'}/{count}"
