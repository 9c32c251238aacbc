"""Puts together what a scanner measured and what people wrote: what was measured counts first, and what disagrees is told."""

from functools import lru_cache

from pydicom import Dataset

from lumbargrade.dicom.kind.image_kind import DixonPart, ImageKind, Weighting
from lumbargrade.dicom.kind.names import NamedKind, as_part, is_abbreviated_localizer, is_localizer_name, read_name
from lumbargrade.dicom.kind.physics import TIMES, PhysicalKind, read_computed, read_physics
from lumbargrade.dicom.kind.tags import KindTags, read_kind_tags
from lumbargrade.dicom.words import fold_words

_BOTH, _NAME, _STATED, _COMPLETED, _DISPUTED = 0.97, 0.75, 0.8, 0.7, 0.6
"""How sure a weighting is that measured and written agree on; that only a name, or the scanner's own word, tells; that a name
completes; that a name disputes."""
_STATED_WEIGHTINGS: dict[str, Weighting] = {
    "T1": "T1", "T2": "T2", "T2_STAR": "gradient echo", "PROTON_DENSITY": "PD", "DIFFUSION": "diffusion", "STIR": "STIR",
    "FLUID_ATTENUATED": "T2 FLAIR", "FLOW_ENCODED": "other", "PERFUSION": "other", "TAGGING": "other", "TOF": "gradient echo",
}  # fmt: skip
_SUPPRESSING = {"fs", "fatsat", "chemsat", "spir", "spair", "we"}
"""ScanOptions without their punctuation."""
_LONGEST_FLAIR, _LONG_FOR_T1 = 4000.0, 1200.0
_T1_FLAIR_ECHO = 45.0
_GRADED: tuple[Weighting, ...] = ("T1", "T1 FLAIR", "T2", "STIR")
_THICKEST_SLICE, _MEASURED = 5.0, 0.9
"""mm; how sure times are that outweigh an abbreviation."""


def read_kind(dataset: Dataset) -> ImageKind:
    """Says what the image of a classic file is, or all of those of an enhanced file whose shared groups tell.

    Args:
        dataset: Any header; tags that are missing tell nothing.
    """
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])[:1]
    return judge_kind(read_kind_tags(dataset, [*each, *shared, dataset]))


@lru_cache(maxsize=4096)
def judge_kind(tags: KindTags) -> ImageKind:
    """Says what an image is.

    The order of evidence: what the tags leave no doubt of, then the scanner's own word (AcquisitionContrast), then the name.
    A name completes what was measured where that is compatible: it names an inversion whose time is missing, or a gradient
    echo that no tag tells.
    """
    name = _read_names(tags)
    physics = read_physics(tags)
    part = _part(tags) or name.part
    suppressed = (
        name.fat_suppressed
        or part == "water"
        or not _SUPPRESSING.isdisjoint(map(_bare, tags.options))
        or "FAT" in tags.suppression
    )
    agent = tags.contrast_agent if tags.contrast_agent is not None else name.contrast_agent
    if name.contrast_agent and tags.contrast_agent is False:
        agent = True  # whoever names a series knows that an agent was given; the tag is often left at its default
    kind = _weigh(tags, physics, name)
    return ImageKind(
        weighting=kind.weighting,
        fat_suppressed=suppressed or kind.weighting == "STIR",
        part=part,
        computed=read_computed(tags) or name.computed,
        contrast_agent=agent,
        confidence=kind.confidence,
        evidence=kind.evidence,
        disagreement=kind.disagreement,
        fault=kind.fault,
    )


def _read_names(tags: KindTags) -> NamedKind:
    """What the description says, together with the protocol's name where only that one tells the weighting."""
    name = read_name(tags.description)
    if name.weighting is None and read_name(tags.protocol).weighting is not None:
        return read_name(f"{tags.protocol} {tags.description}")
    return name


def _part(tags: KindTags) -> DixonPart | None:
    """As ImageType says it."""
    return next((part for code in tags.image_type[2:] if (part := as_part(_bare(code)))), None)


def _bare(code: str) -> str:
    return "".join(fold_words(code))


def _is_named_localizer(tags: KindTags, physics: PhysicalKind) -> bool:
    """Whether a name calls it a localizer; an abbreviation does not where thin slices were measured as the name says."""
    weighting = read_name(tags.description).weighting
    names = [tags.description, *([tags.protocol] if weighting is None else [])]
    if any(map(is_localizer_name, names)):
        return True
    thin = tags.thickness is not None and tags.thickness <= _THICKEST_SLICE and physics.sure >= _MEASURED
    diagnostic = (
        thin and weighting is not None and physics.weighting in _GRADED and _agree(physics.weighting, weighting)
    )
    return not diagnostic and any(map(is_abbreviated_localizer, names))


