"""Where the parts of a demo face lie: people, pictures, expressions, landmarks and alignment.

Face coordinates: px of the 112 px template, x to the right, y down, the origin between the eyes. Only correctly rounded
operations (+ - * / sqrt) touch a batch, so a face has the same bits in every batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

EXPRESSIONS: tuple[str, ...] = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""ArcFace's five landmarks in a crop of 112 px."""
SIDE = 112.0
PERSON_STREAM = 20_011
"""Keeps the stream of a person apart from those of the pictures."""
YAW_FORESHORTENING = 0.0013

PERSON: Mapping[str, tuple[float, float]] = {  # middle, half range; in face coordinates unless named otherwise
    "head_width": (38.5, 4.5),
    "head_top": (53.0, 4.0),
    "chin": (54.0, 4.0),
    "jaw_square": (0.045, 0.085),
    "chin_point": (0.0, 0.035),
    "cheek": (0.0, 0.045),
    "temple": (0.02, 0.05),
    "eye_x": (17.6, 2.4),
    "eye_y": (0.0, 2.4),
    "eye_width": (6.7, 1.3),
    "eye_height": (3.7, 1.0),
    "eye_tilt": (0.03, 0.13),
    "eye_skew": (0.0, 0.35),
    "iris": (3.5, 0.5),
    "bags": (0.13, 0.13),
    "crease": (2.3, 0.9),
    "brow_y": (-9.6, 2.2),
    "brow_width": (9.0, 1.7),
    "brow_thick": (1.75, 0.95),
    "brow_arch": (1.9, 1.7),
    "brow_slope": (0.0, 0.09),
    "brow_x": (0.3, 1.8),
    "brow_taper": (0.45, 0.3),
    "nose_y": (20.0, 3.0),
    "nose_width": (7.0, 2.2),
    "nose_bridge": (2.6, 1.0),
    "nose_tip": (3.4, 1.1),
    "nostril": (1.5, 0.5),
    "mouth_y": (40.4, 2.8),
    "mouth_width": (13.3, 2.3),
    "upper_lip": (2.3, 1.1),
    "lower_lip": (3.1, 1.3),
    "mouth_curve": (0.2, 1.3),
    "mouth_tilt": (0.0, 0.035),
    "bow": (0.25, 0.25),
    "lip_red": (0.5, 0.5),
    "ear_size": (8.0, 2.2),
    "ear_out": (1.5, 2.5),
    "ear_y": (7.0, 4.0),
    "hairline": (-28.0, 8.5),
    "hair_tilt": (0.0, 0.25),
    "hair_peak": (0.0, 6.0),
    "hair_wave": (1.5, 1.5),
    "hair_period": (13.0, 5.0),
    "hair_phase": (0.5, 0.5),
    "hair_volume": (4.5, 4.0),
    "hair_side": (14.0, 20.0),
    "hair_strand": (0.07, 0.05),
    "hair_bald": (0.5, 0.5),  # the rest are drawn in [0, 1] and turned into a kind by the renderer
    "hair_long": (0.5, 0.5),
    "hair_length": (0.5, 0.5),
    "hair_kind": (0.5, 0.5),
    "hair_tint": (0.5, 0.5),
    "skin_tone": (0.5, 0.5),
    "skin_hue": (0.5, 0.5),
    "iris_kind": (0.5, 0.5),
    "beard": (0.5, 0.5),
    "moustache": (0.5, 0.5),
    "beard_line": (8.0, 4.0),
    "blush": (0.5, 0.5),
    "freckles": (0.5, 0.5),
    "fold": (0.5, 0.5),
    **{f"freckle{k}_{axis}": (0.0, 1.0) for k in range(6) for axis in "xy"},
    **{f"mole{k}_{axis}": (0.0, 1.0) for k in range(3) for axis in "xyr"},
}

