"""What an image shows, as far as it is known."""

from dataclasses import dataclass
from typing import Literal

Contrast = Literal["T1", "T2", "other"]
"""What the graders and locators tell apart."""

Weighting = Literal[
    "T1", "T1 FLAIR", "T2", "STIR", "PD", "T2 FLAIR", "gradient echo", "diffusion", "myelogram", "localizer", "other"
]
"""``gradient echo`` is any of them, T1-weighted or T2*-weighted."""

DixonPart = Literal["water", "fat", "in-phase", "opposed-phase"]

_CONTRASTS: dict[str, Contrast] = {"T1": "T1", "T1 FLAIR": "T1", "T2": "T2", "STIR": "T2"}
_NOT_GRADED = {
    "PD": "it is proton-density-weighted", "T2 FLAIR": "it is a FLAIR, which shows fluid dark",
    "gradient echo": "it is a gradient echo, which shows fluid and discs in other greys than a spin echo",
    "diffusion": "it is diffusion-weighted", "myelogram": "it is a myelogram, which shows nothing but fluid",
    "other": "it is neither T1 nor T2",
}  # fmt: skip
_PARTS_NOT_GRADED = {
    "fat": "it is the fat image of a Dixon series", "opposed-phase": "it is the opposed-phase image of a Dixon series",
}  # fmt: skip
PREFERENCES: tuple[tuple[str, bool], ...] = (
    ("T2", False), ("T2", True), ("STIR", False), ("STIR", True), ("T1", False), ("T1 FLAIR", False), ("T1", True),
    ("T1 FLAIR", True),
)  # fmt: skip
"""Of series of one contrast the earlier is taken first: by weighting, and whether fat is suppressed."""


@dataclass(frozen=True)
class ImageKind:
    """What an image shows.

    Attributes:
        weighting: None if nothing tells.
        fat_suppressed: By whatever means; of a STIR too.
        part: Of a Dixon series.
        computed: What it is if it was computed from images, or shows a phase, in words, as "a subtraction".
        contrast_agent: Whether one was given; None if nothing tells.
        confidence: Of the weighting, 0 to 1. It orders how sure kinds are; it is no frequency.
        evidence: What the weighting was read from, the strongest first: ``table``, ``tags``, ``times``, ``name``.
        disagreement: What another evidence says, in words; None if none does.
        fault: Why it is not graded, in words, where that is more than the weighting says.
    """

    weighting: Weighting | None = None
    fat_suppressed: bool = False
    part: DixonPart | None = None
    computed: str | None = None
    contrast_agent: bool | None = None
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()
    disagreement: str | None = None
    fault: str | None = None

    @property
    def contrast(self) -> Contrast | None:
        """The weighting as graders tell it, whatever part of a Dixon series it is; None if nothing tells."""
        return None if self.weighting is None else _CONTRASTS.get(self.weighting, "other")

    @property
    def gradable(self) -> Contrast | None:
        """As ``contrast``, but "other" for what was computed, and for parts of a Dixon series that nobody grades on."""
        return "other" if self.computed or self.part in _PARTS_NOT_GRADED else self.contrast

    @property
    def localizer(self) -> str | None:
        """By what the image is known for a localizer, if it is one."""
        return (self.fault or "its name says so") if self.weighting == "localizer" else None

    @property
    def reason(self) -> str | None:
        """Why it is not graded; None if it is."""
        if self.gradable != "other":
            return None
        if self.computed:
            return f"it is {self.computed}"
        if self.part in _PARTS_NOT_GRADED:
            return _PARTS_NOT_GRADED[self.part]
        return self.fault or _NOT_GRADED.get(self.weighting or "other")

    @property
    def preference(self) -> int:
        """Of two series of one contrast that show the same, the one with the lower number is taken."""
        shown = (self.weighting or "", self.fat_suppressed and self.weighting != "STIR")
        order = PREFERENCES.index(shown) if shown in PREFERENCES else len(PREFERENCES)
        agent = bool(self.contrast_agent)  # it changes a T1 more than fat suppression does, and a T2 hardly
        return order + len(PREFERENCES) * agent if self.contrast == "T1" else 2 * order + agent

    @property
    def words(self) -> str | None:
        """Weighting, suppression and agent, from a fixed list of words; None if nothing is known of the weighting."""
        if self.weighting is None:
            return self.computed
        words: list[str] = [self.weighting]
        if self.computed:
            words.append(f"({self.computed})")
        elif self.part in _PARTS_NOT_GRADED:
            words.append(f"Dixon {self.part} image")
        elif self.fat_suppressed and self.weighting != "STIR":
            words.append("fat-suppressed")
        return " ".join([*words, *(["after contrast"] if self.contrast_agent else [])])
