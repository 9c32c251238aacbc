"""What kind of device made an image. Only MR is graded."""

import re
from collections import Counter
from collections.abc import Iterable

from pydicom import Dataset, uid

from lumbargrade.dicom.values import read_word

MR = "MR"
MR_CLASSES = frozenset({
    uid.MRImageStorage, uid.EnhancedMRImageStorage, uid.EnhancedMRColorImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
})  # fmt: skip
_OTHER_CLASSES: dict[str, str] = {
    uid.CTImageStorage: "CT", uid.EnhancedCTImageStorage: "CT", uid.LegacyConvertedEnhancedCTImageStorage: "CT",
    uid.ComputedRadiographyImageStorage: "CR", uid.DigitalXRayImageStorageForPresentation: "DX",
    uid.DigitalXRayImageStorageForProcessing: "DX", uid.UltrasoundImageStorage: "US",
    uid.UltrasoundMultiFrameImageStorage: "US", uid.XRayAngiographicImageStorage: "XA", uid.EnhancedXAImageStorage: "XA",
    uid.XRayRadiofluoroscopicImageStorage: "RF", uid.EnhancedXRFImageStorage: "RF", uid.NuclearMedicineImageStorage: "NM",
    uid.PositronEmissionTomographyImageStorage: "PT", uid.EnhancedPETImageStorage: "PT",
    uid.LegacyConvertedEnhancedPETImageStorage: "PT", uid.RTImageStorage: "RTIMAGE",
}  # fmt: skip


def read_modality(dataset: Dataset) -> str:
    """Returns Modality, or what the SOP class says in its place; empty if neither tells."""
    return read_word(dataset, "Modality").upper() or _OTHER_CLASSES.get(read_class(dataset), "")


def read_class(dataset: Dataset) -> str:
    """Returns the SOP class, of the object or of its file; empty if neither tells."""
    meta = getattr(dataset, "file_meta", None)
    return str(dataset.get("SOPClassUID") or (meta.get("MediaStorageSOPClassUID") if meta else "") or "").strip(" \0")


def is_mr(modality: str) -> bool:
    """Whether an image may be graded; RSNA's files name no modality."""
    return modality in (MR, "")


def name_modalities(modalities: Iterable[str]) -> str:
    """Counts images in words: ``3 CT images and 1 US image``; what is no DICOM term is not quoted."""
    counts = Counter(kind if re.fullmatch("[A-Z]{2,8}", kind) else "" for kind in modalities)
    words = [
        f"{count} {f'{kind} image' if kind else 'image'}{'s' if count > 1 else ''}{'' if kind else ' of another kind'}"
        for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
