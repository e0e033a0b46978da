"""Map faces to faces: one file per method.

To add a method: a frozen dataclass in a file of its own, and a row in `ANONYMIZERS`.
"""

from __future__ import annotations

from anonymizers.band_blur import BandBlur
from anonymizers.base import Anonymizer, Choice, Context, Integer, Real
from anonymizers.blackout import Blackout
from anonymizers.blur import Blur
from anonymizers.cloak import Cloak
from anonymizers.faces import TEMPLATE_SIZE, UNLABELLED, Faces
from anonymizers.identity import Identity
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
    "Cloak",
    "Context",
    "Faces",
    "Identity",
    "Integer",
    "KSame",
    "Pixelate",
    "Real",
]
