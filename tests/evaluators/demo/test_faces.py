"""The demo world: same numbers, same bits; truth matches pixels; expressions move what they should."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from evaluators.demo.faces import DemoFaces, people, render
from evaluators.demo.geometry import EXPRESSIONS, MOTIONS, REACH
from evaluators.demo.render import PARSING

TEMPLATE = torch.tensor(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def same(one: DemoFaces, other: DemoFaces) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))


def shown(expression: str, count: int = 10) -> DemoFaces:
    who = torch.arange(count)
    what = torch.full_like(who, EXPRESSIONS.index(expression))
    return render(who, what, torch.zeros_like(who), intensity=torch.ones(count))


def local(faces: DemoFaces) -> Tensor:
    """Landmarks from the middle of the eyes, in units of the eyes' distance: free of the alignment."""
    left, right = (faces.landmarks68[:, [a, b]].mean(1) for a, b in ((36, 39), (42, 45)))
    axis = right - left
    rel = faces.landmarks68 - ((left + right) / 2)[:, None]
    x = (rel * axis[:, None]).sum(-1)
    y = rel[..., 1] * axis[:, None, 0] - rel[..., 0] * axis[:, None, 1]
    return torch.stack([x, y], -1) / axis.square().sum(-1)[:, None, None]


@pytest.fixture(scope="module")
def crowd() -> DemoFaces:
    return people(500, 12, 7, seed=3)


