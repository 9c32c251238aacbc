"""Where a grader's first weights come from: torchvision's ImageNet download, a file, or nowhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.grader import Grader, GraderConfig

_OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\..*)")
"""torchvision's published DenseNet weights name layers ``norm.1`` where the module says ``norm1``."""


def check_weights(source: str) -> None:
    """Checks, before a run starts, that the weights can be had.

    Raises:
        InputError: They cannot; the sentence names the ways out.
    """
    if source != "none":
        _features(_read(source), source)


def load_weights(grader: Grader, source: str) -> None:
    """Puts pretrained weights into a grader: its backbone; of a grader of the same task also what it knows beyond that.

    Args:
        grader: Changed in place.
        source: ``imagenet``, ``none``, or a weights file (torchvision's .pth, or .safetensors).

    Raises:
        InputError: The weights cannot be had or do not fit DenseNet-121.
    """
    if source == "none":
        return
    state = _read(source)
    problems = grader.features.load_state_dict(_features(state, source), strict=False)
    if problems.missing_keys or problems.unexpected_keys:
        odd = (problems.missing_keys + problems.unexpected_keys)[0]
        raise InputError(
            f"training.weights {source} does not fit DenseNet-121 (layer {odd})", f"{_WAYS_OUT}", "weights-do-not-fit"
        )
    if _task(Path(source)) == grader.config.task:
        beyond = {name for name in grader.state_dict() if not name.startswith("features.")}
        grader.load_state_dict({name: state[name] for name in beyond & state.keys()}, strict=False)


_WAYS_OUT = (
    "set training.weights to the path of a torchvision densenet121 file (.pth or .safetensors), "
    "to imagenet on a machine that can download it, to what `lumbargrade pretrain` writes, or to none"
)


def _read(source: str) -> dict[str, Tensor]:
    if source != "imagenet":
        return _read_file(Path(source))
    from torchvision.models import DenseNet121_Weights  # takes seconds

    try:
        return dict(DenseNet121_Weights.IMAGENET1K_V1.get_state_dict(progress=False))
    except (URLError, OSError) as error:
        raise InputError(
            "training.weights imagenet cannot be downloaded on this machine", f"{_WAYS_OUT}", "weights-not-downloadable"
        ) from error


def _features(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The weights of DenseNet-121's features, by layer."""
    features = {}
    for name, tensor in state.items():
        match = _OLD_NAME.fullmatch(name)
        new_name = match[1] + match[2] if match else name
        if new_name.startswith("features."):
            features[new_name.removeprefix("features.")] = tensor
    if not features:
        raise InputError(
            f"training.weights {source} holds no DenseNet features", f"{_WAYS_OUT}", "weights-without-features"
        )
    return features


def _task(path: Path) -> GradingTask | None:
    """The task of a grader's file; none of any other file."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        told = (file.metadata() or {}).get("config", "")
    try:
        return GraderConfig.model_validate_json(told).task
    except ValidationError:
        return None


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(
            f"training.weights {path} is neither imagenet, none nor a file", f"{_WAYS_OUT}", "weights-missing"
        )
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True, map_location="cpu")
        )
    except Exception as error:  # whatever torch's and safetensors' parsers raise on a file that is none
        raise InputError(
            f"training.weights {path} is not a weights file", f"{_WAYS_OUT}", "weights-not-readable"
        ) from error
    return dict(state)
