"""How a demo face gets its pixels: soft masks of signed distances, composited from back to front.

Only correctly rounded operations (+ - * / sqrt) touch the pixels, so a face has the same bits in every batch. Features
are drawn in windows of the picture that they cannot leave.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from evaluators.demo.geometry import (
    DEPTH,
    HEAD_Y,
    SIDE,
    YAW_FORESHORTENING,
    brow_line,
    eye_lids,
    head_radius,
    mouth_lines,
)

PARSING: tuple[str, ...] = ("background", "skin", "brow", "eye", "nose", "mouth", "hair", "ear", "cloth")
"""Names of the parts in a parsing map; "skin" has the neck, "mouth" lips and all between them, "eye" the lashes."""
SKIN = ((88, 54, 38), (132, 86, 60), (176, 122, 90), (214, 162, 126), (236, 194, 164), (246, 214, 192))
HAIR = ((30, 24, 24), (58, 38, 28), (92, 60, 38), (122, 62, 34), (178, 136, 78), (150, 146, 142))
IRIS = ((62, 40, 26), (104, 72, 38), (84, 110, 66), (74, 116, 150))

Params = Mapping[str, Tensor]


def paint(posed: Params, similarity: Tensor, grain: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Paint posed faces.

    Args:
        posed: (N,) float32 parameters, as `pose` returns.
        similarity: (N, 4) float32, as `align` returns.
        grain: (N, 3, size, size) float32 camera noise of standard deviation 1.
        size: side of the pictures, px.

    Returns:
        (N, 3, size, size) uint8 RGB pictures and (N, size, size) uint8 indices into PARSING.
    """
    p = {name: value.view(-1, 1, 1) for name, value in posed.items()}
    a, b, left, top = (similarity[:, k].view(-1, 1, 1) for k in range(4))
    at = (torch.arange(size) + 0.5) * (SIDE / size)
    across, down = (at - left)[:, 0, None, :], (at - top)[:, 0, :, None]
    norm = a * a + b * b
    x = a / norm * across + b / norm * down
    y = a / norm * down - b / norm * across
    p["edge"] = 0.7 * SIDE / size + p["soft"]
    canvas = _background(p, at / SIDE)
    label = torch.zeros(canvas.shape[0], size, size, dtype=torch.uint8)
    colours = _colours(p)
    _behind(canvas, label, x, y, p, colours)
    outline = _head(canvas, label, x, y, p, colours)
    _mouth(canvas, label, x, y, p, colours)
    _eyes(canvas, label, x, y, p, colours)
    _hair(canvas, label, x, y, outline, p, colours)
    light = torch.cat([1.0 + p["warm"], 1.0 + p["green"], 1.0 - p["warm"]], 1)[..., None] * p["exposure"][..., None]
    canvas.mul_(light).sub_(110.0).mul_(p["contrast"][..., None]).add_(110.0)
    canvas.add_(grain.mul_(p["noise"][..., None]))
    return canvas.add_(0.5).clamp_(0.0, 255.0).to(torch.uint8), label


def _window(size: int, top: float, bottom: float, left: float = 0.0, right: float = SIDE) -> tuple[slice, slice]:
    """Return the rows and columns of a window given in px of a 112 px picture."""
    scale = size / SIDE
    return slice(int(top * scale), int(bottom * scale)), slice(int(left * scale), int(right * scale))


def _soft(distance: Tensor, edge: Tensor | float) -> Tensor:
    """Return smoothstep masks of distances, positive inside, over a ramp from -edge to edge; takes `distance` over."""
    t = distance.mul_(0.5 / edge).add_(0.5).clamp_(0.0, 1.0)
    return (3.0 - 2.0 * t).mul_(t).mul_(t)


def _over(canvas: Tensor, mask: Tensor, colour: Tensor) -> None:
    """Lay (N, 3, 1, 1) or (N, 3, h, w) colours over a canvas through (N, h, w) masks."""
    canvas.add_((colour - canvas).mul_(mask[:, None]))


