"""What a series' name says of it. Names are written by people: what they say counts after what the scanner measured."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from lumbargrade.dicom.kind import vocabulary as words_of
from lumbargrade.dicom.kind.image_kind import DixonPart, Weighting
from lumbargrade.dicom.words import fold_text, fold_words

_LEVELS = re.compile(
    r"\b(?!t[12][\W_]*[ls])[ctls]\s?\d{1,2}\s*(?:[-–/_]|to|bis)\s*[ctls]\s?\d{1,2}\b|\bt\d{1,2}\s*[-–]\s*\d{2}\b"
)
"""Ranges of vertebrae, as T12-L5: no weightings. T2-L5 is none: whoever examines a lumbar spine means a T2 of L5."""
_FAT, _SUPPRESSION = ("|".join(sorted(stems)) for stems in (words_of.FAT_WORDS, words_of.SUPPRESSION_STEMS))
_FAT_SUPPRESSION = re.compile(rf"(?:{_FAT})(?:{_SUPPRESSION})|(?:sat|sup|supr|supp)(?:{_FAT})|waterex")
"""In one word, as Fettsättigung."""
_WITHOUT = r"\b(?:no|non|not|without|wo|w ?/ ?o|ohne|sans|sin|senza|sem|zonder|bez)"
_NOT_SUPPRESSED = re.compile(rf"{_WITHOUT}\W*(?:(?:{_FAT})\W*)?(?:fs\b|{_SUPPRESSION})\w*|\bbaskisiz\w*")
_WITHOUT_FAT = re.compile(rf"{_WITHOUT}\W+(?:{_FAT})\b")
_JOINED = "".join(
    f"|(?<={end})" for end in ("fs", "sag", "ax", "al", "tra", "cor", "se", "pd", "flair", "[23]d", r"\b[sw]")
)
_WEIGHTED = re.compile(rf"(?:(?<![a-z0-9]){_JOINED})[tт][ -]?([12])(?![0-9]|\.[0-9]| ?mm)")
_EITHER = re.compile(r"t2w?\s*/\s*stir|stir\s*/\s*t2")
"""As RSNA's table has it: one of both, whichever."""
_STAR = re.compile(r"t[12]w?\s*\*")
_AGENT_MARK = re.compile(
    r"(?:\+|\bt1w?)\s*(?:c(?!\W*(?:[tls]\b|sp))|gd|km|k|ce|gad|mdc|contrast)\b|\bc\s*\+(?!\+|\s*[tl]\b)|\b[wc]\s*/\s*c(?:ontrast\w*)?\b|(?<=[a-z0-9])\+c\b"
)
_NO_AGENT_MARK = re.compile(
    r"(?:(?<!\w)-|w\s*/\s*o|\bwo)\s*(?:c|gd|km|contrast)\b|\b(?:c|ce|gd|km)\s*\(?-(?!\w)|\bw\s*/\s*o\b|\bs\s*/\s*(?:c|gd|gado|km|mdc|contrast\w*)\b"
)
_DIMENSIONS = re.compile(r"^[23]d|[23]d$")
_B_VALUE = re.compile(r"^b\d{2,4}$")
_HEAD = re.compile(r"\W*([\w -]+)[:)]")
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
    low = _NOT_SUPPRESSED.sub(" ", _spaced(_LEVELS.sub(" ", fold_text(text))))
    words = fold_words(low)
    part = _part(words, low)
    suppressed = part == "water" or _is_suppressed(words, low)
    inverted = _is_inverted(words) and not _EITHER.search(low)
    found = {match.group(1) for match in _WEIGHTED.finditer(low)} | ({"1"} if {"tiwi", "tiw"} & set(words) else set())
    density = _has(words, words_of.DENSITY_WORDS) or _shows(low, words_of.DENSITY_SIGNS)
    return NamedKind(
        weighting=_weighting(words, low, found, inverted, density),
        bare_flair=_has_flair(words) and not found,
        computed=find_computed(words),
        reformat=_has(words, words_of.REFORMAT_WORDS),
        service=_begins(words, words_of.SERVICE_STEMS),
        fat_suppressed=suppressed,
        spectral=_has(words, words_of.SPECTRAL_WORDS),
        part=part,
        contrast_agent=_contrast_agent(words, low),
    )


def is_localizer_name(text: str) -> bool:
    """Whether a name is a localizer's beyond doubt."""
    words = fold_words(text)
    return (
        _begins(words, words_of.LOCALIZER_STEMS)
        or _has(words, words_of.LOCALIZER_WORDS)
        or any("scout" in word for word in words)
        or bool(words_of.LOCALIZER_PAIRS & set(pairwise(words)))
        or _shows(text, words_of.LOCALIZER_SIGNS)
    )


def is_abbreviated_localizer(text: str) -> bool:
    """Whether a name has a short word that localizers' names have, and others too."""
    return _has(fold_words(text), words_of.LOCALIZER_ABBREVIATIONS)


def _weighting(words: list[str], low: str, found: set[str], inverted: bool, density: bool) -> Weighting | None:
    if _is_myelogram(words, low):
        return "myelogram"
    if _is_diffusion(words, low):
        return "diffusion"
    if _is_gradient_echo(words, low):
        return "gradient echo"
    if _EITHER.search(low):
        return "T2"
    if _has_flair(words):
        return "T1 FLAIR" if found == {"1"} else "T2 FLAIR" if found else None
    if inverted and "stir" not in "".join(words) and found == {"1"}:
        return "T1 FLAIR"
    if inverted:
        return "STIR"
    if density and "1" not in found:
        return "PD"
    if len(found) == 1:
        return "T1" if found == {"1"} else "T2"
    return None