def test_shapes_types_and_order(crowd: DemoFaces) -> None:
    assert crowd.images.shape == (84, 3, 112, 112) and crowd.images.dtype == torch.uint8
    assert crowd.parsing.shape == (84, 112, 112) and crowd.parsing.dtype == torch.uint8
    assert crowd.landmarks5.shape == (84, 5, 2) and crowd.landmarks68.shape == (84, 68, 2)
    assert crowd.landmarks5.dtype == crowd.landmarks68.dtype == crowd.intensity.dtype == torch.float32
    assert crowd.identity.tolist() == [500 + k // 7 for k in range(84)]
    assert crowd.expression.view(12, 7).sort(1).values.tolist() == [list(range(7))] * 12
    neutral = crowd.expression == EXPRESSIONS.index("neutral")
    assert (crowd.intensity[neutral] == 0).all()
    assert crowd.intensity[~neutral].min() < 0.2 and 0.8 < crowd.intensity.max() <= 1


def test_same_numbers_same_bits(crowd: DemoFaces) -> None:
    again = people(500, 3, 7, seed=3)
    assert same(DemoFaces(*(getattr(crowd, f.name)[:21] for f in dataclasses.fields(crowd))), again)
    assert not torch.equal(again.images, people(500, 3, 7, seed=4).images)


def test_bits_do_not_depend_on_the_batch_its_order_or_threads() -> None:
    torch.manual_seed(0)
    who, what, shot = torch.randint(0, 9_000, (21,)), torch.randint(0, 7, (21,)), torch.randint(0, 5, (21,))
    whole = render(who, what, shot, seed=2)
    order = torch.randperm(21)
    mixed = render(who[order], what[order], shot[order], seed=2)
    for f in dataclasses.fields(whole):
        assert torch.equal(getattr(whole, f.name)[order], getattr(mixed, f.name)), f.name
    for k in (0, 5, 20):
        single = render(who[k : k + 1], what[k : k + 1], shot[k : k + 1], seed=2)
        for f in dataclasses.fields(whole):
            assert torch.equal(getattr(whole, f.name)[k : k + 1], getattr(single, f.name)), f.name


def test_render_leaves_torch_as_it_was() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    shown("happy", 2)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


def test_a_number_is_the_same_person_under_every_seed() -> None:
    who = torch.tensor([17] * 12 + [18] * 12)
    drawn = [render(who, torch.full_like(who, 4), torch.arange(24) % 12, seed=seed) for seed in (0, 1)]
    shape = [local(faces).view(2, 12, 68, 2).mean(1) for faces in drawn]
    within = (shape[0] - shape[1]).norm(dim=-1).mean()
    between = (shape[0][0] - shape[0][1]).norm(dim=-1).mean()
    assert between > 3 * within


def test_people_differ_more_than_pictures_of_a_person() -> None:
    # the picture's light and background vary: compare layouts of coarse, grey, contrast-normalized faces
    faces = people(40, 20, 5)
    grey = torch.nn.functional.avg_pool2d(faces.images.float().mean(1, keepdim=True)[:, :, 8:104, 16:96], 4).flatten(1)
    grey = torch.nn.functional.normalize(grey - grey.mean(1, keepdim=True), dim=1)
    alike = grey @ grey.T
    own = faces.identity[:, None] == faces.identity
    assert alike[own].mean() > alike[~own].mean() + 0.15


def test_faces_are_aligned_to_the_template(crowd: DemoFaces) -> None:
    off = (crowd.landmarks5 - TEMPLATE).norm(dim=-1)
    assert off.mean(0).max() < 8 and off.max() < 14
    assert off.std() > 0.3  # a similarity cannot take everybody there


def test_five_landmarks_belong_to_the_68(crowd: DemoFaces) -> None:
    p5, p68 = crowd.landmarks5, crowd.landmarks68
    assert torch.allclose(p5[:, 0], p68[:, 36:42].mean(1), atol=1e-3)
    assert torch.allclose(p5[:, 1], p68[:, 42:48].mean(1), atol=1e-3)
    assert torch.equal(p5[:, 2:], p68[:, [30, 48, 54]])


def test_68_landmarks_are_in_ibug_order(crowd: DemoFaces) -> None:
    x, y = crowd.landmarks68.mean(0).unbind(-1)
    for first, last in ((1, 15), (17, 21), (22, 26), (31, 35), (48, 54), (60, 64)):
        assert (x[first : last + 1].diff() > 0).all(), (first, last)
    assert (y[27:31].diff() > 0).all() and y[8] == y[:17].max()
    assert x[36] < x[39] < x[42] < x[45] and (x[55:60].diff() < 0).all() and (x[65:68].diff() < 0).all()
    assert (y[[37, 38, 43, 44]] < y[[41, 40, 47, 46]]).all()
    assert y[51] < y[62] <= y[66] < y[57]
    assert (y[17:27] < y[36:42].min()).all()


def test_parsing_matches_landmarks_and_pixels(crowd: DemoFaces) -> None:
    assert int(crowd.parsing.max()) < len(PARSING)
    names = {name: k for k, name in enumerate(PARSING)}
    row = torch.arange(len(crowd.parsing))

    def under(points: Tensor) -> Tensor:
        at = points.floor().long()
        return crowd.parsing[row, at[:, 1], at[:, 0]]

    tip = under(crowd.landmarks5[:, 2])
    assert ((tip == names["nose"]) | (tip == names["skin"])).all() and (tip == names["nose"]).float().mean() > 0.9
    for eye in (0, 1):
        assert (under(crowd.landmarks5[:, eye]) == names["eye"]).float().mean() > 0.9
    middle = (crowd.landmarks68[:, 51] + crowd.landmarks68[:, 57]) / 2
    assert (under(middle) == names["mouth"]).float().mean() > 0.95
    for brow in (19, 24):
        at = under(crowd.landmarks68[:, brow])
        assert ((at == names["brow"]) | (at == names["hair"])).float().mean() > 0.9
    part = torch.stack([(crowd.parsing == k).flatten(1).float().mean(1) for k in range(len(PARSING))], 1)
    assert (part[:, [names[n] for n in ("skin", "eye", "nose", "mouth")]] > 0.002).all()
    assert (part[:, names["skin"]] > 0.15).all()


def test_a_word_tells_about_a_third_of_the_motions() -> None:
    faces = people(12_500, 60, 7, seed=8)
    motion = faces.coefficients.double()
    motion = (motion - motion.mean(0)) / motion.std(0, correction=0)
    means = torch.stack([motion[faces.expression == word].mean(0) for word in range(len(EXPRESSIONS))])
    told = 1 - (motion - means[faces.expression]).square().mean(0)
    assert 0.25 <= told.mean() <= 0.36 and told.max() < 0.5
    between = torch.corrcoef(motion.T) - torch.eye(len(MOTIONS))
    assert between.abs().max() < 0.6
    for k, name in enumerate(MOTIONS):
        low, high = REACH[name]
        assert low <= faces.coefficients[:, k].min() and faces.coefficients[:, k].max() <= high


def test_expressions_move_landmarks_as_they_should() -> None:
    rest = local(shown("neutral"))
    moved = {name: local(shown(name)) - rest for name in EXPRESSIONS}

    def lift(name: str, index: list[int]) -> Tensor:
        return -moved[name][:, index, 1].mean(1)

    def gape(name: str) -> Tensor:
        return moved[name][:, 66, 1] - moved[name][:, 62, 1]

    corners, inner, brows = [48, 54], [21, 22], list(range(17, 27))
    middle = [51, 57]
    assert (lift("happy", corners) - lift("happy", middle) > 0).all()
    assert (lift("sad", corners) - lift("sad", middle) < 0).all()
    assert (moved["happy"][:, 54, 0] - moved["happy"][:, 48, 0] > 0).all()
    assert (gape("surprise") > 0.05).all() and (gape("surprise") > gape("happy")).all()
    assert (lift("surprise", brows) > 0).all() and (lift("anger", inner) < 0).all()
    assert (lift("sad", inner) > 0).all() and (lift("fear", inner) > 0).all()
    assert (lift("surprise", [37, 38, 43, 44]) > 0).all() and (lift("disgust", [37, 38, 43, 44]) < 0).all()


def test_intensity_scales_the_expression_and_neutral_ignores_it() -> None:
    who = torch.arange(8)
    happy, neutral = (
        torch.full_like(who, EXPRESSIONS.index("happy")),
        torch.full_like(who, EXPRESSIONS.index("neutral")),
    )
    weak, half, full = (render(who, happy, who, intensity=torch.full((8,), v)) for v in (0.0, 0.5, 1.0))
    rest = render(who, neutral, who, intensity=torch.ones(8))
    assert torch.equal(weak.images, rest.images) and (rest.intensity == 0).all()
    near, far = (half.landmarks68 - rest.landmarks68).norm(dim=-1), (full.landmarks68 - rest.landmarks68).norm(dim=-1)
    assert (near.mean(1) < far.mean(1)).all()


def test_larger_pictures_show_the_same_face() -> None:
    who = torch.arange(6)
    small, large = (render(who, who, who, size=size) for size in (112, 224))
    shrunk = torch.nn.functional.avg_pool2d(large.images.float(), 2)
    assert (shrunk - small.images.float()).abs().mean() < 8  # the camera noise is drawn per pixel
    assert torch.allclose(large.landmarks68, 2 * small.landmarks68, atol=1e-3)
    assert (large.parsing[:, ::2, ::2] == small.parsing).float().mean() > 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": torch.tensor([0, -1])}, "identity at least 0"),
        ({"picture": torch.tensor([0, -3])}, "picture at least 0"),
        ({"expression": torch.tensor([0, 7])}, r"expression in \[0, 7\)"),
        ({"expression": torch.tensor([0])}, "expression of shape"),
        ({"picture": torch.tensor([[0, 1]])}, "picture of shape"),
        ({"identity": torch.tensor([0.0, 1.0])}, "identity as int64"),
        ({"size": 8}, "size >= 16"),
        ({"seed": -1}, "seed >= 0"),
        ({"intensity": torch.tensor([0.5, 1.5])}, "intensity"),
        ({"intensity": torch.tensor([0.5])}, "intensity"),
    ],
)
def test_bad_numbers_are_refused(change: dict[str, object], message: str) -> None:
    two = torch.tensor([0, 1])
    arguments = {"identity": two, "expression": two, "picture": two, **change}
    with pytest.raises(ValueError, match=message):
        render(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_people_need_sensible_numbers(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="people: expected"):
        people(*numbers)
