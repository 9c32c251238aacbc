import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumbargrade.training.grader.batches import shuffled_batches, whole_batches
from lumbargrade.training.loop.augment import mix_partners


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_all_rows_come_before_one_comes_again(count: int, size: int, steps: int, seed: int) -> None:
    rows = np.arange(count) + 100
    drawn = np.concatenate(list(shuffled_batches(rows, size, steps, torch.Generator().manual_seed(seed))))
    assert len(drawn) == size * steps
    counts = np.bincount(drawn - 100, minlength=count)
    assert counts.max() - counts.min() <= 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 20), st.integers(1, 10))
def test_units_stay_whole(sizes: list[int], size: int, steps: int) -> None:
    units = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(units))
    for batch in whole_batches(rows, units, size, steps, torch.Generator().manual_seed(0)):
        found, counts = np.unique(units[batch], return_counts=True)
        assert all(count % sizes[unit] == 0 for unit, count in zip(found, counts, strict=True))
        assert len(batch) >= min(size, len(rows))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 99))
def test_partners_are_of_the_same_kind(kinds: list[int], seed: int) -> None:
    given_kinds = torch.tensor(kinds)
    partners = mix_partners(given_kinds, torch.Generator().manual_seed(seed))
    assert torch.equal(given_kinds[partners], given_kinds)
    assert sorted(partners.tolist()) == list(range(len(kinds)))