def _weigh(tags: KindTags, physics: PhysicalKind, name: NamedKind) -> ImageKind:
    """The weighting, with its reasons."""
    if physics.weighting == "localizer" and physics.sure == 1.0:
        return _measured(physics)
    if _is_named_localizer(tags, physics):
        return ImageKind("localizer", confidence=0.95, evidence=("name",), fault="its name says so")
    if name.service:
        return ImageKind(
            "other", confidence=0.9, evidence=("name",), fault="it is a measurement for the scanner itself"
        )
    stated = _STATED_WEIGHTINGS.get(tags.stated)
    named = stated or name.weighting
    source, sure = ("tags", _STATED) if stated else ("name", _NAME)
    if physics.weighting is None:
        if named is None or name.reformat:
            return _reformat(name)
        return ImageKind(named, confidence=sure, evidence=(source,), fault=_named_fault(named, source))
    completed = _complete(tags, physics.weighting, name)
    if completed is not None:
        return ImageKind(completed, confidence=_COMPLETED, evidence=("name", physics.source))
    if named is None or _agree(physics.weighting, named):
        both = named is not None and physics.weighting not in ("localizer",)
        evidence = (physics.source, source) if both else (physics.source,)
        return ImageKind(
            physics.weighting, confidence=_BOTH if both else physics.sure, evidence=evidence, fault=physics.because
        )
    return _dispute(physics, named, source)


def _measured(physics: PhysicalKind) -> ImageKind:
    return ImageKind(physics.weighting, confidence=physics.sure, evidence=(physics.source,), fault=physics.because)


def _reformat(name: NamedKind) -> ImageKind:
    if name.reformat:
        return ImageKind("other", confidence=0.5, evidence=("name",), fault="its name says that it is a reformat")
    return ImageKind()


def _named_fault(named: Weighting, source: str) -> str | None:
    words = {"PD": "proton-density-weighted", "T2 FLAIR": "FLAIR", "diffusion": "diffusion-weighted",
             "myelogram": "a myelogram", "gradient echo": "a gradient echo"}  # fmt: skip
    if source != "name" or named not in words:
        return None
    return f"its name says that it is {words[named]}"


def _complete(tags: KindTags, measured: Weighting, name: NamedKind) -> Weighting | None:
    """The weighting that a name tells, where what was measured is compatible with it and does not tell it itself.

    An inversion whose time no tag has looks like a spin echo; so do a gradient echo without its code, and a diffusion or a
    myelogram, whose times are those of a T2.
    """
    named = name.weighting
    if named in ("diffusion", "myelogram") and measured in (
        "T2",
        "STIR",
        "PD",
        "gradient echo",
        "localizer",
        "T2 FLAIR",
    ):
        return named
    if named == "gradient echo" and (measured == "localizer" or (not tags.scanning and measured in ("T1", "PD"))):
        return named
    if measured == "STIR" and named == "T2" and name.spectral and name.fat_suppressed:
        return "T2"  # the inversion of a spectral preparation
    if tags.inversion is not None:
        return None
    repetition, echo = tags.repetition or 0.0, tags.echo or 0.0
    if named == "PD" and measured == "T1" and repetition >= _LONG_FOR_T1:
        return "PD"
    if named == "STIR" and measured in ("T2", "PD"):
        return "STIR"
    if named == "STIR" and measured == "T1" and (tags.field or 0.0) < 0.5 and repetition >= 1000:
        return "STIR"  # at a low field fat is soon there again
    if measured == "PD" and repetition <= _LONGEST_FLAIR and echo <= _T1_FLAIR_ECHO:
        return "T1 FLAIR" if name.bare_flair else named if named in ("T1", "T1 FLAIR") else None
    if (
        (named == "T2 FLAIR" or name.bare_flair)
        and measured == "T2"
        and (tags.repetition is None or repetition > _LONGEST_FLAIR)
    ):
        return "T2 FLAIR"
    return None


def _agree(measured: Weighting, named: Weighting) -> bool:
    alike: tuple[set[Weighting], ...] = ({"T1", "T1 FLAIR"}, {"T2", "STIR"})
    if measured == named or any({measured, named} <= pair for pair in alike):
        return True
    fast = measured in ("gradient echo", "localizer") and named in ("T1", "T2", "gradient echo", "PD")
    return fast or measured == "diffusion" or (measured == "myelogram" and named == "T2")


def _dispute(physics: PhysicalKind, named: Weighting, source: str) -> ImageKind:
    weighting = physics.weighting
    assert weighting is not None
    says = "its name says" if source == "name" else "the scanner calls it"
    words = f"{says} {named}, but {TIMES} are those of a {'proton-density image' if weighting == 'PD' else weighting}"
    return ImageKind(
        weighting,
        confidence=_DISPUTED * min(1.0, physics.sure / 0.9),
        evidence=(physics.source,),
        disagreement=words,
        fault=physics.because,
    )
