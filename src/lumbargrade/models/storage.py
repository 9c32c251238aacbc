"""Networks as files: weights and configuration in one safetensors file. No pickle."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from lumbargrade.errors import InputError
from lumbargrade.files import write_bytes

PRETRAINED_ON = "pretrained_on"
"""Key of a weights file's metadata that says on what they were trained: ``synthetic``."""

Config = TypeVar("Config", bound=BaseModel)
Network = TypeVar("Network", bound=nn.Module)


def save_network(network: nn.Module, config: BaseModel, path: Path) -> None:
    """Writes weights and configuration, atomically."""
    weights = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    write_bytes(path, save(weights, {"config": config.model_dump_json()}))


def mark_network(path: Path, marks: Mapping[str, str]) -> None:
    """Adds to the metadata of a network's file, atomically.

    The header is rewritten by hand (its length in eight bytes, JSON, then the weights): safetensors itself orders metadata
    by chance, and the same weights must stay the same bytes.
    """
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header["__metadata__"] = {**header.get("__metadata__", {}), **marks}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(path, len(text).to_bytes(8, "little") + text + data[begin:])


def read_metadata(path: Path) -> dict[str, str]:
    """Reads the metadata of a weights file; empty if its kind has none."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def load_network(
    path: Path, kind: type[Config], build: Callable[[Config], Network], what: str, unread: str | None = None
) -> Network:
    """Reads a network, ready to be used (evaluation mode), on the CPU.

    Args:
        kind: What the configuration must be.
        build: Makes the network that the configuration describes.
        what: How messages call the network.
        unread: How the names of tensors begin that only files of earlier versions hold, and that are not needed.

    Raises:
        InputError: The file is not there, or holds another network.
    """
    if not path.is_file():
        raise InputError(f"{what} {path} does not exist", "", "model-file-missing")
    try:
        with safe_open(path, framework="pt") as file:
            config = kind.model_validate(json.loads((file.metadata() or {})["config"]))
            names = [name for name in file.keys() if unread is None or not name.startswith(unread)]  # noqa: SIM118 - no dictionary
            weights = {name: file.get_tensor(name) for name in names}
        network = build(config)
        network.load_state_dict(weights)
    except (SafetensorError, KeyError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} is not a {what} of this version of Lumbargrade: {reason}",
            "train it again",
            "model-file-of-another-version",
        ) from error
    network.to(memory_format=torch.channels_last)
    return network.eval()
