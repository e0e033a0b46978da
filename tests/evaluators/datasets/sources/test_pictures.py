"""Every odd kind of picture: what it becomes, or the sentence that says why it becomes nothing."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators.datasets.sources.pictures import LONGEST, UNREADABLE, Upright, read_picture, reason_of
from tests.places import ROOT


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of which every corner differs, so that no turn of it looks like another."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return (np.stack([x, y, 0.5 + 0.4 * np.sin(6 * x * y)], axis=2) * 255).astype(np.uint8)


def file_of(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def read(image: Image.Image, kind: str, **options: object) -> Upright:
    upright = read_picture(file_of(image, kind, **options))
    assert upright.pixels.dtype == np.uint8 and upright.pixels.ndim == 3 and upright.pixels.shape[2] == 3
    return upright


def test_rgb_is_read_bit_by_bit_from_a_path_too(tmp_path: Path) -> None:
    upright = read(Image.fromarray(smooth()), "png")
    assert upright.scale == 1.0 and np.array_equal(upright.pixels, smooth())
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, smooth())


# What the camera saw as upright, as it is stored under each orientation of the EXIF standard.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](smooth()))
    options: dict[str, object] = {"jpeg": {"quality": 100}, "webp": {"lossless": True}}.get(kind, {})
    upright = read(Image.fromarray(stored), kind, exif=exif, **options)
    assert upright.pixels.shape == smooth().shape
    assert np.abs(upright.pixels.astype(int) - smooth()).mean() < (2 if kind == "jpeg" else 1e-9)


def test_an_orientation_that_does_not_exist_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    assert np.array_equal(read(Image.fromarray(smooth()), "png", exif=exif).pixels, smooth())


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_cmyk(kind: str) -> None:
    upright = read(Image.fromarray(smooth()).convert("CMYK"), kind)
    assert np.abs(upright.pixels.astype(int) - smooth()).mean() < 6


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "ppm", "bmp"])
def test_gray_becomes_three_equal_channels(kind: str) -> None:
    gray = smooth()[..., 0]
    pixels = read(Image.fromarray(gray), kind).pixels
    assert (pixels == pixels[..., :1]).all()
    assert np.abs(pixels[..., 0].astype(int) - gray).max() <= (6 if kind == "jpeg" else 0)


@pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
def test_16_bit_gray_keeps_its_upper_bits(kind: str) -> None:
    deep = smooth()[..., 0].astype(np.uint16) * 257  # a clipped reading would be white nearly everywhere
    assert np.array_equal(read(Image.fromarray(deep), kind).pixels[..., 0], smooth()[..., 0])


def test_16_bit_color() -> None:
    import cv2

    whole, data = cv2.imencode(".png", smooth()[..., ::-1].astype(np.uint16) * 257)
    assert whole
    assert np.array_equal(read_picture(io.BytesIO(data.tobytes())).pixels, smooth())


def test_gray_levels_without_a_range_are_refused() -> None:
    levels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for image in (Image.fromarray(levels), Image.fromarray((levels * 1e6).astype(np.int32))):
        with pytest.raises(ValueError, match="no declared range"):
            read_picture(file_of(image, "tiff"))


def test_palette_and_one_bit() -> None:
    image = Image.fromarray(smooth()).quantize(64)
    assert np.array_equal(read(image, "png").pixels, np.asarray(image.convert("RGB")))
    one = Image.fromarray((smooth()[..., 0] > 99).astype(np.uint8) * 255).convert("1")
    assert set(np.unique(read(one, "png").pixels)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_what_is_transparent_lies_on_white(mode: str) -> None:
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    layer = Image.fromarray(np.dstack([np.zeros((48, 64, 3), np.uint8), alpha]))
    if mode == "P":
        image, options = Image.fromarray(alpha // 255).convert("P"), {"transparency": 0}
        image.putpalette([9, 9, 9, 0, 0, 0])
    elif mode == "RGB":
        image = Image.fromarray(np.repeat(np.where(alpha[..., None] > 0, 0, 7), 3, axis=2).astype(np.uint8))
        options = {"transparency": (7, 7, 7)}
    else:
        image, options = layer.convert(mode), {}
    pixels = read(image, "png", **options).pixels
    assert (pixels[:, :32] == 255).all() and (pixels[:, 32:] == 0).all()


def test_half_transparent_is_half_white() -> None:
    pixels = read(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "png").pixels
    assert np.abs(pixels.astype(int) - 127).max() <= 1


def test_the_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime")]
    pixels = read(frames[0], "gif", save_all=True, append_images=frames[1:]).pixels
    assert (pixels == [255, 0, 0]).all()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated_files_are_errors_with_a_reason(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = file_of(Image.fromarray(noise), kind).getvalue()
    with pytest.raises(UNREADABLE) as caught:
        read_picture(io.BytesIO(data[: int(len(data) * share)]))
    reason = reason_of(caught.value)
    assert reason and "0x" not in reason and "\n" not in reason


def test_reasons_say_what_is_wrong(tmp_path: Path) -> None:
    reasons = {}
    for name, data in (("text.jpg", b"no picture"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UNREADABLE) as caught:
            read_picture(tmp_path / name)
        reasons[name] = reason_of(caught.value)
    with pytest.raises(UNREADABLE) as caught:
        read_picture(tmp_path / "gone.png")
    assert reasons == dict.fromkeys(reasons, "no picture in a known format")
    assert reason_of(caught.value) == "there is no such file"
    assert reason_of(IsADirectoryError(21, "Is a directory")) == "Is a directory"
    assert reason_of(EOFError()) == "EOFError"


def test_one_pixel() -> None:
    assert read(Image.new("RGB", (1, 1), "red"), "png").pixels.tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("shape", [(300, 1000), (1000, 300), (257, 256)])
def test_a_large_picture_is_read_smaller_by_halves(kind: str, shape: tuple[int, int]) -> None:
    upright = read_picture(file_of(Image.fromarray(smooth(*shape)), kind), longest=256)
    height, width = upright.pixels.shape[:2]
    assert 128 <= max(height, width) <= 256
    assert upright.scale == pytest.approx(max(shape) / max(height, width))
    small = np.asarray(Image.fromarray(smooth(*shape)).resize((width, height), Image.Resampling.BOX), int)
    assert np.abs(upright.pixels - small).mean() < 3


def test_a_turned_large_picture_is_turned_after_it_is_reduced() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(smooth(500, 1000), 1))
    for kind in ("jpeg", "png", "tiff"):
        upright = read_picture(file_of(Image.fromarray(stored), kind, exif=exif), longest=256)
        assert upright.pixels.shape == (125, 250, 3) and upright.scale == 4.0
        assert (
            np.abs(upright.pixels[5:-5:30, 5:-5:30].astype(int) - smooth(500, 1000)[22:-20:120, 22:-20:120]).max() < 9
        )


def test_a_12000_by_9000_jpeg_takes_little_memory(tmp_path: Path) -> None:
    tile = Image.fromarray(smooth(90, 120)).resize((1200, 900))
    large = Image.new("RGB", (12000, 9000))
    for at in range(10):
        large.paste(tile, (1200 * at, 900 * at))
    large.save(tmp_path / "large.jpg")
    del large
    program = (
        "import resource, sys, warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path\n"
        "from evaluators.datasets.sources.pictures import read_picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "upright = read_picture(Path(sys.argv[1]))\n"
        "print(upright.pixels.shape, upright.scale, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "large.jpg")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    shape, scale, kilobytes = done.stdout.rpartition(") ")[0], *done.stdout.rpartition(") ")[2].split()
    assert (shape, float(scale)) == ("(2250, 3000, 3", 4.0)
    assert int(kilobytes) < 120_000  # the whole picture would take 324,000


def test_a_12000_by_9000_png_is_read_and_a_larger_one_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        upright = read_picture(file_of(Image.new("L", (12000, 9000), 77), "png", compress_level=1))
        assert upright.pixels.shape == (2250, 3000, 3) and (upright.pixels == 77).all() and upright.scale == 4.0
        assert max(upright.pixels.shape) <= LONGEST
        with pytest.raises(ValueError, match=r"13000x12000 px are more than 150,000,000"):
            read_picture(file_of(Image.new("1", (13000, 12000)), "png", compress_level=1))
    with pytest.raises(Image.DecompressionBombError):
        read_picture(file_of(Image.new("1", (16000, 12000)), "png", compress_level=1))
