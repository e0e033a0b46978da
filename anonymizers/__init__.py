"""Map faces to faces: one file per method.

To add a method: a frozen dataclass in a file of its own, and a row in `ANONYMIZERS`.
"""

from __future__ import annotations

from anonymizers.base import Anonymizer, Context
from anonymizers.classical.averaging.donors import Donors
from anonymizers.classical.averaging.k_same import KSame
from anonymizers.classical.band_blur import BandBlur
from anonymizers.classical.blur import Blur
from anonymizers.classical.cloak import Cloak
from anonymizers.classical.covering.blackout import Blackout
from anonymizers.classical.covering.eye_bar import EyeBar
from anonymizers.classical.covering.mask import Mask
from anonymizers.classical.covering.word import Word
from anonymizers.classical.identity import Identity
from anonymizers.classical.noise import Noise
from anonymizers.classical.pixelate import Pixelate
from anonymizers.faces import TEMPLATE_SIZE, UNLABELLED, Faces
from anonymizers.generative.ciagan import Ciagan
from anonymizers.generative.deep_privacy2 import DeepPrivacy2
from anonymizers.generative.ganonymization import Ganonymization
from anonymizers.generative.generator import Generator
from anonymizers.generative.inswapper import Inswapper
from anonymizers.generative.refined import Refined
from anonymizers.ranges import Choice, Integer, Real

ANONYMIZERS: dict[str, type[Anonymizer]] = {
    "identity": Identity,
    "blackout": Blackout,
    "blur": Blur,
    "pixelate": Pixelate,
    "k_same": KSame,
    "donors": Donors,
    "noise": Noise,
    "mask": Mask,
    "eye_bar": EyeBar,
    "word": Word,
    "band_blur": BandBlur,
    "cloak": Cloak,
    "generator": Generator,
    "refined": Refined,
    "ganonymization": Ganonymization,
    "ciagan": Ciagan,
    "deep_privacy2": DeepPrivacy2,
    "inswapper": Inswapper,
}

__all__ = [
    "ANONYMIZERS",
    "TEMPLATE_SIZE",
    "UNLABELLED",
    "Anonymizer",
    "BandBlur",
    "Blackout",
    "Blur",
    "Choice",
    "Ciagan",
    "Cloak",
    "Context",
    "DeepPrivacy2",
    "Donors",
    "EyeBar",
    "Faces",
    "Ganonymization",
    "Generator",
    "Identity",
    "Inswapper",
    "Integer",
    "KSame",
    "Mask",
    "Noise",
    "Pixelate",
    "Real",
    "Refined",
    "Word",
]
