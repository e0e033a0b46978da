"""Video files: frames, times and sound stay, faces do not, whatever the codec."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers import drawn_faces
from tests.helpers.drawn_faces import called, is_face, picture
from tests.helpers.made_videos import about, frames_in, make_video, sound_in, times_in

pytestmark = pytest.mark.usefixtures("drawn_finder")
BLACK = ("--method", "blackout", "--models", ".", "--processes", "2")
SHOWN = 30


def shots(width: int = 320, height: int = 240, frames: int = SHOWN) -> list[np.ndarray]:
    """A face walks to the right before a scene that stands still; another enters in the middle."""
    out = []
    for t in range(frames):
        faces = [(70 + 3 * t, 100, 60)] + ([(240, 190, 44)] if t >= frames // 2 else [])
        out.append(picture(width, height, faces, seed=5))
    return out


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_an_encoder_raises_no_thread_above_the_others_of_the_machine(tmp_path: Path) -> None:
    """SVT-AV1 does, where root opens it."""
    source = make_video(tmp_path / "a.mp4", shots()[:4], codec="libsvtav1")
    assert called(source, tmp_path / "out", *BLACK).exit_code == 0
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mov", "libx264", None),
        pytest.param("a.mkv", "libx265", "flac", marks=pytest.mark.slow),
        pytest.param("a.webm", "libvpx-vp9", "libopus", marks=pytest.mark.slow),
        pytest.param("a.mkv", "libvpx", "libopus", marks=pytest.mark.slow),
        ("a.mp4", "mpeg4", "aac"),
        ("a.avi", "mjpeg", "pcm_s16le"),
        pytest.param("a.mpg", "mpeg2video", "mp2", marks=pytest.mark.slow),
        pytest.param("a.ts", "libx264", "aac", marks=pytest.mark.slow),
        pytest.param("a.mkv", "ffv1", "flac", marks=pytest.mark.slow),
        pytest.param("a.mp4", "libsvtav1", "aac", marks=pytest.mark.slow),
        pytest.param("a.wmv", "wmv2", None, marks=pytest.mark.slow),
        pytest.param("a.flv", "flv", "libmp3lame", marks=pytest.mark.slow),
    ],
)
def test_frames_times_and_sound_stay_and_faces_do_not(tmp_path: Path, name: str, codec: str, sound: str | None) -> None:
    form = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    source = make_video(tmp_path / name, shots(), codec=codec, sound=sound, form=form)
    before = source.read_bytes()
    said = called(source, tmp_path / "out", *BLACK)
    assert said.exit_code == 0, said.output
    target = tmp_path / "out" / name
    assert source.read_bytes() == before
    released, clear = frames_in(target), frames_in(source)
    assert len(released) == len(clear)
    assert not any(is_face(frame).any() for frame in released) and any(is_face(frame).any() for frame in clear)
    elsewhere = np.abs(released[3][:24].astype(int) - clear[3][:24])
    assert elsewhere.mean() < 6
    assert np.abs(np.array(times_in(target)) - times_in(source)).max() < 0.002
    assert about(target, lambda c: c.streams.video[0].codec_context.name) == about(
        source, lambda c: c.streams.video[0].codec_context.name
    )
    lengths = [about(path, lambda c: c.duration / 1e6) for path in (source, target)]
    assert abs(lengths[0] - lengths[1]) < 0.05
    if sound:
        assert [data for _, data in sound_in(target)] == [data for _, data in sound_in(source)]
        shift = [a - b for (a, _), (b, _) in zip(sound_in(target), sound_in(source), strict=True)]
        assert max(shift) - min(shift) <= 2
    rows = pq.read_table(tmp_path / "out" / f"{name}.manifest.parquet").to_pylist()
    assert {row["track"] for row in rows} == {0, 1} and {row["frame"] for row in rows} == set(range(len(clear)))
    assert {row["done"] for row in rows} == {"anonymized"} and {row["kind"] for row in rows} == {"video"}
    assert any(row["reason"] == "before it was found" for row in rows if row["track"] == 1)


def test_times_that_are_not_even_stay(tmp_path: Path) -> None:
    times = np.cumsum([0, *(20 + 37 * (t % 5) for t in range(SHOWN - 1))]).tolist()
    source = make_video(tmp_path / "a.mkv", shots(), times=times)
    assert called(source, tmp_path / "b.mkv", *BLACK).exit_code == 0
    assert np.abs(np.array(times_in(tmp_path / "b.mkv")) * 1000 - times).max() <= 1


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_what_a_phone_noted_as_turned_is_released_upright(tmp_path: Path, rotation: int) -> None:
    upright = shots()
    stored = [np.rot90(frame, -rotation // 90) for frame in upright]
    source = make_video(tmp_path / "a.mp4", stored, rotation=rotation)
    assert called(source, tmp_path / "b.mp4", *BLACK).exit_code == 0
    released = frames_in(tmp_path / "b.mp4")
    assert released[0].shape == (240, 320, 3) and len(released) == SHOWN
    assert not any(is_face(frame).any() for frame in released)
    assert np.abs(released[3][:24].astype(int) - upright[3][:24]).mean() < 8


def test_a_face_that_the_detector_misses_for_some_frames_is_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, calls = drawn_faces.DrawnFinder.detect, [0]

    def forgetful(self: drawn_faces.DrawnFinder, picture: np.ndarray, side: int = 320) -> list[object]:
        calls[0] += 1
        return [] if calls[0] % 6 in (3, 4, 5) else find(self, picture, side)  # type: ignore[return-value]

    monkeypatch.setattr(drawn_faces.DrawnFinder, "detect", forgetful)
    source = make_video(tmp_path / "a.mp4", shots())
    assert called(source, tmp_path / "b.mp4", *BLACK[:-1], "1").exit_code == 0
    assert not any(is_face(frame).any() for frame in frames_in(tmp_path / "b.mp4"))
    rows = pq.read_table(tmp_path / "b.mp4.manifest.parquet").to_pylist()
    assert sum(row["reason"] == "missed between frames" for row in rows) >= SHOWN / 3


def test_one_person_keeps_one_key_unless_unlinkable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []
    from orchestrator.anonymize.video import film

    cover = film.cover

    def listened(pixels: object, found: object, ready: object, names: list[str]) -> object:
        keys.extend(names)
        return cover(pixels, found, ready, names)  # type: ignore[arg-type]

    monkeypatch.setattr(film, "cover", listened)
    source = make_video(tmp_path / "a.mp4", shots())
    for flags, different in (((), 2), (("--unlinkable",), SHOWN * 2 - 3)):
        keys.clear()
        assert called(source, tmp_path / "b.mp4", *BLACK, "--overwrite", *flags).exit_code == 0
        assert len(set(keys)) >= different and (flags or len(set(keys)) == 2)


def test_videos_without_a_face_broken_ones_and_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_video(folder / "with.mp4", shots(), metadata={"title": "who it is", "comment": "at home"})
    make_video(folder / "without 森.mp4", [picture(320, 240, seed=9)] * 10)
    whole = (folder / "with.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) // 3])
    (folder / "empty.mkv").write_bytes(b"")
    from PIL import Image

    Image.fromarray(picture(320, 240, [(150, 100, 60)])).save(folder / "a.png")
    said = called(folder, tmp_path / "out", *BLACK)
    assert said.exit_code == 0, said.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "manifest.parquet", "with.mp4"]
    rows = pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    status = {row["file"]: row["status"] for row in rows}
    assert status == {
        "a.png": "anonymized",
        "with.mp4": "anonymized",
        "without 森.mp4": "without face",
        "broken.mp4": "unreadable",
        "empty.mkv": "unreadable",
    }
    assert b"who it is" not in (tmp_path / "out" / "with.mp4").read_bytes()
    assert called(folder, tmp_path / "kept", *BLACK, "--keep-metadata", "--copy-without-face").exit_code == 0
    assert about(tmp_path / "kept" / "with.mp4", lambda c: c.metadata["title"]) == "who it is"
    assert len(frames_in(tmp_path / "kept" / "without 森.mp4")) == 10


def test_a_video_that_ends_in_the_middle_of_a_frame_is_not_released_in_part(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", shots(frames=60), sound=None)
    data = bytearray(source.read_bytes())
    at = len(data) * 2 // 3
    data[at : at + 400] = bytes(400)
    source.write_bytes(data)
    said = called(source, tmp_path / "b.mkv", *BLACK)
    if said.exit_code == 0:  # FFmpeg concealed it: then every frame that it gives is covered
        assert not any(is_face(frame).any() for frame in frames_in(tmp_path / "b.mkv"))
    else:
        assert said.exit_code == 2 and not (tmp_path / "b.mkv").exists()
    assert not list(tmp_path.glob(".anonymize*"))
