"""Private tags, of which scanners write hundreds; nobody else knows what they mean."""

import numpy as np
from pydicom import Dataset

_LONG = 1 << 11


def fill_group(dataset: Dataset, group: int, creator: str, count: int, long: bool = False) -> None:
    """Adds so many private tags of several kinds.

    Args:
        group: Odd.
        long: Makes some kilobytes of each.
    """
    block = dataset.private_block(group, creator, create=True)
    rng = np.random.default_rng([group, count])
    for element in range(count):
        if long:
            block.add_new(element, "OB", rng.bytes(_LONG))
        elif element % 3 == 0:
            block.add_new(element, "DS", f"{rng.uniform(0, 100):.3f}")
        elif element % 3 == 1:
            block.add_new(element, "SS", int(rng.integers(-300, 300)))
        else:
            block.add_new(element, "LO", f"value {int(rng.integers(1000))}")
