"""What a series' name says of it. Names are written by people: what they say counts after what the scanner measured."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from lumbargrade.dicom.kind import vocabulary as words_of
from lumbargrade.dicom.kind.image_kind import DixonPart, Weighting
from lumbargrade.dicom.words import fold_words

_LEVELS = re.compile(
    r"\b[ctls]\s?\d{1,2}\s*(?:[-–/_]|to|bis)\s*[ctls]\s?\d{1,2}\b|\bt\d{1,2}\s*[-–]\s*\d{2}\b", re.IGNORECASE
)
"""Ranges of vertebrae, as T12-L5: no weightings."""
_WEIGHTED = re.compile(
    r"(?:(?<![a-z0-9])|(?<=fs)|(?<=sag)|(?<=ax)|(?<=tra)|(?<=cor)|(?<=se)|(?<=pd)|(?<=flair)|(?<=[23]d))t([12])(?![0-9])"
)
_EITHER = re.compile(r"t2w?\s*/\s*stir|stir\s*/\s*t2")
"""As RSNA's table has it: one of both, whichever."""
_STAR = re.compile(r"t[12]w?\s*\*")
_AGENT_MARK = re.compile(
    r"(?:\+|\bt1w?)\s*(?:c|gd|km|k|ce|gad|mdc|contrast)\b|\bc\s*\+(?!\+)|\bw(?:ith)?\s*/\s*c\b|(?<=[a-z0-9])\+c\b"
)
_NO_AGENT_MARK = re.compile(r"(?:-|w\s*/\s*o|\bwo)\s*(?:c|gd|km|contrast)\b|\bc\s*-(?!\w)|\bw\s*/\s*o\b")
_B_VALUE = re.compile(r"^b\d{2,4}$")
_LETTERED_PART = re.compile(r"(?:^|[_\s:(-])(w|f|in|opp|op|out|ip)$")


@dataclass(frozen=True)
class NamedKind:
    """What a name says; None and False where it says nothing.

    Attributes:
        bare_flair: It says FLAIR, but not of which weighting.
        computed: What was computed from images, in words.
        reformat: It says that slices were cut from a volume.
        spectral: It says that fat is suppressed by its frequency.
    """

    weighting: Weighting | None = None
    bare_flair: bool = False
    computed: str | None = None
    reformat: bool = False
    service: bool = False
    fat_suppressed: bool = False
    spectral: bool = False
    part: DixonPart | None = None
    contrast_agent: bool | None = None


def read_name(text: str) -> NamedKind:
    """Reads a name."""
    plain = _LEVELS.sub(" ", text)
    words = fold_words(plain)
    low = _spaced(plain)
    part = _part(words, low)
    suppressed = part == "water" or _is_suppressed(words, low)
    inverted = _is_inverted(words) and not _EITHER.search(low)
    found = {match.group(1) for match in _WEIGHTED.finditer(low)} | ({"1"} if {"tiwi", "tiw"} & set(words) else set())
    density = _has(words, words_of.DENSITY_WORDS) or _shows(low, words_of.DENSITY_SIGNS)
    return NamedKind(
        weighting=_weighting(words, low, found, inverted, density),
        bare_flair=_has_flair(words) and not found,
        computed=_computed(words),
        reformat=_has(words, words_of.REFORMAT_WORDS),
        service=_begins(words, words_of.SERVICE_STEMS),
        fat_suppressed=suppressed,
        spectral=_has(words, words_of.SPECTRAL_WORDS),
        part=part,
        contrast_agent=_contrast_agent(words, low),
    )


def is_localizer_name(text: str) -> bool:
    """Whether a name is a localizer's."""
    words = fold_words(text)
    return (
        _begins(words, words_of.LOCALIZER_STEMS)
        or _has(words, words_of.LOCALIZER_WORDS)
        or any("scout" in word for word in words)
        or bool(words_of.LOCALIZER_PAIRS & set(pairwise(words)))
        or _shows(text, words_of.LOCALIZER_SIGNS)
    )


