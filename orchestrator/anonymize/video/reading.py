"""Reading: the frames of a video, upright, and what its file says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BROKEN = (av.error.FFmpegError, EOFError)
"""What FFmpeg says of files that are broken or no videos."""


@dataclass(frozen=True)
class Film:
    """Say what the picture of a video is.

    Attributes:
        codec: FFmpeg's name.
        rate: frames per second, on average.
        time_base: unit of its frames' times, seconds.
        frames: number, as the file says, or as its length lets expect; 0 where it says nothing.
        form: of its pixels, as FFmpeg names it.
        bit_rate: bits per second; 0 where unknown.
    """

    codec: str
    rate: Fraction
    time_base: Fraction
    frames: int
    form: str
    bit_rate: int


def film_of(path: Path) -> Film:
    """Look at a video.

    Raises:
        ValueError: if there is no picture in it.
        One of BROKEN: if it cannot be opened.
    """
    with av.open(str(path)) as container:
        stream = video_of(container)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        length = (
            float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
        )
        return Film(
            stream.codec_context.name,
            rate,
            stream.time_base or 1 / rate,
            stream.frames or round(length * rate),
            stream.codec_context.pix_fmt or "yuv420p",
            stream.codec_context.bit_rate or 0,
        )


def video_of(container: Any) -> Any:
    """Return the stream of moving pictures; covers and further ones are left out.

    Raises:
        ValueError: if there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise ValueError("there are no moving pictures in it")


def frames_of(path: Path) -> Iterator[Any]:
    """Yield every frame of a video, as FFmpeg decodes it.

    Raises:
        One of BROKEN: if a part of it cannot be decoded; nothing is left out silently.
    """
    with av.open(str(path)) as container:
        yield from container.decode(video_of(container))


def quarter_turns(frame: Any) -> int:
    """Return by how many quarter turns, counterclockwise, a frame is to be turned to be upright."""
    return round(int(frame.rotation) / 90) % 4


def upright(frame: Any) -> NDArray[np.uint8]:
    """Return a frame as (H, W, 3) uint8 RGB, upright, in memory of its own."""
    pixels = frame.reformat(format="rgb24", src_colorspace=_space(frame)).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns(frame)))


def small(frame: Any, side: int) -> tuple[NDArray[np.uint8], float]:
    """Return a frame fitted into a square of a side, upright RGB, and px of the frame per px."""
    longest = max(frame.width, frame.height)
    scale = max(1.0, longest / side)
    width, height = max(1, round(frame.width / scale)), max(1, round(frame.height / scale))
    pixels = frame.reformat(width, height, "rgb24", src_colorspace=_space(frame), interpolation="AREA").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns(frame))), scale


def back(pixels: NDArray[np.uint8], frame: Any, form: str) -> Any:
    """Make a frame of upright RGB with the times and colors of another."""
    made = av.VideoFrame.from_ndarray(pixels, "rgb24")
    made = made.reformat(format=form, dst_colorspace=_space(frame), dst_color_range=frame.color_range or None)
    made.pts, made.time_base = frame.pts, frame.time_base
    return made


def _space(frame: Any) -> int | None:
    """Return by which coefficients a frame's colors are RGB; None where it does not say (2)."""
    return None if frame.colorspace in (0, 2) else int(frame.colorspace)
