"""DenseNet-121's features (Huang et al., "Densely connected convolutional networks", CVPR 2017).

torchvision has the same network, and its weights fit: layers are named as there. But importing torchvision takes as long again
as torch itself (its detection operators load torch's compiler), which each process that trains or grades would pay.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 1024
"""Channels of what the network returns."""
_FIRST, _GROWTH, _BOTTLENECK = 64, 32, 128
_LAYERS = (6, 12, 24, 16)
_CLASSES = 1000


class _DenseLayer(nn.Module):
    """Adds channels to its input, which it passes on."""

    def __init__(self, channels: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, _BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_BOTTLENECK)
        self.conv2 = nn.Conv2d(_BOTTLENECK, _GROWTH, 3, padding=1, bias=False)
        self.drop_rate = drop_rate

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.conv1(F.relu(self.norm1(maps), inplace=True))
        new = self.conv2(F.relu(self.norm2(narrow), inplace=True))
        if self.drop_rate:
            new = F.dropout(new, self.drop_rate, self.training)
        return torch.cat([maps, new], 1)


def _dense_block(channels: int, layers: int, drop_rate: float) -> nn.Sequential:
    block = nn.Sequential()
    for layer in range(layers):
        block.add_module(f"denselayer{layer + 1}", _DenseLayer(channels + layer * _GROWTH, drop_rate))
    return block


def _transition(channels: int) -> nn.Sequential:
    """Halves channels, rows and columns."""
    halves = nn.Sequential()
    halves.add_module("norm", nn.BatchNorm2d(channels))
    halves.add_module("relu", nn.ReLU(inplace=True))
    halves.add_module("conv", nn.Conv2d(channels, channels // 2, 1, bias=False))
    halves.add_module("pool", nn.AvgPool2d(2))
    return halves


def densenet121_features(drop_rate: float = 0.0) -> nn.Sequential:
    """Makes the network, from images (batch, 3, rows, columns) to maps (batch, ``FEATURES``, rows / 32, columns / 32).

    Args:
        drop_rate: Dropout after each layer, in training.
    """
    features = nn.Sequential()
    features.add_module("conv0", nn.Conv2d(3, _FIRST, 7, stride=2, padding=3, bias=False))
    features.add_module("norm0", nn.BatchNorm2d(_FIRST))
    features.add_module("relu0", nn.ReLU(inplace=True))
    features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
    channels = _FIRST
    for number, layers in enumerate(_LAYERS, start=1):
        features.add_module(f"denseblock{number}", _dense_block(channels, layers, drop_rate))
        channels += layers * _GROWTH
        if number < len(_LAYERS):
            features.add_module(f"transition{number}", _transition(channels))
            channels //= 2
    features.add_module("norm5", nn.BatchNorm2d(channels))
    nn.Linear(
        channels, _CLASSES
    )  # takes the random numbers of torchvision's classifier: a seed gives the same weights as there
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return features
