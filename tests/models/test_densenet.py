"""The backbone is torchvision's DenseNet-121, without torchvision."""

import subprocess
import sys

import pytest
import torch
from torchvision.models import densenet121

from lumbargrade.models.densenet import FEATURES, densenet121_features


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_torchvisions_does_bit_for_bit(training: bool) -> None:
    torch.manual_seed(3)
    theirs = densenet121(weights=None).features.train(training)
    torch.manual_seed(3)
    ours = densenet121_features().train(training)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    images = torch.randn(2, 3, 64, 64)
    answers = [network(images) for network in (ours, theirs)]
    assert answers[0].shape == (2, FEATURES, 2, 2)
    assert torch.equal(*answers)
    ours_slopes, their_slopes = (
        torch.autograd.grad(answer.square().mean(), list(network.parameters()))
        for answer, network in zip(answers, (ours, theirs), strict=True)
    )
    assert all(map(torch.equal, ours_slopes, their_slopes))


def test_layers_drop_out_in_training_alone() -> None:
    network, images = densenet121_features(0.5), torch.randn(2, 3, 64, 64)
    network.eval()
    assert torch.equal(network(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))


def test_who_grades_does_not_wait_for_torchvision() -> None:
    heavy = ("torchvision", "torch._dynamo", "sympy", "scipy.stats")
    told = f"import lumbargrade.inference.grade, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
