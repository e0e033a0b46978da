"""Pictures whose pixels are whole are read, whatever is wrong with their notes; those that lack pixels are not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators.datasets.sources.pictures import UNREADABLE, read_picture

SMALL = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
PICTURE = Image.fromarray(SMALL).resize((96, 64), Image.Resampling.BICUBIC)
TIFF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
"""A note of orientation 6."""


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, kind, **options)
    return file.getvalue()


def jpeg(payload: bytes, marker: int = 0xE1, **options: object) -> bytes:
    whole = saved("JPEG", quality=95, **options)
    return whole[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload + whole[2:]


def png(kind: bytes, content: bytes, *, broken: bool = False) -> bytes:
    whole = saved("PNG")
    check = struct.pack(">I", zlib.crc32(kind + content) ^ broken)
    return whole[:33] + struct.pack(">I", len(content)) + kind + content + check + whole[33:]


def raw_profile(hexadecimal: bytes) -> bytes:
    return b"Raw profile type exif\0\nexif\n      12\n" + hexadecimal + b"\n"


DAMAGED = {
    "jpeg, no exif in it": jpeg(b"Exif\0\0"),
    "jpeg, garbage": jpeg(b"Exif\0\0" + b"garbage!" * 8),
    "jpeg, exif cut": jpeg(b"Exif\0\0" + TIFF[:14]),
    "jpeg, exif elsewhere": jpeg(b"Exif\0\0II*\0\xff\xff\0\0"),
    "jpeg, xmp": jpeg(b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta <broken"),
    "jpeg, pictures of a phone": jpeg(b"MPF\0" + b"garbage!" * 4, 0xE2),
    "jpeg, photoshop": jpeg(b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff", 0xED),
    "jpeg, profile": jpeg(b"ICC_PROFILE\0\x05\x09garbage", 0xE2),
    "png, garbage": png(b"eXIf", b"\x00\x08\x00\x02\x01\x12\x00\x03"),
    "png, no exif in it": png(b"eXIf", b""),
    "png, raw profile that is no number": png(b"tEXt", raw_profile(b"zz" * 12)),
    "png, raw profile of garbage": png(b"tEXt", raw_profile(b"ab" * 12)),
    "png, a text with another checksum": png(b"tEXt", b"Comment\0by hand", broken=True),
    "png, a text that does not unpack": png(b"zTXt", b"Comment\0\0no zlib at all"),
    "png, a text of 100 MB": png(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100 << 20))),
    "png, profile": png(b"iCCP", b"name\0\0no zlib at all"),
    "png, time": png(b"tIME", b"\0"),
    "webp, garbage": saved("WEBP", exif=b"Exif\0\0garbage!"),
    "webp, xmp": saved("WEBP", xmp=b"<broken"),
    "tiff, xmp": saved("TIFF", tiffinfo={700: b"<broken"}),
}
LOSSY = {"jpeg": saved("JPEG", quality=95), "webp": saved("WEBP")}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_note_costs_no_picture(name: str) -> None:
    clean = LOSSY.get(name.partition(",")[0])
    expected = np.asarray(Image.open(io.BytesIO(clean)).convert("RGB")) if clean else np.asarray(PICTURE)
    assert np.array_equal(read_picture(io.BytesIO(DAMAGED[name])).pixels, expected)


def test_a_whole_note_is_followed_beside_a_damaged_one() -> None:
    turned = np.rot90(np.asarray(PICTURE), -1)
    noted = png(b"eXIf", TIFF)
    broken = png(b"tEXt", b"Comment\0by hand", broken=True)
    both = broken[:33] + noted[33 : 33 + 12 + len(TIFF)] + broken[33:]
    assert np.array_equal(read_picture(io.BytesIO(both)).pixels, turned)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}])
def test_a_jpeg_without_its_end_is_read_and_one_without_pixels_is_not(
    options: dict[str, object], tmp_path: Path
) -> None:
    whole = saved("JPEG", quality=95, **options)
    expected = np.asarray(Image.open(io.BytesIO(whole)))
    assert whole.endswith(b"\xff\xd9")
    for lacking in (1, 2):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[:-lacking])
        assert np.array_equal(read_picture(path).pixels, expected)
    for lacking in (12, 200, len(whole) // 2):
        with pytest.raises(UNREADABLE):
            read_picture(io.BytesIO(whole[:-lacking]))


def test_a_png_without_its_end_is_read_and_one_without_pixels_is_not() -> None:
    whole = saved("PNG")
    assert np.array_equal(read_picture(io.BytesIO(whole[:-12])).pixels, np.asarray(PICTURE))
    with pytest.raises(UNREADABLE):
        read_picture(io.BytesIO(whole[: len(whole) // 2]))