def _mark(label: Tensor, mask: Tensor, name: str) -> None:
    label.masked_fill_(mask > 0.5, PARSING.index(name))


def _disc(x: Tensor, y: Tensor, to_x: Tensor, to_y: Tensor, radius: Tensor | float, flat: float = 1.0) -> Tensor:
    """Return the signed distance, positive inside, to discs around points, pressed to `flat` of their height."""
    dx, dy = x - to_x, (y - to_y).mul_(1.0 / flat)
    return radius - torch.sqrt(dx.mul_(dx) + dy.mul_(dy))


def _ripple(t: Tensor) -> Tensor:
    """Return a smooth wave of period 1 in [-1, 1], made of parabolas."""
    t = t - torch.floor(t)
    half = 2.0 * t - 1.0
    return 4.0 * half * (1.0 - half.abs())


def _pick(table: tuple[tuple[int, int, int], ...], at: Tensor) -> Tensor:
    """Interpolate a table of colours at (N, 1, 1) places in [0, 1]; return (N, 3, 1, 1)."""
    colours = torch.tensor(table, dtype=torch.float32)
    place = at.reshape(-1) * (len(table) - 1)
    low = place.floor().clamp(0, len(table) - 2)
    share = (place - low)[:, None]
    index = low.to(torch.int64)
    return (colours[index] * (1.0 - share) + colours[index + 1] * share)[..., None, None]


def _colours(p: Params) -> dict[str, Tensor]:
    """Return (N, 3, 1, 1) colours in [0, 255]; tones are shared between people, so colour alone names no one."""
    skin = _pick(SKIN, p["skin_tone"])
    hue = (p["skin_hue"] - 0.5)[:, None]
    skin = skin * torch.cat([1.0 + 0.04 * hue, 1.0 - 0.04 * hue, 1.0 - 0.10 * hue], 1)
    kinds = torch.floor(p["hair_kind"] * 5.999) / 5.0
    hair = _pick(HAIR, kinds) * (0.82 + 0.36 * p["hair_tint"][:, None])
    iris = _pick(IRIS, torch.floor(p["iris_kind"] * 3.999) / 3.0)
    red = torch.tensor([176.0, 70.0, 74.0]).view(1, 3, 1, 1)
    amount = 0.25 + 0.45 * p["lip_red"][:, None]
    lips = (skin * (1.0 - amount) + red * amount) * torch.tensor([0.94, 0.84, 0.86]).view(1, 3, 1, 1)
    cloth = torch.cat([40.0 + 170.0 * p[f"cloth_{c}"] for c in "rgb"], 1)[..., None]
    brow = hair * 0.72 + skin * 0.06
    return {"skin": skin, "hair": hair, "iris": iris, "lips": lips, "cloth": cloth, "brow": brow}


def _background(p: Params, at: Tensor) -> Tensor:
    """Paint two colours that flow into each other, faint stripes, and two soft discs; `at` runs over [0, 1]."""
    across, down = at[None, None, :], at[None, :, None]
    flow = (0.5 + 0.6 * (p["slope_x"] * (across - 0.5) + p["slope_y"] * (down - 0.5))).clamp_(0.0, 1.0)
    wave = _ripple((across * p["slope_y"] - down * p["slope_x"]) * 9.0)
    flow = flow + wave * 0.16 * p["stripes"].clamp(min=0.0)
    near, far, blob = (torch.cat([p[f"{part}_{c}"] for c in "rgb"], 1)[..., None] for part in ("near", "far", "blob"))
    grey = (near[:, :1] + near[:, 1:2] + near[:, 2:]) / 3.0
    near, far, blob = (60.0 + 150.0 * (0.55 * colour + 0.45 * grey) for colour in (near, far, blob))
    canvas = near + (far - near) * flow[:, None]
    for k in range(2):
        centre_x, centre_y = 0.5 + 0.5 * p[f"blob{k}_x"], 0.4 + 0.5 * p[f"blob{k}_y"]
        disc = _disc(across, down, centre_x, centre_y, 0.2 + 0.12 * p[f"blob{k}_r"])
        _over(canvas, _soft(disc, 0.08) * 0.7, blob)
    return canvas


