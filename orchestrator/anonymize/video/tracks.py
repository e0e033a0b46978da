"""Tracks: the faces of frames belong to people who move; where one was missed, it is filled in.

Found boxes are joined from frame to frame by overlap with where each track would have moved to, all at once
(Kuhn, The Hungarian method for the assignment problem, 1955, by scipy). No network says who it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evaluators.networks.detection import Detection
from orchestrator.anonymize.faces.finding import overlap

LOST, HELD = 1.0, 0.5
"""Seconds for which a track waits for its face to be found again; seconds that a face is covered before it was first
and after it was last found."""
ACROSS = 2
"""Frames that a face is covered beyond a cut: what looks like one may be a flash."""
JOINED = 0.15
"""Overlap, intersection over union, from which a found box goes on with a track."""
CUT = 28.0
"""Mean difference of two frames in gray levels from which they are two shots."""
RECENT = 5
"""Frames from which the motion of a face is estimated."""
FOUND, BETWEEN, BEFORE, AFTER = "", "missed between frames", "before it was found", "after it was found"


@dataclass(frozen=True, eq=False)
class Tracked:
    """Hold a face of a frame: where, whose track, and why it is there although it was not found; "" if it was."""

    face: Detection
    track: int
    why: str = FOUND


@dataclass
class _Track:
    """Collect the frames in which one face was found."""

    number: int
    frames: list[int] = field(default_factory=list)
    faces: list[Detection] = field(default_factory=list)

    def velocity(self, *, first: bool = False) -> NDArray[np.float32]:
        """Return px per frame (x, y) of the last frames in which it was found, or of the first ones."""
        part = slice(0, RECENT) if first else slice(-RECENT, None)
        frames, faces = self.frames[part], self.faces[part]
        if len(frames) < 2:
            return np.zeros(2, np.float32)
        moved = _middle(faces[-1].box) - _middle(faces[0].box)
        return np.asarray(moved / np.float32(frames[-1] - frames[0]), np.float32)


def follow(found: Sequence[Sequence[Detection]], cuts: Sequence[bool], rate: float) -> list[list[Tracked]]:
    """Join the faces of frames into tracks, and fill in where they were missed.

    Args:
        found: faces of each frame.
        cuts: of each frame, whether a new shot begins with it.
        rate: frames per second.

    Returns:
        the faces of each frame, those filled in behind those found.
    """
    lost, held = max(1, round(LOST * rate)), max(1, round(HELD * rate))
    tracks = _joined(found, cuts, lost)
    out: list[list[Tracked]] = [[] for _ in found]
    for track in tracks:
        for frame, face in zip(track.frames, track.faces, strict=True):
            out[frame].append(Tracked(face, track.number))
    filled: list[list[Tracked]] = [[] for _ in found]
    for track in tracks:
        for place, frame in enumerate(track.frames[:-1]):
            after = track.frames[place + 1]
            for missed in range(frame + 1, after):
                share = np.float32((missed - frame) / (after - frame))
                face = _mixed(track.faces[place], track.faces[place + 1], share)
                filled[missed].append(Tracked(face, track.number, BETWEEN))
        for step, end, face, motion, why in (
            (-1, track.frames[0], track.faces[0], -track.velocity(first=True), BEFORE),
            (1, track.frames[-1], track.faces[-1], track.velocity(), AFTER),
        ):
            across = 0
            for away in range(1, held + 1):
                frame = end + step * away
                if not 0 <= frame < len(found):
                    break
                across += 1 if across or cuts[frame if step > 0 else frame + 1] else 0
                if across > ACROSS:
                    break
                filled[frame].append(Tracked(_moved(face, motion * np.float32(away)), track.number, why))
    for frame, more in enumerate(filled):
        for one in more:
            # A face that was found there under another number is covered already, at a better place.
            if one.why == BETWEEN or all(overlap(one.face.box, other.face.box) < 0.5 for other in out[frame]):
                out[frame].append(one)
    return out


def _joined(found: Sequence[Sequence[Detection]], cuts: Sequence[bool], lost: int) -> list[_Track]:
    """Join found faces into tracks; none goes on over a cut."""
    tracks: list[_Track] = []
    open_ones: list[_Track] = []
    for frame, faces in enumerate(found):
        open_ones = [] if cuts[frame] else [track for track in open_ones if frame - track.frames[-1] <= lost]
        taken: set[int] = set()
        if open_ones and faces:
            gain = np.zeros((len(open_ones), len(faces)))
            for row, track in enumerate(open_ones):
                away = np.float32(frame - track.frames[-1])
                expected = _moved(track.faces[-1], track.velocity() * away)
                for column, face in enumerate(faces):
                    gain[row, column] = overlap(expected.box, face.box)
            for row, column in np.stack(linear_sum_assignment(-gain), 1).tolist():
                if gain[row, column] >= JOINED:
                    open_ones[row].frames.append(frame)
                    open_ones[row].faces.append(faces[column])
                    taken.add(column)
        for column, face in enumerate(faces):
            if column not in taken:
                tracks.append(_Track(len(tracks), [frame], [face]))
                open_ones.append(tracks[-1])
    return tracks


def is_cut(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Tell whether two small gray pictures of consecutive frames are of two shots."""
    return float(np.abs(before.astype(np.int16) - after).mean()) > CUT


def _middle(box: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((box[:2] + box[2:]) / 2)


def _moved(face: Detection, by: NDArray[np.float32]) -> Detection:
    return Detection(face.box + np.concatenate([by, by]), face.score, face.landmarks + by)


def _mixed(one: Detection, other: Detection, share: np.float32) -> Detection:
    return Detection(
        one.box + share * (other.box - one.box),
        0.0,
        one.landmarks + share * (other.landmarks - one.landmarks),
    )