MOTIONS: tuple[str, ...] = (
    "brow_inner", "brow_outer", "squeeze", "lid", "lower_lid", "corner", "wide", "jaw", "lip_raise", "press", "wrinkle",
)  # fmt: skip
"""Action-unit-like motions: px of the template, up and outwards positive; `lid`, `lower_lid`, `press` and `wrinkle` are
shares. Each is its expression's, as strong as the picture has it, plus one of its own: people talk, blink, squint and
raise a brow whatever they feel, so that a word tells about 0.3 of the motions' variance and no more."""
REACH: Mapping[str, tuple[float, float]] = {
    "brow_inner": (-5.0, 5.5),
    "brow_outer": (-3.0, 5.5),
    "squeeze": (0.0, 2.6),
    "lid": (-0.6, 0.55),
    "lower_lid": (0.0, 0.6),
    "corner": (-5.0, 6.0),
    "wide": (-4.0, 4.5),
    "jaw": (0.0, 10.0),
    "lip_raise": (0.0, 3.8),
    "press": (0.0, 0.85),
    "wrinkle": (0.0, 1.0),
}
"""How far a part can move, whatever moves it."""
ACTION: Mapping[str, tuple[float, ...]] = {
    "anger": (-4.9, 0.3, 2.0, -0.12, 0.25, -1.6, -1.2, 0.0, 0.0, 0.75, 0.3),
    "disgust": (-2.6, -1.7, 0.9, -0.38, 0.42, -1.8, -0.6, 1.2, 3.4, 0.0, 1.0),
    "fear": (4.4, 0.9, 1.1, 0.45, 0.00, -2.0, 2.6, 3.4, 0.4, 0.1, 0.0),
    "happy": (0.3, 0.6, 0.0, -0.16, 0.38, 5.2, 3.0, 2.4, 0.8, 0.0, 0.0),
    "neutral": (0.0,) * 11,
    "sad": (3.6, -2.2, 0.7, -0.26, 0.05, -4.4, -0.8, 0.0, 0.0, 0.25, 0.0),
    "surprise": (4.4, 4.2, 0.0, 0.50, 0.0, 0.2, -3.6, 9.0, 0.5, 0.0, 0.0),
}
PICTURE: Mapping[str, tuple[float, float]] = {
    "intensity": (0.5, 0.5),
    "yaw": (0.0, 3.0),  # px by which a point of depth 1 moves
    "pitch": (0.0, 1.8),
    "roll": (0.0, 0.035),  # rad; what the alignment leaves
    "zoom": (1.0, 0.025),
    "shift_x": (0.0, 1.0),
    "shift_y": (0.0, 1.0),
    "light_x": (0.0, 0.32),
    "light_y": (-0.06, 0.16),
    "exposure": (0.95, 0.15),
    "warm": (0.0, 0.12),
    "green": (0.0, 0.04),
    "contrast": (1.0, 0.12),
    "soft": (0.3, 0.3),
    "noise": (5.0, 3.0),
    "gaze_x": (0.0, 0.9),
    "gaze_y": (0.0, 0.5),
    "hair_up": (0.0, 2.5),
    "hair_puff": (0.0, 1.5),
    "hair_lean": (0.0, 0.08),
    "hair_shift": (0.0, 0.25),
    "lopsided": (0.0, 0.035),
    **{f"act_{name}": (0.0, 0.22) for name in MOTIONS},
    "idle_brow_inner": (0.0, 3.4),
    "idle_brow_outer": (0.3, 2.2),
    "idle_squeeze": (-0.1, 1.0),
    "idle_lid": (-0.05, 0.35),
    "idle_lower_lid": (-0.03, 0.23),
    "idle_corner": (0.4, 3.4),
    "idle_wide": (0.0, 2.6),
    "idle_jaw": (0.0, 3.6),
    "idle_lip_raise": (-0.5, 1.7),
    "idle_press": (-0.1, 0.38),
    "idle_wrinkle": (-0.2, 0.5),
    **{f"{part}_{channel}": (0.5, 0.5) for part in ("near", "far", "blob", "cloth") for channel in "rgb"},
    **{f"blob{k}_{axis}": (0.0, 1.0) for k in range(2) for axis in "xyr"},
    "slope_x": (0.0, 1.0),
    "slope_y": (0.0, 1.0),
    "stripes": (0.0, 1.0),
}


