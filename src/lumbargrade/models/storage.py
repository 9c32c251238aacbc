"""Networks as files: weights and configuration in one safetensors file. No pickle."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lumbargrade.errors import InputError
from lumbargrade.files import replaced_file

Config = TypeVar("Config", bound=BaseModel)


def save_network(network: nn.Module, config: BaseModel, path: Path) -> None:
    """Writes weights and configuration, atomically."""
    weights = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    with replaced_file(path) as temporary:
        save_file(weights, temporary, metadata={"config": config.model_dump_json()})


def read_network(path: Path, kind: type[Config], what: str) -> tuple[Config, dict[str, Tensor]]:
    """Reads configuration and weights.

    Args:
        kind: What the configuration must be.
        what: How messages call the network.

    Raises:
        InputError: The file is not there, or holds another network.
    """
    if not path.is_file():
        raise InputError(f"{what} {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            config = kind.model_validate(json.loads((file.metadata() or {})["config"]))
            return config, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    except (SafetensorError, KeyError, ValidationError) as error:
        raise not_ours(path, what, error) from error


def not_ours(path: Path, what: str, error: Exception) -> InputError:
    """The error for a file that holds another network, or one of another version."""
    reason = str(error).splitlines()[0]
    return InputError(f"{path} is not a {what} of this version of Lumbargrade: {reason}; train it again")
