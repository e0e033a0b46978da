"""Videos made for tests, with a tone as their sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from orchestrator.anonymize.video.remaking import unraised

RATE = 25


def make_video(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    sound: str | None = "aac",
    times: Sequence[int] | None = None,
    rotation: int = 0,
    form: str = "yuv420p",
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write (H, W, 3) uint8 RGB frames as a video.

    Args:
        path: its suffix names the container.
        frames: pictures of one size.
        codec: encoder.
        sound: encoder of a tone as long as the video; None for silence.
        times: ms at which each frame is shown; None for RATE frames a second.
        rotation: degrees, counterclockwise, by which a player is told to turn it.
        form: format of the pixels.
        metadata: of the file.
    """
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = form
        stream.bit_rate = 4_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if codec == "libsvtav1":
            with unraised():
                stream.codec_context.open(strict=False)
        tone: Any = container.add_stream(sound, rate=48000) if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            seconds = len(frames) / RATE if times is None else times[-1] / 1000
            size = tone.codec_context.frame_size or 1024
            for number in range(int(seconds * 48000) // size):
                at = (np.arange(size) + number * size) / 48000
                wave = (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
                samples = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
                samples.sample_rate, samples.pts = 48000, number * size
                samples.time_base = Fraction(1, 48000)
                container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def frames_in(path: Path) -> list[NDArray[np.uint8]]:
    """Decode every frame as RGB, as it is stored."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def times_in(path: Path) -> list[float]:
    """Return when each frame is shown, seconds after the first."""
    with av.open(str(path)) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    return [time - times[0] for time in times]


def sound_in(path: Path) -> list[tuple[int, bytes]]:
    """Return the packets of the sound: time and content."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.dts is not None]
        return [(round(float(packet.pts * packet.time_base) * 1000), bytes(packet)) for packet in packets]


def about(path: Path, say: Callable[[Any], Any]) -> Any:
    """Ask an opened container something."""
    with av.open(str(path)) as container:
        return say(container)
