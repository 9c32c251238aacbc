"""Which headers a phantom's studies are written with: of one profile, or of several by their shares."""

import difflib
from collections.abc import Mapping

import numpy as np

from lumbargrade.errors import InputError
from lumbargrade.phantom.headers.canon import CANON
from lumbargrade.phantom.headers.enhanced import ENHANCED
from lumbargrade.phantom.headers.ge import GE
from lumbargrade.phantom.headers.hitachi import HITACHI
from lumbargrade.phantom.headers.minimal import MINIMAL
from lumbargrade.phantom.headers.philips import PHILIPS
from lumbargrade.phantom.headers.plain import PLAIN
from lumbargrade.phantom.headers.rsna2024 import RSNA2024
from lumbargrade.phantom.headers.scan import Profile
from lumbargrade.phantom.headers.siemens import SIEMENS

PROFILES: dict[str, Profile] = {
    "plain": PLAIN,
    "rsna2024": RSNA2024,
    "siemens": SIEMENS,
    "ge": GE,
    "philips": PHILIPS,
    "hitachi": HITACHI,
    "canon": CANON,
    "enhanced": ENHANCED,
    "minimal": MINIMAL,
}
DEFAULT = "plain"
MIX = "mix"
MIXED: dict[str, float] = {
    "rsna2024": 10, "siemens": 3, "ge": 3, "philips": 2, "hitachi": 1, "canon": 1, "enhanced": 1, "minimal": 1,
}  # fmt: skip
"""Shares of the profiles in :data:`MIX`: most studies have the challenge's headers."""

Shares = Mapping[str, float]


def read_headers_choice(choice: str | Shares) -> dict[str, float]:
    """The shares of profiles that a choice means.

    Args:
        choice: A profile's name, ``mix``, ``NAME=SHARE,NAME=SHARE``, or shares by name.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(choice, str):
        if choice == MIX:
            return dict(MIXED)
        choice = dict(_read_share(part) for part in choice.split(","))
    for name, share in choice.items():
        if name not in PROFILES:
            near = difflib.get_close_matches(name, [*PROFILES, MIX], n=1)
            meant = f"did you mean {near[0]}? Else give" if near else "give"
            raise InputError(
                f"there are no headers {name!r}",
                f"{meant} one of {', '.join(PROFILES)}, or {MIX}",
                "phantom-headers-unknown",
            )
        if not 0 < share < float("inf"):
            raise InputError(f"the share of headers {name} is {share:g}", "give more than 0", "phantom-headers-share")
    if not choice:
        raise InputError(
            "no headers are named", f"give one of {', '.join(PROFILES)}, or {MIX}", "phantom-headers-unknown"
        )
    return dict(choice)


def name_shares(shares: Shares) -> str:
    """The choice that means some shares, as ``--headers`` takes it."""
    if dict(shares) == MIXED:
        return MIX
    return ",".join(name if len(shares) == 1 else f"{name}={share:g}" for name, share in shares.items())


def _read_share(part: str) -> tuple[str, float]:
    name, equals, share = part.strip().partition("=")
    try:
        return name.strip(), float(share) if equals else 1.0
    except ValueError as error:
        raise InputError(
            f"{part.strip()!r} names no share of headers", "give NAME=NUMBER", "phantom-headers-share"
        ) from error


def draw_profile(shares: Shares, rng: np.random.Generator) -> str:
    """Draws the profile of a study."""
    names = sorted(shares)
    weights = np.array([shares[name] for name in names], dtype=np.float64)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]
