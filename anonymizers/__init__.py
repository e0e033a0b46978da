"""Map faces to faces: one file per method.

To add a method: a frozen dataclass in a file of its own, and a row in `ANONYMIZERS`.
"""

from __future__ import annotations

from anonymizers.band_blur import BandBlur
from anonymizers.base import Anonymizer, Choice, Context, Integer, Real
from anonymizers.blackout import Blackout
from anonymizers.blur import Blur
from anonymizers.ciagan import Ciagan
from anonymizers.cloak import Cloak
from anonymizers.deep_privacy2 import DeepPrivacy2
from anonymizers.faces import TEMPLATE_SIZE, UNLABELLED, Faces
from anonymizers.ganonymization import Ganonymization
from anonymizers.generator import Generator
from anonymizers.identity import Identity
from anonymizers.inswapper import Inswapper
from anonymizers.k_same import KSame
from anonymizers.pixelate import Pixelate

ANONYMIZERS: dict[str, type[Anonymizer]] = {
    "identity": Identity,
    "blackout": Blackout,
    "blur": Blur,
    "pixelate": Pixelate,
    "k_same": KSame,
    "band_blur": BandBlur,
    "cloak": Cloak,
    "generator": Generator,
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
    "Faces",
    "Ganonymization",
    "Generator",
    "Identity",
    "Inswapper",
    "Integer",
    "KSame",
    "Pixelate",
    "Real",
]
