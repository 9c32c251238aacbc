"""A search that is killed with ``kill -9``, in short; ``benchmarks/kills.py`` does it at length."""

from argparse import Namespace
from pathlib import Path

from benchmarks.kills import make_crops, models, run_killed, run_undisturbed, runs, study


def test_a_search_that_is_killed_ends_as_an_undisturbed_one_and_trains_nothing_twice(tmp_path: Path) -> None:
    told = Namespace(kills=2, trials=2, epochs=2, seed=5)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        make_crops(folder)
    startup, seconds = run_undisturbed(undisturbed, told)
    hits, trained_again = run_killed(killed, told, startup, seconds)
    assert sum(hits.values()) >= 1
    assert trained_again == []
    for read in (study, runs, models):
        assert read(killed) == read(undisturbed)