def _behind(canvas: Tensor, label: Tensor, x: Tensor, y: Tensor, p: Params, colours: Mapping[str, Tensor]) -> None:
    """Paint what lies behind the head: long hair, neck and shoulders, ears."""
    size = x.shape[-1]
    edge = p["edge"]
    bald = p["hair_bald"] > 0.93
    length = torch.where((p["hair_long"] > 0.58) & ~bald, 18.0 + 50.0 * p["hair_length"], -200.0)
    back = x - DEPTH["ear"] * p["yaw"]
    wide = p["head_width"] + p["hair_volume"] + p["hair_puff"] + 1.5 + 0.06 * y
    low = length - y - 0.006 * back * back
    long = _soft(torch.minimum(wide - back.abs(), low).sub_(1.0), edge)
    long = long * _soft(y + 8.0, 6.0)
    _over(canvas, long, colours["hair"] * 0.62)
    _mark(label, long, "hair")

    rows, columns = _window(size, 84, 112)
    x_low, y_low = back[:, rows, columns], y[:, rows, columns]
    slope = p["chin"] + 13.0 + (x_low.abs() - 20.0).clamp(min=0.0) * 0.35
    cloth = _soft(y_low - slope, edge)
    neck = _soft(torch.minimum(p["head_width"] * 0.56 - x_low.abs(), y_low - 30.0), edge)
    _over(canvas[:, :, rows, columns], neck, colours["skin"] * 0.72)
    _mark(label[:, rows, columns], neck, "skin")
    _over(canvas[:, :, rows, columns], cloth, colours["cloth"])
    _mark(label[:, rows, columns], cloth, "cloth")

    rows, columns = _window(size, 40, 84)
    side, level = back[:, rows, columns].abs(), y[:, rows, columns] - DEPTH["ear"] * p["pitch"]
    ear = _disc(side * 1.7, level, (p["head_width"] - 1.5 + p["ear_out"]) * 1.7, p["ear_y"], p["ear_size"])
    lobe = _soft(ear.clone(), 1.3 * edge)
    _over(canvas[:, :, rows, columns], lobe, colours["skin"] * 0.9)
    _over(canvas[:, :, rows, columns], _soft(ear - 3.2, 2.0) * 0.6, colours["skin"] * 0.62)
    _mark(label[:, rows, columns], lobe, "ear")


def _head(canvas: Tensor, label: Tensor, x: Tensor, y: Tensor, p: Params, colours: Mapping[str, Tensor]) -> Tensor:
    """Paint the head and all that only darkens its skin; return the signed distance to its outline."""
    size = x.shape[-1]
    edge = p["edge"]
    level = y - HEAD_Y
    away = torch.sqrt(x * x + level * level) + 1e-3
    outline = head_radius(p, level / away, level > 0) - away
    inside = _soft(outline.clone(), edge)
    nx, ny = x / p["head_width"], level * (1.0 / 55.0)
    shade = 1.0 + p["light_x"] * nx + p["light_y"] * ny - 0.06 * nx * nx
    shade.sub_(0.16 * (1.0 - _soft(outline - 4.0, 6.0)))
    _skin_marks(shade, x, y, p)
    _folds(shade, x, y, p)
    _nose_shade(shade, label, x, y, p)
    hue = colours["skin"] * shade[:, None]
    rows, columns = _window(size, 52, 100)
    cheek = x[:, rows, columns] - 0.5 * p["yaw"]
    blush = _disc(cheek.abs(), y[:, rows, columns], p["eye_x"] + 4.0, p["nose_y"] - 1.0, 7.0)
    amount = _soft(blush, 7.0) * (0.28 * (p["blush"] - 0.3).clamp(min=0.0))
    _over(hue[:, :, rows, columns], amount, torch.tensor([205.0, 84.0, 84.0]).view(1, 3, 1, 1))
    _beard(hue, x, y, p, colours)
    _over(canvas, inside, hue)
    nose = label == PARSING.index("nose")
    _mark(label, inside, "skin")
    label.masked_fill_(nose, PARSING.index("nose"))
    return outline


