import torch

from lumbargrade.training.augment import random_intensity, random_transforms


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_no_strength_changes_nothing() -> None:
    crops = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(random_transforms(4, 0.0, generator()), torch.eye(2, 3).expand(4, 2, 3))
    assert torch.equal(random_intensity(crops, 0.0, generator()), crops.float())


def test_the_same_generator_draws_the_same() -> None:
    crops = torch.full((4, 3, 8, 8), 100, dtype=torch.uint8)
    assert torch.equal(random_transforms(4, 1.0, generator()), random_transforms(4, 1.0, generator()))
    assert torch.equal(random_intensity(crops, 1.0, generator()), random_intensity(crops, 1.0, generator()))


def test_turns_never_mirror_and_stay_small() -> None:
    drawn = random_transforms(1000, 1.0, generator())
    assert (torch.linalg.det(drawn[:, :, :2]) > 0.7).all()
    assert (drawn[:, :, 2].abs() <= 0.12).all()


def test_grey_values_stay_grey_values() -> None:
    crops = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    changed = random_intensity(crops, 2.0, generator())
    assert changed.min() >= 0
    assert changed.max() <= 255
