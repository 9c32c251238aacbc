import torch

from lumbargrade.training.loop.augment import (
    random_aspects,
    random_bias,
    random_erasing,
    random_gamma,
    random_intensity,
    random_transforms,
)


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


def test_aspects_change_shape_not_size_or_place() -> None:
    drawn = random_transforms(1000, 1.0, generator())
    assert torch.equal(random_aspects(drawn, 0.0, generator()), drawn)
    changed = random_aspects(drawn, 1.0, generator())
    torch.testing.assert_close(torch.linalg.det(changed[:, :, :2]), torch.linalg.det(drawn[:, :, :2]))
    assert torch.equal(changed[:, :, 2], drawn[:, :, 2])
    upright = random_aspects(torch.eye(2, 3).expand(1000, 2, 3), 1.0, generator())
    ratios = upright[:, 0, 0] / upright[:, 1, 1]
    assert 1.35 < ratios.max() < 1.5
    assert 1.35 < 1 / ratios.min() < 1.5


def test_grey_values_stay_grey_values() -> None:
    crops = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    changed = random_intensity(crops, 2.0, generator())
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_bias_is_smooth_and_keeps_grey_values() -> None:
    images = torch.full((8, 3, 64, 64), 120.0)
    assert torch.equal(random_bias(images, 0.0, generator()), images)
    changed = random_bias(images, 1.0, generator())
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert (changed.amax(dim=(1, 2, 3)) - changed.amin(dim=(1, 2, 3)) > 10).all()
    assert (changed[..., 1:] - changed[..., :-1]).abs().max() < 15


def test_gamma_keeps_black_and_white() -> None:
    images = torch.tensor([0.0, 100.0, 255.0]).expand(4, 3, 2, 3)
    changed = random_gamma(images, 1.0, generator())
    assert torch.equal(changed[..., [0, 2]], images[..., [0, 2]])
    assert not torch.equal(changed, images)


def test_patches_are_erased_in_all_channels_and_of_bounded_size() -> None:
    images = torch.full((200, 3, 50, 50), 255.0)
    assert torch.equal(random_erasing(images, 0, generator()), images)
    erased = random_erasing(images, 1, generator()) != images
    assert torch.equal(erased[:, 0], erased[:, 1])
    assert torch.equal(erased[:, 0], erased[:, 2])
    shares = erased[:, 0].float().mean(dim=(1, 2))
    assert shares.max() <= 0.31**2
    assert shares.mean() > 0.01
