"""How a training run computes: on which device, from which seed, and in the narrowest numbers that the device has."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Precision:
    """How numbers are held in the forward pass, and how small gradients are kept from vanishing."""

    name: str
    autocast: Callable[[], AbstractContextManager[object]]
    scaler: torch.amp.GradScaler


def choose_precision(wish: str, device: torch.device) -> Precision:
    """Returns the precision for a device; ``auto`` takes bf16 where the device computes in it faster."""
    if wish == "auto":
        if device.type == "cuda":
            wish = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            wish = "bf16" if _cpu_multiplies_bf16(torch.cpu.get_capabilities()) else "fp32"
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[wish]
    return Precision(
        name=wish,
        autocast=lambda: torch.autocast(device.type, dtype=dtype, enabled=wish != "fp32"),
        scaler=torch.amp.GradScaler(device.type, enabled=wish == "fp16"),
    )


def _cpu_multiplies_bf16(capabilities: Mapping[str, object]) -> bool:
    """Whether the CPU has units for products of bf16 matrices: Intel's AMX, ARM's BF16.

    Dot products alone (AVX-512 BF16) do not suffice: DenseNet-121 trains 1.3 times slower with them than in fp32.
    """
    return bool(capabilities.get("amx_bf16") or capabilities.get("bf16"))


def begin_training(seed: int, fold: int, deterministic: bool) -> tuple[torch.device, int]:
    """Seeds torch for a fold and returns the device that the process was given, and the seed."""
    own_seed = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    torch.manual_seed(own_seed)
    if deterministic:
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not deterministic
    return torch.device("cuda" if torch.cuda.is_available() else "cpu"), own_seed