def draw_people(identity: Sequence[int]) -> dict[str, Tensor]:
    """Draw the (N,) float32 parameters of people from their numbers alone."""
    return _columns(PERSON, [_stream(PERSON_STREAM, person).uniform(-1, 1, len(PERSON)) for person in identity])


def draw_pictures(
    seed: int, identity: Sequence[int], picture: Sequence[int], noise: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Draw what differs between pictures of a person.

    Args:
        seed: of all pictures.
        identity: N numbers of people.
        picture: N numbers of pictures.
        noise: side of the noise, px.

    Returns:
        (N,) float32 parameters, and (N, 3, noise, noise) float32 camera noise of mean 0 and standard deviation 1.
    """
    rows, grains = [], []
    for person, shot in zip(identity, picture, strict=True):
        stream = _stream(seed, person, shot)
        rows.append(stream.uniform(-1, 1, len(PICTURE)))
        grains.append(stream.integers(0, 256, (2, 3, noise, noise), dtype=np.uint8))
    grain = torch.from_numpy(np.stack(grains)).to(torch.float32)
    return _columns(PICTURE, rows), (grain[:, 0] + grain[:, 1] - 255.0) * (math.sqrt(6.0) / 256.0)


def pose(
    person: Mapping[str, Tensor], picture: Mapping[str, Tensor], expression: Tensor, intensity: Tensor
) -> dict[str, Tensor]:
    """Move the parts of people as their expressions ask.

    Args:
        person: as `draw_people` returns.
        picture: as `draw_pictures` returns.
        expression: (N,) int64, index into EXPRESSIONS.
        intensity: (N,) float32 in [0, 1].

    Returns:
        (N,) float32 parameters of the posed faces: those of `person`, moved, those of `picture`, and the motions.
    """
    table = torch.tensor([ACTION[name] for name in EXPRESSIONS])[expression]
    p = {**person, **picture}
    for k, name in enumerate(MOTIONS):
        asked = table[:, k] * intensity * (1.0 + picture[f"act_{name}"])
        p[name] = (asked + picture[f"idle_{name}"]).clamp(*REACH[name])
    p["lid_up"] = person["eye_height"] * (1.0 + p["lid"])
    p["lid_low"] = person["eye_height"] * (0.62 - 0.9 * p["lower_lid"])
    p["nose_y"] = person["nose_y"] - 1.2 * p["wrinkle"]
    p["nose_width"] = person["nose_width"] + 0.9 * p["wrinkle"]
    p["mouth_width"] = person["mouth_width"] + p["wide"]
    p["lips_at"] = p["corner"] + person["mouth_curve"]
    p["gape"] = p["jaw"]
    p["gape_up"] = 0.18 * p["gape"] + 0.35 * p["lip_raise"]
    p["mouth_tilt"] = person["mouth_tilt"] + picture["lopsided"]
    p["upper_lip"] = person["upper_lip"] * (1.0 - 0.6 * p["press"])
    p["lower_lip"] = person["lower_lip"] * (1.0 - 0.6 * p["press"])
    p["mouth_y"] = person["mouth_y"] - 0.45 * p["lip_raise"]
    p["chin"] = person["chin"] + 0.45 * p["gape"]
    return p


def motions(p: Mapping[str, Tensor]) -> Tensor:
    """Return how far the parts of posed faces have moved, whoever they are.

    Args:
        p: as `pose` returns.

    Returns:
        (N, 11) float32 by MOTIONS, within REACH.
    """
    return torch.stack([p[name] for name in MOTIONS], 1)


def head_radius(p: Mapping[str, Tensor], cosine: Tensor, lower: Tensor) -> Tensor:
    """Return the distance of the head's outline from its centre (0, HEAD_Y).

    Args:
        p: posed parameters, of a shape that broadcasts with the other arguments.
        cosine: of the angle from straight down, in [-1, 1].
        lower: bool, whether the cosine is positive.
    """
    c2 = cosine * cosine
    s2 = 1.0 - c2
    height = torch.where(lower, p["chin"], p["head_top"])
    ellipse = 1.0 / torch.sqrt(s2 / (p["head_width"] * p["head_width"]) + c2 / (height * height))
    diagonal = 4.0 * c2 * s2 * torch.where(lower, p["jaw_square"], p["temple"])
    point = p["chin_point"] * torch.where(lower, c2 * c2 * c2 * c2, 0.0)
    return ellipse * (1.0 + diagonal + point + p["cheek"] * cosine * s2 * s2)


HEAD_Y = 4.0
"""Height of the head's centre, below the eyes."""
DEPTH = {"ear": -0.7, "head": 0.0, "hair": 0.15, "eye": 0.6, "bridge": 0.65, "mouth": 0.8, "tip": 1.5}
"""How far a part stands out of the head: what yaw and pitch move."""


def mouth_lines(p: Mapping[str, Tensor], t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the heights of the outer upper, inner upper, inner lower and outer lower edge of the lips.

    Args:
        p: posed parameters, of a shape that broadcasts with `t`.
        t: across the mouth, in [-1, 1].
    """
    t2 = t * t
    e = 1.0 - t2
    middle = p["mouth_y"] - p["lips_at"] * (t2 - 0.4) + p["mouth_tilt"] * t * p["mouth_width"]
    arc = 0.5 * (e + torch.sqrt(e))
    upper, lower = middle - p["gape_up"] * arc, middle + p["gape"] * arc
    outer = upper - p["upper_lip"] * e * (1.25 - p["bow"] * (1.0 - 9.0 * t2).clamp(min=0.0))
    outer = outer - 0.4 * p["lip_raise"] * e * t2
    return outer, upper, lower, lower + p["lower_lip"] * e * (0.6 + 0.4 * e)


def eye_lids(p: Mapping[str, Tensor], u: Tensor) -> tuple[Tensor, Tensor]:
    """Return the heights of the upper and the lower lid at u in [-1, 1], from the inner to the outer corner."""
    e = 1.0 - u * u
    line = p["eye_y"] - p["eye_tilt"] * u * p["eye_width"]
    return line - p["lid_up"] * e * (1.0 + p["eye_skew"] * u), line + p["lid_low"] * e


def brow_line(p: Mapping[str, Tensor], u: Tensor) -> Tensor:
    """Return the height of the middle of the brow at u in [-1, 1], from the inner to the outer end."""
    inner = (1.0 - u) * 0.5
    raised = p["brow_inner"] * inner * (0.4 + 0.6 * inner) + p["brow_outer"] * (1.0 - inner)
    return p["eye_y"] + p["brow_y"] - p["brow_arch"] * (1.0 - u * u) + p["brow_slope"] * u * p["brow_width"] - raised


def landmarks(p: Mapping[str, Tensor]) -> Tensor:
    """Return the (N, 68, 2) float32 landmarks of posed faces in iBUG order, in face coordinates."""
    p = {name: value[:, None] for name, value in p.items()}
    turn = [(k - 8) / 8 * 1.75 for k in range(17)]
    cosine = torch.tensor([[math.cos(a) for a in turn]])
    radius = head_radius(p, cosine, cosine > 0)
    parts = [_seen(p, radius * torch.tensor([[math.sin(a) for a in turn]]), HEAD_Y + radius * cosine, "head")]
    u = torch.tensor([[1.0, 0.5, 0.0, -0.5, -1.0]])
    brow_x = p["eye_x"] + p["brow_x"] - 0.5 * p["squeeze"] + (p["brow_width"] + 0.25 * p["squeeze"]) * u
    brow_y = brow_line(p, u)
    parts += [_seen(p, -brow_x, brow_y, "eye"), _seen(p, brow_x, brow_y, "eye").flip(1)]
    down = torch.tensor([[0.05, 0.35, 0.65]])
    bridge = _seen(p, 0.0 * down * p["nose_y"], p["eye_y"] + down * (p["nose_y"] - p["eye_y"]), "bridge")
    tip = _seen(p, 0.0 * p["nose_y"], p["nose_y"], "tip")
    across = torch.tensor([[-0.75, -0.4, 0.0, 0.4, 0.75]])
    base = _seen(p, across * p["nose_width"], p["nose_y"] + 3.2 - 1.2 * across * across, "mouth")
    parts += [bridge, tip, base]
    lids = torch.tensor([[1.0, 0.4, -0.4, -1.0]])
    upper, lower = eye_lids(p, lids)
    eye_x = p["eye_x"] + p["eye_width"] * lids
    rim_x, rim_y = torch.cat([eye_x, eye_x[:, [2, 1]]], 1), torch.cat([upper, lower[:, [2, 1]]], 1)
    parts += [_seen(p, -rim_x, rim_y, "eye"), _seen(p, rim_x, rim_y, "eye")[:, [3, 2, 1, 0, 5, 4]]]
    t = torch.tensor([[-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0]])
    lines = [_seen(p, p["mouth_width"] * t, y, "mouth") for y in mouth_lines(p, t)]
    parts += [lines[0], lines[3][:, [5, 4, 3, 2, 1]], lines[1][:, [0, 2, 3, 4, 6]], lines[2][:, [4, 3, 2]]]
    return torch.cat(parts, 1)


def five(points: Tensor) -> Tensor:
    """Return the (N, 5, 2) eye centres, nose tip and mouth corners of (N, 68, 2) landmarks."""
    eyes = [sum((points[:, k] for k in range(first + 1, first + 6)), points[:, first]) / 6.0 for first in (36, 42)]
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], 1)


def align(points: Tensor, p: Mapping[str, Tensor]) -> Tensor:
    """Fit the similarity that takes five landmarks to the template, then add what a real alignment leaves.

    Args:
        points: (N, 5, 2) float32, face coordinates.
        p: posed parameters.

    Returns:
        (N, 4) float32 (a, b, x, y): (X, Y) goes to (a X - b Y + x, b X + a Y + y) px of a 112 px crop.
    """
    goal = torch.tensor(TEMPLATE)
    middle, target = _mean(points), _mean(goal[None])
    rel, want = points - middle[:, None], goal[None] - target[:, None]
    spread = 5.0 * _mean((rel * rel)[..., :1] + (rel * rel)[..., 1:])[:, 0]
    a = 5.0 * _mean(rel * want).sum(1) / spread
    b = 5.0 * _mean(rel[..., :1] * want[..., 1:] - rel[..., 1:] * want[..., :1])[:, 0] / spread
    half = 0.5 * p["roll"]
    cosine, sine = (1.0 - half * half) / (1.0 + half * half), 2.0 * half / (1.0 + half * half)
    a, b = p["zoom"] * (a * cosine - b * sine), p["zoom"] * (a * sine + b * cosine)
    x = target[:, 0] + p["shift_x"] - (a * middle[:, 0] - b * middle[:, 1])
    y = target[:, 1] + p["shift_y"] - (b * middle[:, 0] + a * middle[:, 1])
    return torch.stack([a, b, x, y], 1)


def to_pixels(points: Tensor, similarity: Tensor, size: int) -> Tensor:
    """Take (N, K, 2) points from face coordinates to px of a picture of `size` px."""
    a, b, x, y = (similarity[:, k, None] for k in range(4))
    left, top = points[..., 0], points[..., 1]
    return torch.stack([a * left - b * top + x, b * left + a * top + y], -1) * (size / SIDE)


def _seen(p: Mapping[str, Tensor], x: Tensor, y: Tensor, part: str) -> Tensor:
    """Move points of a part as yaw and pitch do; stack to (N, K, 2)."""
    bend = DEPTH[part] - (YAW_FORESHORTENING * x * x if DEPTH[part] > 0.5 else 0.0)
    return torch.stack([x + p["yaw"] * bend, y + p["pitch"] * DEPTH[part]], -1)


def _mean(points: Tensor) -> Tensor:
    """Average (N, 5, D) over the points, one after the other: the order must not depend on the batch."""
    return (points[:, 0] + points[:, 1] + points[:, 2] + points[:, 3] + points[:, 4]) / 5.0


def _stream(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _columns(spec: Mapping[str, tuple[float, float]], rows: Sequence[np.ndarray]) -> dict[str, Tensor]:
    drawn = torch.from_numpy(np.stack(rows).astype(np.float32))
    return {name: drawn[:, k] * spread + middle for k, (name, (middle, spread)) in enumerate(spec.items())}
