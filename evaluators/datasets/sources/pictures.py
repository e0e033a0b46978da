"""Pictures: whatever a file holds, as upright RGB of 8 bits, or the reason why not."""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from evaluators.datasets.sources.mending import mended

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".dib",
        ".webp",
        ".gif",
        ".tif",
        ".tiff",
        ".pgm",
        ".ppm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".avif",
        ".heic",
        ".heif",
    ]
)
"""What the names of pictures end with. One that Pillow cannot decode (HEIC) is unreadable, not overlooked."""
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow's decoders raise on files that are broken or no pictures."""

LONGEST = 4096
"""Side in px beyond which a picture is read at a half, a quarter, ... of its size. The detector looks at 320 px: the
smallest face that it finds still has a hundred px across."""
MOST_PIXELS = 150_000_000
"""Beyond which a picture is refused: only JPEG can be scaled down while it is decoded, anything else is held whole."""
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes the orientation that a camera noted in the EXIF tag."""
GRAY_16 = 257
"""Gray levels of 16 bits per level of 8: 65535 / 255."""


@dataclass(frozen=True, eq=False)
class Upright:
    """Hold a picture as it is to be looked at.

    Attributes:
        pixels: (H, W, 3) uint8 RGB in [0, 255], turned as the camera noted.
        scale: px of the upright picture in the file per px here, at least 1.
    """

    pixels: NDArray[np.uint8]
    scale: float = 1.0


def read_picture(file: Path | BinaryIO, longest: int = LONGEST) -> Upright:
    """Decode a picture, turn it upright, and bring it to RGB of 8 bits.

    The first frame of an animation is read. Gray of 16 bits keeps its upper 8; what is transparent is laid on white; a
    CMYK picture is converted without its color profile.

    A damaged note (EXIF, XMP, a text) costs the note, not the picture, and so does a missing end behind whole pixels.

    Args:
        file: path or open file.
        longest: side in px from which the picture is read smaller, by halves.

    Raises:
        One of `UNREADABLE`: if the file is missing, broken, no picture, too large, or its gray levels have no range.
    """
    try:
        return _decode(file, longest)
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # it could not be read at all
        for again in mended(_bytes_of(file)):
            try:
                return _decode(io.BytesIO(again), longest)
            except UNREADABLE:
                continue
        raise


def _bytes_of(file: Path | BinaryIO) -> bytes:
    if isinstance(file, Path):
        return file.read_bytes()
    file.seek(0)
    return file.read()


def _decode(file: Path | BinaryIO, longest: int) -> Upright:
    """Decode a picture as Pillow does, see `read_picture`."""
    with Image.open(file) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width}x{height} px are more than {MOST_PIXELS:,}")
        halves = max(0, math.ceil(math.log2(max(width, height) / longest)))
        # JPEG is decoded at a half, a quarter or an eighth at once; other formats take no notice.
        image.draft(None, (width >> halves, height >> halves))
        picture = _to_rgb(image)
        left = halves - round(math.log2(max(width, height) / max(picture.size)))
        if left > 0:
            picture = picture.reduce(2**left)
        # Asked only now: some formats turn the picture themselves while they load it, and take the note away.
        turn = TURNS.get(_orientation(image))
        if turn is not None:
            picture = picture.transpose(turn)
        return Upright(np.asarray(picture), max(width, height) / max(picture.size))


def reason_of(error: BaseException) -> str:
    """Say in one line why a picture could not be read, the same on every machine and in every run."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture in a known format"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _orientation(image: Image.Image) -> int:
    """Return what the camera noted, 1 for upright."""
    if image.format == "JPEG" and not {"exif", "xmp"} & image.info.keys():
        return 1  # to ask would cost half as much as to decode
    try:
        noted: int = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whatever Pillow raises on notes that are none; the pixels are decoded already
        return 1
    return noted


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return RGB of 8 bits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 255 * GRAY_16:
            raise ValueError(f"gray levels of 32 bits, {levels.min()} to {levels.max()}, have no declared range")
        return Image.fromarray((levels // GRAY_16).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point gray levels have no declared range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGB", layer.size, "white")
        paper.paste(layer, mask=layer.getchannel("A"))
        return paper
    return image.convert("RGB")
