"""Words that may stay in a de-identified header: terms of the modality, and makers of scanners. All others are dropped.

A list of what may stay holds whatever people have typed; a list of what may not stay never does.
"""

import re
from collections.abc import Collection

_DESCRIPTION = """
2d 3d adc adv ax axial axi b0 bfe blade bone bws c cerv cervical ciss contrast cor coronal cspine ctl cube diff diffusion
dixon dwi dyn echo ep epi fast fat ffe fiesta flair flash frfse fs fse ge gre haste hires hws hypercube ideal in inv ir irm
isotropic iso l lava lc ligament localiser localizer loc lower lspine ls lsp lumb lumbal lumbar lumbosacral lws m medic mobiview
mpr mri mr multivane myelo myelogram neck obl oblique oop opp out pd pdw phase post postcontrast pre precontrast propeller
psif ps sacral sacrum sag sagittal saturation scout se sense short sp space spair spine spinal spgr spir stack sti stir stitched
supine survey t t1 t1w t2 t2w t2star tfe thoracic tirm tra transversal transverse truefisp trufi tse tspine turbo upper vibe
vista w water whole with without
"""
_MAKER = """
agfa bruker canon electric esaote fonar fuji fujifilm ge general healthcare healthineers hitachi imaging medical mindray mr
neusoft paramed philips samsung se siemens systems toshiba uih united
"""
_CODE = """
2d 3d 00 01 abdomen accelerated ax axial ckfl cspine derived diffusion ep f fast fat ffdl ffdr ffp ffs fm gr he hfdl hfdr hfp
hfs i imaginary in_phase ir lspine lsspine lumbar m magn magnitude mixed mono monochrome1 monochrome2 mp mr mtc nd no none norm
normalized o original osp other out_phase p phase phase_map primary r real rm se secondary sh single sk sp spine ss ssspine
trf tspine us volume w water yes
"""
DESCRIPTION_WORDS = frozenset(_DESCRIPTION.lower().split())
MAKER_WORDS = frozenset(_MAKER.lower().split())
CODE_WORDS = frozenset(_CODE.lower().split())


def known_words(text: str, vocabulary: Collection[str], refused: Collection[str]) -> str:
    """Keeps the words of a text that are in a vocabulary.

    Args:
        vocabulary: In lower case.
        refused: Words that are dropped even so, in lower case: a patient may be called like a term.
    """
    words = re.split(r"[^A-Za-z0-9]+", text)
    return " ".join(word for word in words if word.lower() in vocabulary and word.lower() not in refused)