def _is_myelogram(words: list[str], low: str) -> bool:
    named = any(
        _shows(word, words_of.MYELOGRAM_ROOTS) or word.endswith(words_of.MYELOGRAM_ENDS) for word in _strip(words)
    )
    return named or _shows(low, words_of.MYELOGRAM_SIGNS)


def _strip(words: list[str]) -> list[str]:
    """The words without the dimensions that stick to them, as in FFE3D."""
    return [_DIMENSIONS.sub("", word) for word in words]


def _is_gradient_echo(words: list[str], low: str) -> bool:
    named = _has([*words, *_strip(words)], words_of.GRADIENT_WORDS) or _begins(words, words_of.GRADIENT_STEMS)
    return named or bool(_STAR.search(low)) or bool(words_of.GRADIENT_PAIRS & set(pairwise(words)))


def _has_flair(words: list[str]) -> bool:
    return any("flair" in word for word in words) or ("dark", "fluid") in set(pairwise(words)) or "darkfluid" in words


def _is_inverted(words: list[str]) -> bool:
    compound = any("stir" in word or "tirm" in word for word in words)
    named = _begins(words, words_of.STIR_STEMS) or _has(words, words_of.STIR_WORDS)
    return compound or named or ("inv", "rec") in set(pairwise(words))


def _is_diffusion(words: list[str], low: str) -> bool:
    named = _begins(words, words_of.DIFFUSION_STEMS) or _has(words, words_of.DIFFUSION_WORDS)
    return named or any(map(_B_VALUE.match, words)) or _shows(low, words_of.DIFFUSION_SIGNS)


def find_computed(words: list[str]) -> str | None:
    """What was computed from images, in words; None if no word says so."""
    candidates = [*words, *("".join(pair) for pair in pairwise(words))]
    return next((words_of.COMPUTED_WORDS[word] for word in candidates if word in words_of.COMPUTED_WORDS), None)


def _is_suppressed(words: list[str], low: str) -> bool:
    if _has(words, words_of.SUPPRESSED_WORDS) or _shows(low, words_of.SUPPRESSED_SIGNS):
        return True
    if any(map(_FAT_SUPPRESSION.search, words)) or _WITHOUT_FAT.search(low):
        return True
    fat = [word for word in words if word in words_of.FAT_WORDS]
    return bool(fat) and _begins([word for word in words if word not in fat], words_of.SUPPRESSION_STEMS)


def _part(words: list[str], low: str) -> DixonPart | None:
    """The part of a Dixon series: said by a word beside Dixon's, or before a colon or in brackets, as GE does."""
    head = _HEAD.match(low)
    alone = "".join(fold_words(head.group(1))) if head else ""
    if alone in words_of.PART_WORDS and len(alone) > 1:
        return as_part(alone)
    dixon = _has(words, words_of.DIXON_WORDS) or any("dixon" in word for word in words) or "only" in words
    if not dixon:
        return None
    last = _LETTERED_PART.search(low.strip(" )"))
    if last:
        return as_part(last.group(1))
    pairs = set(pairwise(words))
    if ("in", "phase") in pairs:
        return "in-phase"
    if pairs & {("opp", "phase"), ("opposed", "phase"), ("out", "phase"), ("out", "of"), ("op", "phase")}:
        return "opposed-phase"
    rest = [word for word in words if word in words_of.PART_WORDS]
    if len(set(map(as_part, rest))) == 1 and not _is_suppressed(words, low):
        return as_part(rest[0])
    return None


def as_part(word: str) -> DixonPart | None:
    """The part of a Dixon series that a word means; None if it means none."""
    part = words_of.PART_WORDS.get(word)
    known: tuple[DixonPart, ...] = ("water", "fat", "in-phase", "opposed-phase")
    return next((one for one in known if one == part), None)


def _contrast_agent(words: list[str], low: str) -> bool | None:
    if _shows(low, words_of.BEFORE_SIGNS) or _NO_AGENT_MARK.search(low):
        return False
    before = _has(words, words_of.BEFORE_WORDS)
    named = _has(words, words_of.AGENT_WORDS) or _begins(words, words_of.AGENT_STEMS)
    named = named or bool(_AGENT_MARK.search(low)) or _shows(low, words_of.AGENT_SIGNS)
    if before:
        return (
            False if named or _has(words, {"pre", "nativ", "native", "nativo", "natief", "tanjun", "pingsao"}) else None
        )
    if named:
        return True
    operated = any(one == "post" and other.startswith(words_of.OPERATION_STEMS) for one, other in pairwise(words))
    return True if _has(words, {"post", "pos"}) and "t1" in low and not operated else None


def _spaced(text: str) -> str:
    """The text with its punctuation kept but underscores, which stand for spaces."""
    return " ".join(text.replace("_", " ").split())


def _has(words: Iterable[str], known: Collection[str]) -> bool:
    return any(word in known for word in words)


def _begins(words: Iterable[str], stems: tuple[str, ...]) -> bool:
    return any(word.startswith(stems) for word in words)


def _shows(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)