def _skin_marks(shade: Tensor, x: Tensor, y: Tensor, p: Params) -> None:
    """Darken freckles, moles and the ground under the eyes."""
    size = x.shape[-1]
    rows, columns = _window(size, 48, 86)
    part, side, level = shade[:, rows, columns], x[:, rows, columns] - 0.6 * p["yaw"], y[:, rows, columns]
    strength = 0.5 * (p["freckles"] - 0.6).clamp(min=0.0)
    for k in range(6):
        at_x, at_y = 15.0 + 9.0 * p[f"freckle{k}_x"], 14.0 + 6.0 * p[f"freckle{k}_y"]
        part.mul_(1.0 - _soft(_disc(side.abs(), level, at_x, at_y, 0.9), 0.9) * strength)
    bags = _disc(side.abs(), level, p["eye_x"], p["eye_y"] + 5.5, 0.95 * p["eye_width"], 0.35)
    part.mul_(1.0 - _soft(bags, 2.0) * p["bags"])
    side = x - 0.6 * p["yaw"]
    places = (
        (-20.0, 26.0, 9.0, (60, 100, 14, 64)),
        (21.0, 30.0, 9.0, (60, 106, 48, 98)),
        (0.0, -20.0, 14.0, (16, 50, 30, 82)),
    )
    for k, (middle_x, middle_y, reach, sides) in enumerate(places):
        box = _window(size, *sides)
        at_x, at_y = middle_x + reach * p[f"mole{k}_x"], middle_y + 7.0 * p[f"mole{k}_y"]
        mole = _disc(side[:, box[0], box[1]], y[:, box[0], box[1]], at_x, at_y, 1.3 + 0.5 * p[f"mole{k}_r"])
        part = shade[:, box[0], box[1]]
        part.mul_(1.0 - _soft(mole, p["edge"]) * 0.6 * (p[f"mole{k}_r"] > 0.4))


def _folds(shade: Tensor, x: Tensor, y: Tensor, p: Params) -> None:
    """Darken the folds that expressions make: from nose to mouth, between the brows, on the nose, on the forehead."""
    size = x.shape[-1]
    rows, columns = _window(size, 64, 102)
    part, side, level = shade[:, rows, columns], (x[:, rows, columns] - 0.8 * p["yaw"]).abs(), y[:, rows, columns]
    top, bottom = p["nose_y"] - 1.0, p["mouth_y"] - 1.0 - 0.4 * p["lips_at"]
    along = (level - top) / (bottom - top)
    place = p["nose_width"] + 1.0 + (p["mouth_width"] + 3.5 - p["nose_width"] - 1.0) * along * (1.3 - 0.3 * along)
    smile = (0.16 * p["lips_at"] - 0.1).clamp(0.0, 0.7) + 0.6 * p["wrinkle"] + 0.5 * (p["fold"] - 0.7).clamp(min=0.0)
    line = _soft(1.0 - (side - place).abs(), 1.2) * _soft(torch.minimum(along, 1.0 - along), 0.15)
    part.mul_(1.0 - line * (0.28 * smile))

    rows, columns = _window(size, 34, 66, 44, 70)
    part, side, level = shade[:, rows, columns], x[:, rows, columns] - 0.65 * p["yaw"], y[:, rows, columns]
    frown = _soft(0.7 - (side.abs() - 2.4).abs(), 0.8) * _soft(4.0 - (level + 6.5).abs(), 1.5)
    part.mul_(1.0 - frown * (0.2 * p["squeeze"]).clamp(0.0, 0.4))
    crinkle = _soft(torch.minimum(0.8 - ((level - 5.0).abs() - 2.0).abs(), 5.0 - side.abs()), 0.8)
    part.mul_(1.0 - crinkle * (0.26 * p["wrinkle"]))

    rows, columns = _window(size, 16, 42, 26, 86)
    part, side, level = shade[:, rows, columns], x[:, rows, columns] - 0.5 * p["yaw"], y[:, rows, columns]
    bow = level + 0.006 * side * side + 23.0
    lines = _soft(torch.minimum(0.7 - (bow.abs() - 2.4).abs(), 15.0 - side.abs()), 0.9)
    part.mul_(1.0 - lines * (0.05 * (p["brow_inner"] - 1.5)).clamp(0.0, 0.2))


