"""Remaking: a video is written anew with its faces covered, in its codec, with its times and its sound."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from orchestrator.anonymize.video.reading import Film, video_of

ENCODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "libdav1d": "libsvtav1",
    "prores": "prores_ks",
    "flv1": "flv",
}
"""Codec -> its encoder, where the two have different names."""
QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libx265": {"crf": "20", "preset": "veryfast", "x265-params": "log-level=error"},
    "libvpx": {"crf": "8", "deadline": "realtime", "cpu-used": "4"},
    "libvpx-vp9": {"crf": "24", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libsvtav1": {"crf": "28", "preset": "9"},
}
"""Encoder -> its options: hardly a difference to the eye. What is not here gets the bits that the original had."""
BITS_PER_PIXEL = 0.25
"""Where the original's are not known."""
COARSE = ("mpeg4", "mpeg2video", "mpeg1video", "h263", "wmv1", "wmv2", "flv", "msmpeg4", "msmpeg4v2")
"""Encoders that count time in whole frames."""
TASKS = Path("/proc/self/task")
"""Threads of this process, on Linux."""


def encoder_of(film: Film, form: str) -> str:
    """Return the encoder for a video in a container: its own codec's, else the container's.

    Raises:
        ValueError: if there is none.
    """
    container = av.format.ContainerFormat(form, "w")
    named = ENCODERS.get(film.codec, film.codec)
    for name in (named, "libx264", container.name and _default(form)):
        if name and _encodes(name) and (name == named or name == _default(form) or form in ("mp4", "matroska", "mov")):
            return str(name)
    raise ValueError(f"there is no encoder for {film.codec} in {form}")


def remake(
    source: Path,
    target: Path,
    film: Film,
    size: tuple[int, int],
    cover: Callable[[int, Any, str], Any],
    *,
    threads: int,
    keep_metadata: bool,
    done: Callable[[int], None],
) -> int:
    """Write a video anew.

    Args:
        source: of the original.
        target: of the new one; the container is that of its suffix.
        film: of the original.
        size: width and height of the upright frames, px.
        cover: makes of (number, frame, format of pixels) the frame that is released; called in several threads.
        threads: in which frames are covered.
        keep_metadata: whether title, place, ... stay.
        done: called after each frame with 1.

    Returns:
        the number of frames.

    Raises:
        ValueError: if there is no encoder for it.
        One of BROKEN: if it cannot be decoded or encoded.
    """
    with av.open(str(source)) as read, av.open(str(target), "w", options=_options(target)) as write:
        moving = video_of(read)
        made = _stream(write, moving, film, size)
        sound = {s.index: write.add_stream_from_template(s) for s in read.streams if s.type in ("audio", "subtitle")}
        if keep_metadata:
            write.metadata.update(read.metadata)
        kept = [s for s in read.streams if s.index in sound]
        form = str(made.codec_context.pix_fmt)
        count = 0
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[Any]] = deque()

            def flush(most: int) -> None:
                while len(waiting) > most:
                    frame = waiting.popleft().result()
                    write.mux(made.encode(frame))
                    done(1)

            clock = _Clock(film, made.codec_context.time_base)
            for packet in read.demux(moving, *kept):
                if packet.stream_index == moving.index:
                    for frame in packet.decode():
                        clock.set(frame)
                        waiting.append(pool.submit(_timed, cover, count, frame, form))
                        count += 1
                        flush(2 * threads)
                elif packet.dts is not None:
                    packet.stream = sound[packet.stream_index]
                    write.mux(packet)
            flush(0)
        write.mux(made.encode(None))
    return count


def _timed(cover: Callable[[int, Any, str], Any], number: int, frame: Any, form: str) -> Any:
    made = cover(number, frame, form)
    made.pts, made.time_base = frame.pts, frame.time_base
    made.pict_type = 0  # the encoder decides anew which frames stand alone
    return made


class _Clock:
    """Give every frame a time: its own, in the encoder's unit, and later than the one before."""

    def __init__(self, film: Film, unit: Fraction) -> None:
        self.film, self.unit = film, unit
        self.last: int | None = None

    def set(self, frame: Any) -> None:
        """Set the time of the next frame."""
        if frame.pts is None:
            now = 0 if self.last is None else self.last + max(1, round(1 / (self.film.rate * self.unit)))
        else:
            now = round(frame.pts * (frame.time_base or self.film.time_base) / self.unit)
        if self.last is not None and now <= self.last:
            now = self.last + 1
        self.last = now
        frame.pts, frame.time_base = now, self.unit


def _stream(write: Any, moving: Any, film: Film, size: tuple[int, int]) -> Any:
    """Add the stream of pictures, upright, to the new container."""
    form = write.format.name.split(",")[0]
    name = encoder_of(film, form)
    made = write.add_stream(name, rate=film.rate, options=dict(QUALITY.get(name, {})))
    context, before = made.codec_context, moving.codec_context
    context.width, context.height = size
    if ratio := before.sample_aspect_ratio:
        context.sample_aspect_ratio = ratio if size == (before.width, before.height) else 1 / ratio
    context.time_base = 1 / film.rate if name in COARSE else film.time_base
    formats = [one.name for one in (context.codec.video_formats or ())]
    context.pix_fmt = film.form if not formats or film.form in formats else _nearest(film.form, formats)
    if name not in QUALITY:
        pixels = before.width * before.height * float(film.rate)
        context.bit_rate = film.bit_rate or round(BITS_PER_PIXEL * pixels)
    for fact in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(context, fact, getattr(before, fact))
    if name == "libsvtav1":
        with unraised():
            context.open(strict=False)
    return made


@contextlib.contextmanager
def unraised() -> Iterator[None]:
    """Let the process end with the scheduling that it began with.

    SVT-AV1, opened by root, gives every thread of the process the highest realtime priority, so that whatever else runs
    on the machine starves.
    """
    if not (hasattr(os, "sched_getscheduler") and TASKS.is_dir()):
        yield
        return
    policy, how = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in TASKS.iterdir():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setscheduler(int(thread.name), policy, how)


def _nearest(form: str, formats: Sequence[str]) -> str:
    wanted = "yuv444p" if "444" in form or form.startswith(("rgb", "bgr", "gbr", "pal")) else "yuv420p"
    return next((one for one in (wanted, "yuv420p", "yuvj420p", "yuv422p") if one in formats), formats[0])


def _encodes(name: str) -> bool:
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _default(form: str) -> str | None:
    known = {"mp4": "libx264", "mov": "libx264", "matroska": "libx264", "webm": "libvpx-vp9", "ogg": None}
    return known.get(
        form, "mpeg4" if form in ("avi", "3gp", "3g2") else "mpeg2video" if form.startswith("mpeg") else None
    )


def _options(target: Path) -> dict[str, str]:
    """Let a player begin before an MP4 is whole."""
    return {"movflags": "+faststart"} if target.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