def _weighting(words: list[str], low: str, found: set[str], inverted: bool, density: bool) -> Weighting | None:
    if _begins(words, words_of.MYELOGRAM_STEMS) or _has(words, words_of.MYELOGRAM_WORDS):
        return "myelogram"
    if _shows(low, words_of.MYELOGRAM_SIGNS):
        return "myelogram"
    if _is_diffusion(words, low):
        return "diffusion"
    if _has(words, words_of.GRADIENT_WORDS) or _STAR.search(low) or words_of.GRADIENT_PAIRS & set(pairwise(words)):
        return "gradient echo"
    if _EITHER.search(low):
        return "T2"
    if _has_flair(words):
        return "T1 FLAIR" if found == {"1"} else "T2 FLAIR"
    if inverted and "stir" not in "".join(words) and found == {"1"}:
        return "T1 FLAIR"
    if inverted:
        return "STIR"
    if density and "1" not in found:
        return "PD"
    if len(found) == 1:
        return "T1" if found == {"1"} else "T2"
    return None


def _has_flair(words: list[str]) -> bool:
    return any("flair" in word for word in words) or ("dark", "fluid") in set(pairwise(words)) or "darkfluid" in words


def _is_inverted(words: list[str]) -> bool:
    compound = any("stir" in word or "tirm" in word for word in words)
    named = _begins(words, words_of.STIR_STEMS) or _has(words, words_of.STIR_WORDS)
    return compound or named


def _is_diffusion(words: list[str], low: str) -> bool:
    named = _begins(words, words_of.DIFFUSION_STEMS) or _has(words, words_of.DIFFUSION_WORDS)
    return named or any(map(_B_VALUE.match, words)) or _shows(low, words_of.DIFFUSION_SIGNS)


def _computed(words: list[str]) -> str | None:
    return next((words_of.COMPUTED_WORDS[word] for word in words if words_of.COMPUTED_WORDS.get(word)), None)


def _is_suppressed(words: list[str], low: str) -> bool:
    if _has(words, words_of.SUPPRESSED_WORDS) or _shows(low, words_of.SUPPRESSED_SIGNS):
        return True
    fat = [word for word in words if word in words_of.FAT_WORDS]
    return bool(fat) and _begins([word for word in words if word not in fat], words_of.SUPPRESSION_STEMS)


def _part(words: list[str], low: str) -> DixonPart | None:
    """The part of a Dixon series: said by a word beside Dixon's, or before a colon, as GE does."""
    head = low.partition(":")[0].strip() if ":" in low else ""
    alone = "".join(fold_words(head))
    if alone in words_of.PART_WORDS and len(alone) > 1:
        return _as_part(alone)
    dixon = _has(words, words_of.DIXON_WORDS) or any("dixon" in word for word in words)
    if not dixon:
        return None
    last = _LETTERED_PART.search(low.strip(" )"))
    if last:
        return _as_part(last.group(1))
    pairs = set(pairwise(words))
    if ("in", "phase") in pairs:
        return "in-phase"
    if pairs & {("opp", "phase"), ("opposed", "phase"), ("out", "phase"), ("out", "of"), ("op", "phase")}:
        return "opposed-phase"
    rest = [word for word in words if word in words_of.PART_WORDS]
    if len(set(map(_as_part, rest))) == 1 and not _is_suppressed(words, low):
        return _as_part(rest[0])
    return None


def _as_part(word: str) -> DixonPart:
    part = words_of.PART_WORDS[word]
    known: tuple[DixonPart, ...] = ("water", "fat", "in-phase", "opposed-phase")
    return next(one for one in known if one == part)


def _contrast_agent(words: list[str], low: str) -> bool | None:
    before = _has(words, words_of.BEFORE_WORDS) or bool(_NO_AGENT_MARK.search(low))
    agent = _has(words, words_of.AGENT_WORDS) or bool(_AGENT_MARK.search(low)) or _shows(low, words_of.AGENT_SIGNS)
    named = agent or _begins(words, words_of.CONTRAST_STEMS)
    if before:
        return (
            False if named or _has(words, {"pre", "nativ", "native", "nativo", "natief", "tanjun", "pingsao"}) else None
        )
    if agent:
        return True
    after = _has(words, words_of.AFTER_WORDS)
    if named:
        return (
            True if after or _begins(words, ("kontrastl",)) or words[-1].startswith(words_of.CONTRAST_STEMS) else None
        )
    return True if "post" in words and "t1" in low else None


def _spaced(text: str) -> str:
    """The text in lower case, its punctuation kept but underscores, which stand for spaces."""
    return " ".join(text.casefold().replace("_", " ").split())


def _has(words: Iterable[str], known: Collection[str]) -> bool:
    return any(word in known for word in words)


def _begins(words: Iterable[str], stems: tuple[str, ...]) -> bool:
    return any(word.startswith(stems) for word in words)


def _shows(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)