def _nose_shade(shade: Tensor, label: Tensor, x: Tensor, y: Tensor, p: Params) -> None:
    """Model the nose by light and shadow, and mark it."""
    size = x.shape[-1]
    rows, columns = _window(size, 40, 90, 32, 82)
    part, edge = shade[:, rows, columns], p["edge"]
    level = y[:, rows, columns] - DEPTH["bridge"] * p["pitch"]
    along = ((level - p["eye_y"]) / (p["nose_y"] - p["eye_y"])).clamp(0.0, 1.15)
    depth = DEPTH["bridge"] + (DEPTH["tip"] - DEPTH["bridge"]) * along
    side = x[:, rows, columns] - p["yaw"] * depth
    flare = along * along * along
    half = p["nose_bridge"] + (p["nose_width"] - p["nose_bridge"]) * (0.25 * along + 0.55 * flare)
    ends = torch.minimum(level - p["eye_y"] - 1.0, p["nose_y"] + 3.0 - level)
    lit = side * p["light_x"]
    body = torch.minimum(half - side.abs(), ends)
    flank = _soft(1.3 - (side.abs() - half).abs(), 1.6) * _soft(ends.clone(), 2.0)
    part.mul_(1.0 - flank * (0.13 - 0.06 * lit).clamp_(0.02, 0.3))
    ridge = _soft(torch.minimum(0.55 * p["nose_bridge"] - side.abs(), ends - 1.0), 1.5)
    part.mul_(1.0 + 0.08 * ridge)
    base = p["nose_y"] + DEPTH["tip"] * p["pitch"]
    level = y[:, rows, columns]
    ball = _disc(side, level, torch.zeros_like(base), base - 0.3, p["nose_tip"], 0.85)
    part.mul_(1.0 + 0.12 * _soft(ball - 1.0, 2.0))
    wing = _disc(side.abs(), level, p["nose_width"] - 2.6, base + 0.8, 3.0, 0.95)
    rim = _soft(0.55 - wing.abs(), 0.9) * _soft(side.abs() - p["nose_width"] + 2.8, 1.0)
    part.mul_(1.0 - 0.42 * rim)
    under = _disc(side, level, torch.zeros_like(base), base + 3.6, p["nose_width"] * 0.85, 0.2)
    part.mul_(1.0 - 0.3 * _soft(under, 1.5))
    hole = _disc(side.abs(), level, 0.42 * p["nose_width"], base + 2.7, p["nostril"], 0.7)
    part.mul_(1.0 - 0.68 * _soft(hole, edge))
    label[:, rows, columns].masked_fill_((body > 0) | (wing > 0) | (ball > 0), PARSING.index("nose"))


def _beard(hue: Tensor, x: Tensor, y: Tensor, p: Params, colours: Mapping[str, Tensor]) -> None:
    """Paint beard and moustache on the skin of those who have one."""
    size = x.shape[-1]
    rows, columns = _window(size, 60, 112)
    part, side, level = hue[:, :, rows, columns], x[:, rows, columns] - 0.5 * p["yaw"], y[:, rows, columns]
    upper = p["mouth_y"] + p["beard_line"] + 0.5 * p["gape"] - 0.028 * side * side
    amount = ((p["beard"] - 0.68) * 3.2).clamp(0.0, 0.85)
    _over(part, _soft(level - upper, 2.0) * _soft(level - 16.0, 5.0) * amount, colours["hair"] * 0.9)
    lip = p["mouth_y"] - p["upper_lip"] - 3.6
    tache = _disc(side * 0.3, level - 0.02 * side * side, torch.zeros_like(lip), lip, 3.2, 0.75)
    amount = ((p["moustache"] - 0.75) * 5.0).clamp(0.0, 0.9)
    _over(part, _soft(tache, 1.2) * amount, colours["hair"] * 0.9)


