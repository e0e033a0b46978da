"""Pictures: one file is read at its full size, its faces are covered, and it is written in its own format."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from evaluators.datasets.sources.pictures import ORIENTATION, UNREADABLE, read_picture, reason_of
from orchestrator.anonymize.faces.covering import Covered, cover
from orchestrator.anonymize.faces.finding import find_all
from orchestrator.anonymize.faces.treatment import Ready
from orchestrator.anonymize.files import Work
from orchestrator.records.files import replace_file

WHOLE = 1 << 20
"""Side in px below which a picture is read at its full size: all of them."""
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF", "TIFF")
"""Formats of several frames or pages that all are shown; a phone's MPO is a JPEG with more behind it."""
GRAY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I", "F")
WRITTEN: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
}
"""Format -> how it is written, where not as Pillow does."""
WITHOUT_COPY = ("MakerNote", "JPEGInterchangeFormat", "JPEGInterchangeFormatLength", "Orientation", "XMLPacket")
"""EXIF tags that never stay: they may hold a small picture of the clear face, or are no longer true."""


@dataclass(frozen=True)
class Outcome:
    """Say what became of a file.

    Attributes:
        status: of STATUSES.
        why: it is unreadable or failed; "" else.
        width, height, frames: px and number; 0 where it could not be read.
        faces: (frame, track, what was done), frame and track None in a picture of one frame.
    """

    status: str
    why: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    faces: list[tuple[int | None, int | None, Covered]] = field(default_factory=list)


DONE, CLEAR, COPIED, UNREAD, FAILED = "anonymized", "without face", "copied without face", "unreadable", "failed"


@dataclass(frozen=True)
class Keeping:
    """Say what is kept of a picture: metadata, and those without a face; and the quality of JPEG files."""

    metadata: bool = False
    without_face: bool = False
    quality: int | None = None


@dataclass(frozen=True)
class Opened:
    """Hold a picture file: its frames as upright RGB, and how it is to be written."""

    frames: list[NDArray[np.uint8]]
    format: str
    gray: bool
    written: dict[str, Any]


def treat(work: Work, ready: Ready, keeping: Keeping) -> Outcome:
    """Anonymize a picture file.

    Args:
        work: source, which is not touched, and target, which is whole or not there.
        ready: the method.
        keeping: what is kept.

    Raises:
        OSError: if the result cannot be written.
    """
    try:
        opened = read(work.source, keeping)
    except UNREADABLE as error:
        return Outcome(UNREAD, reason_of(error))
    height, width = opened.frames[0].shape[:2]
    several = len(opened.frames) > 1
    faces: list[tuple[int | None, int | None, Covered]] = []
    for number, frame in enumerate(opened.frames):
        found = find_all(frame, ready.finder, look=ready.treatment.look_at_picture)
        covered = cover(frame, found, ready, [f"{work.name}/{number}/{n}" for n in range(len(found))])
        faces += [(number if several else None, None, one) for one in covered]
    status = DONE if faces else COPIED if keeping.without_face else CLEAR
    if status != CLEAR:
        try:
            data = encoded(opened)
        except (OSError, ValueError, KeyError) as error:  # a format that Pillow does not write, or not so large
            return Outcome(FAILED, f"{opened.format} cannot be written: {reason_of(error)}", width, height)
        replace_file(work.target, lambda new: new.write_bytes(data), temporary=work.temporary())
    return Outcome(status, "", width, height, len(opened.frames), faces)


def read(source: Path, keeping: Keeping) -> Opened:
    """Read a picture file at its full size, turned upright.

    Raises:
        One of UNREADABLE: if it cannot be read.
    """
    upright = np.array(read_picture(source, WHOLE).pixels)
    try:
        with Image.open(source) as image:
            form = "JPEG" if image.format == "MPO" else str(image.format)
            written, gray = dict(WRITTEN.get(form, {})), image.mode in GRAY
            if keeping.quality is not None and form == "JPEG":
                written["quality"] = keeping.quality
            if image.mode in ("RGB", "RGBA", "RGBX") and image.info.get("icc_profile"):
                written["icc_profile"] = image.info["icc_profile"]  # without it, the colors would be others
            if keeping.metadata:
                written |= _metadata(image)
            frames = [upright]
            if form in ANIMATED and getattr(image, "n_frames", 1) > 1:
                frames, times = _all_frames(image)
                written |= {
                    "save_all": True,
                    **({"duration": times, "loop": image.info.get("loop", 0)} if times else {}),
                }
    except UNREADABLE:  # its pixels were mended; its notes and what they say are lost
        form = "PNG" if source.suffix.lower() == ".png" else "JPEG"
        frames, gray, written = [upright], False, dict(WRITTEN.get(form, {}))
    return Opened(frames, form, gray, written)


def _all_frames(image: Image.Image) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Return every frame as RGB, laid on white where it is transparent, and how many ms each is shown, if it says."""
    frames, times = [], []
    for number in range(int(getattr(image, "n_frames", 1))):
        image.seek(number)
        layer = image.convert("RGBA")
        paper = Image.new("RGB", layer.size, "white")
        paper.paste(layer, mask=layer.getchannel("A"))
        frames.append(np.array(paper))
        if "duration" in image.info:
            times.append(int(image.info["duration"]))
    return frames, times if len(times) == len(frames) else []


def _metadata(image: Image.Image) -> dict[str, Any]:
    """Return what is kept of a picture's notes: EXIF without small pictures, makers' notes and orientation; dpi."""
    dropped = {tag.value for tag in ExifTags.Base if tag.name in WITHOUT_COPY} | {ORIENTATION}
    before, after = image.getexif(), Image.Exif()
    for tag, value in before.items():
        if tag not in dropped and tag not in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop):
            after[tag] = value
    for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        kept = {tag: value for tag, value in before.get_ifd(part).items() if tag not in dropped}
        if kept:
            after.get_ifd(part).update(kept)
    notes: dict[str, Any] = {"exif": after.tobytes()} if len(after) or after.get_ifd(ExifTags.IFD.Exif) else {}
    return notes | ({"dpi": image.info["dpi"]} if "dpi" in image.info else {})


def encoded(opened: Opened) -> bytes:
    """Return the frames as a file of their format."""
    first, *more = (Image.fromarray(frame) for frame in opened.frames)
    if opened.gray:
        first, *more = (frame.convert("L") for frame in (first, *more))
    appended = {"append_images": more} if more else {}
    file = io.BytesIO()
    first.save(file, opened.format, **opened.written, **appended)
    return file.getvalue()
