"""Crops of graded studies are kept for a while, within a size, for the version that graded them, and nowhere else."""

import threading
import time

import numpy as np
import pandas as pd

from lumbargrade.inference.crop_cache import CropCache
from lumbargrade.inference.grade import CellCrop, GradedCrops


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def study(pixels: int = 1000) -> GradedCrops:
    return GradedCrops(pd.DataFrame(), {("canal", "L4/L5"): CellCrop(np.zeros((1, 1, pixels), np.uint8), False)})


SIZE = study().size


def test_a_study_is_found_by_its_request_and_version() -> None:
    cache, kept = CropCache(), study()
    cache.put("a", "model/1", kept)
    assert cache.get("a", "model/1") is kept
    assert cache.get("a", "model/2") is None
    assert cache.get("b", "model/1") is None
    assert CropCache().get("a", "model/1") is None


def test_the_oldest_studies_make_room() -> None:
    cache = CropCache(max_bytes=3 * SIZE)
    for name in "abcd":
        cache.put(name, "1", study())
    assert [cache.get(name, "1") is not None for name in "abcd"] == [False, True, True, True]
    cache.put("large", "1", study(4000))
    assert cache.get("large", "1") is None
    assert len(cache) == 3


def test_a_study_that_is_put_again_counts_once() -> None:
    cache = CropCache(max_bytes=2 * SIZE)
    for name in "abbb":
        cache.put(name, "1", study())
    assert len(cache) == 2


def test_a_study_is_forgotten_after_its_time_also_if_it_is_asked_for() -> None:
    clock = Clock()
    cache = CropCache(max_seconds=600, clock=clock)
    cache.put("a", "1", study())
    clock.now = 300
    cache.put("b", "1", study())
    assert cache.get("a", "1") is not None
    clock.now = 600
    assert cache.get("a", "1") is None
    assert cache.get("b", "1") is not None


def test_a_study_is_forgotten_though_nobody_asks() -> None:
    cache = CropCache(max_seconds=0.05)
    cache.put("a", "1", study())
    cache.put("b", "1", study())
    give_up = time.monotonic() + 10
    while cache._bytes and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not cache._entries
    assert cache._bytes == 0


def test_threads_do_not_disturb_each_other() -> None:
    cache = CropCache(max_bytes=5 * SIZE)

    def work(name: str) -> None:
        for number in range(200):
            cache.put(f"{name}{number}", "1", study())
            cache.get(f"{name}{number}", "1")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 5
    assert cache._bytes == 5 * SIZE