def _mouth(canvas: Tensor, label: Tensor, x: Tensor, y: Tensor, p: Params, colours: Mapping[str, Tensor]) -> None:
    """Paint lips, the line between them, and teeth and tongue where it opens."""
    size = x.shape[-1]
    rows, columns = _window(size, 74, 112, 18, 96)
    edge = p["edge"]
    part, side = canvas[:, :, rows, columns], x[:, rows, columns]
    side = side - p["yaw"] * (DEPTH["mouth"] - YAW_FORESHORTENING * side * side)
    level = y[:, rows, columns] - DEPTH["mouth"] * p["pitch"]
    t = (side / p["mouth_width"]).clamp(-1.0, 1.0)
    outer_top, inner_top, inner_low, outer_low = mouth_lines(p, t)
    ends = _soft(p["mouth_width"] + 0.3 - side.abs(), edge)
    lips = _soft(torch.minimum(level - outer_top, outer_low - level), edge) * ends
    hole = _soft(torch.minimum(level - inner_top, inner_low - level), edge) * ends
    tone = torch.where(level < inner_top, 0.88, 1.06)
    _over(part, lips, colours["lips"] * tone[:, None])
    shadow = _soft(1.6 - (level - outer_low - 2.4).abs(), 1.6) * _soft(0.55 - t.abs(), 0.3)
    part.mul_((1.0 - 0.16 * shadow)[:, None])
    line = _soft(0.55 - (level - torch.maximum(inner_top, torch.minimum(level, inner_low))).abs(), edge)
    _over(part, line * ends * 0.75, colours["lips"] * 0.35)
    _over(part, hole, torch.tensor([62.0, 20.0, 24.0]).view(1, 3, 1, 1))
    tongue = hole * _soft(level - inner_low + 0.42 * p["gape"], 1.2)
    _over(part, tongue * (p["gape"] > 3.0), torch.tensor([186.0, 84.0, 88.0]).view(1, 3, 1, 1))
    teeth = hole * _soft(inner_top + (0.9 + 0.4 * p["gape"]).clamp(max=3.2) - level, edge) * _soft(0.86 - t.abs(), 0.1)
    _over(part, teeth * (0.35 * p["gape"]).clamp(max=1.0), torch.tensor([238.0, 234.0, 224.0]).view(1, 3, 1, 1))
    _mark(label[:, rows, columns], torch.maximum(lips, hole), "mouth")


def _eyes(canvas: Tensor, label: Tensor, x: Tensor, y: Tensor, p: Params, colours: Mapping[str, Tensor]) -> None:
    """Paint eyes and brows; both sides at once, mirrored."""
    size = x.shape[-1]
    rows, columns = _window(size, 22, 70, 6, 106)
    edge = p["edge"]
    part, side = canvas[:, :, rows, columns], x[:, rows, columns]
    side = side - p["yaw"] * (DEPTH["eye"] - YAW_FORESHORTENING * side * side)
    level = y[:, rows, columns] - DEPTH["eye"] * p["pitch"]
    mirror = side.abs()
    out = mirror - p["eye_x"]
    u = (out / p["eye_width"]).clamp(-1.0, 1.0)
    upper, lower = eye_lids(p, u)
    ends = _soft(p["eye_width"] + 0.2 - out.abs(), edge)
    ball = _soft(torch.minimum(level - upper, lower - level), edge) * ends
    _over(part, ball, torch.tensor([236.0, 234.0, 230.0]).view(1, 3, 1, 1))
    look_x = p["gaze_x"] * torch.where(side < 0, -1.0, 1.0)
    middle = p["eye_y"] - 0.25 * p["lid_up"] + p["gaze_y"]
    iris = _disc(out, level, look_x, middle, p["iris"])
    _over(part, ball * _soft(iris.clone(), edge), colours["iris"] * 0.85)
    _over(part, ball * _soft(iris - 0.55 * p["iris"], edge), torch.tensor([18.0, 14.0, 14.0]).view(1, 3, 1, 1))
    spark = _disc(out - torch.where(side < 0, 1.2, -1.2), level, look_x, middle - 1.2, 0.7)
    _over(part, ball * _soft(spark, edge), torch.tensor([252.0, 252.0, 252.0]).view(1, 3, 1, 1))
    lash = _soft(0.75 - (level - upper + 0.3).abs(), edge) * ends
    _over(part, lash * 0.9, colours["brow"] * 0.5)
    rim = _soft(0.4 - (level - lower).abs(), edge) * ends
    crease = _soft(0.5 - (level - upper + p["crease"]).abs(), 0.9) * ends
    part.mul_((1.0 - 0.35 * rim - 0.22 * crease)[:, None])
    _mark(label[:, rows, columns], torch.maximum(ball, lash), "eye")

    rows, columns = _window(size, 22, 58, 6, 106)
    high = rows.stop - rows.start
    part, mirror, level = canvas[:, :, rows, columns], mirror[:, :high], level[:, :high]
    u = (mirror - p["eye_x"] - p["brow_x"] + 0.5 * p["squeeze"]) / (p["brow_width"] + 0.25 * p["squeeze"])
    within = u.clamp(-1.0, 1.0)
    thick = p["brow_thick"] * (1.0 - p["brow_taper"] * (0.5 + 0.5 * within))
    brow = _soft(thick - (level - brow_line(p, within)).abs(), edge)
    brow = brow * _soft((1.0 - u.abs()) * 8.0, 1.0 + edge)
    _over(part, brow * 0.92, colours["brow"])
    _mark(label[:, rows, columns], brow, "brow")


def _hair(
    canvas: Tensor, label: Tensor, x: Tensor, y: Tensor, outline: Tensor, p: Params, colours: Mapping[str, Tensor]
) -> None:
    """Paint the hair in front: from the hairline to above the head, and down the sides."""
    size = x.shape[-1]
    rows, columns = _window(size, 0, 100)
    part, edge = canvas[:, :, rows, columns], p["edge"]
    side = x[:, rows, columns] - DEPTH["hair"] * p["yaw"]
    level = y[:, rows, columns] - DEPTH["hair"] * p["pitch"]
    share = side / p["head_width"]
    s2 = share * share
    s4 = s2 * s2
    bald = p["hair_bald"] > 0.93
    line = torch.where(bald, -46.0, p["hairline"] + p["hair_up"]) - 0.5 * p["hair_side"]
    line = line + p["hair_peak"] * (1.0 - 5.0 * s2).clamp(min=0.0) + (p["hair_tilt"] + p["hair_lean"]) * side
    wave = _ripple(side / p["hair_period"] + p["hair_phase"] + 0.2 * p["hair_shift"])
    line = line + p["hair_wave"] * wave + (p["hair_side"] + 20.0 - line) * 0.85 * s4 * s2 + 0.5 * p["hair_side"]
    volume = torch.where(bald, 0.0, p["hair_volume"] + p["hair_puff"])
    grown = outline[:, rows, columns] + volume * (0.4 + 0.6 * (0.4 - 0.03 * level).clamp(0.0, 1.0))
    hair = _soft(torch.minimum(grown, line - level), 1.2 * edge)
    strand = _ripple(side * 0.22 + 0.05 * level + 0.004 * side * level + p["hair_shift"]) * p["hair_strand"]
    gloss = _soft(6.0 - (level + 38.0 + 0.01 * side * side).abs(), 6.0) * 0.22
    tone = 1.0 + strand + gloss + p["light_x"] * share
    shadow = _soft(2.5 - (level - line).abs(), 2.5) * _soft(outline[:, rows, columns] - 1.0, 1.0)
    part.mul_((1.0 - 0.22 * shadow)[:, None])
    _over(part, hair, colours["hair"] * tone[:, None])
    _mark(label[:, rows, columns], hair, "hair")
