"""Conditioning: maps against OpenCV's drawings and the demo's truth; mirrors; what real networks measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from anonymizers import Faces
from anonymizers.generative import conditioning
from anonymizers.generative.conditioning import (
    CONDITIONINGS,
    PARTS,
    channels,
    dots,
    drawn,
    landmark_map,
    parsing_map,
    words,
)
from anonymizers.signals import EXPRESSIONS, MIRRORED68, PARSING, UNMEASURED, five, mirrored, present
from evaluators.demo import faces as demo
from evaluators.demo import geometry
from evaluators.networks.backends.onnx_nets import OnnxTeacher
from evaluators.networks.catalog.classes import canonical
from evaluators.networks.catalog.conventions import TEACHERS, Convention
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.signals import (
    CELEBAMASK,
    TELLERS,
    Landmarker,
    Landmarks3d68,
    Parser,
    Reader,
    check_signals,
    load_signals,
    open_source,
    with_measured,
)
from tests.helpers import tiny_nets


def test_lines_lie_where_opencv_draws_them(told: Faces) -> None:
    points = told.signals["landmarks68"][:4]
    maps = landmark_map(points, 224)
    for face, own in zip(points, maps, strict=True):
        for place, lines in enumerate(PARTS):
            theirs = np.zeros((224, 224), np.uint8)
            for line in lines:
                at = ((face[list(line)].numpy() * 2 - 0.5) * 16).round().astype(np.int32)
                cv2.polylines(theirs, [at], False, 255, 1, cv2.LINE_AA, 4)
            ours = own[place].numpy()
            assert ours[theirs > 200].min() > 0.5
            assert theirs[ours == 0].max() < 32  # its soft edge is a little wider


def test_a_parsing_map_is_shares_of_the_classes(told: Faces) -> None:
    shares = parsing_map(told.signals["parsing"], 28)
    assert shares.shape == (len(told), len(PARSING), 28, 28)
    torch.testing.assert_close(shares.sum(1), torch.ones(len(told), 28, 28))
    counted = torch.stack([(told.signals["parsing"] == k).float().mean((1, 2)) for k in range(len(PARSING))], 1)
    torch.testing.assert_close(shares.mean((2, 3)), counted)
    assert PARSING == demo.PARSING  # the renderer has its own, which its networks' digest covers


def test_the_channels_of_each_conditioning(told: Faces) -> None:
    assert {name: channels(name) for name in CONDITIONINGS} == {
        "none": 0,
        "landmarks": 5,
        "parsing": 9,
        "both": 14,
        "expression": 0,
        "landmarks+expression": 5,
    }
    for name in CONDITIONINGS:
        assert drawn(told, name, 56).shape == (len(told), channels(name), 56, 56)


def test_the_expression_is_told_in_one_word(told: Faces) -> None:
    assert EXPRESSIONS == demo.EXPRESSIONS  # the renderer has its own, which its networks' digest covers
    for name in ("expression", "landmarks+expression"):
        said = conditioning.told(told, name)
        assert said.shape == (len(told), words(name)) and torch.equal(said.sum(1), torch.ones(len(told)))
        assert torch.equal(said.argmax(1), told.expression)
    assert conditioning.told(told, "both").shape == (len(told), 0) and words("both") == 0


@pytest.mark.real
def test_both_readers_name_the_expression_whatever_the_order_of_their_classes(shared: Path) -> None:
    images = torch.randint(0, 256, (8, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for name in TELLERS:
        read = open_source(name, shared / "models", threads=1)(images)
        assert read.shape == (8, 1) and read.dtype == torch.uint8 and bool(present(read).all())
        teacher = OnnxTeacher(shared / "models", name, threads=1)
        theirs = [canonical(teacher.classes[int(k)]) for k in teacher(images).logits.argmax(1)]
        assert [EXPRESSIONS[int(k)] for k in read[:, 0]] == theirs


def test_a_reader_of_other_expressions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tiny_nets.teacher(tmp_path / "reader.onnx", 3)
    fed = Convention("reader.onnx", digest, 64, False, 0.0, 255.0, "none", classes=("anger", "happy", "sad"))
    monkeypatch.setitem(TEACHERS, "reader", fed)
    monkeypatch.setitem(ZOO, "reader", replace(ZOO["facex"], name="reader", path="reader.onnx"))
    with pytest.raises(ValueError, match=r"expected the classes anger, disgust, .*, got .*'anger', 'happy', 'sad'"):
        Reader(tmp_path, "reader")


def test_dots_are_pixels() -> None:
    points = torch.tensor([[[0.1, 0.1], [55.9, 111.9], [112.0, 5.0], [-0.1, 5.0]]])
    picture = dots(points, 224)
    assert picture.shape == (1, 1, 224, 224)
    assert picture.sum() == 2 and picture[0, 0, 0, 0] == 1 and picture[0, 0, 223, 111] == 1


def test_five_are_the_demos(told: Faces) -> None:
    torch.testing.assert_close(five(told.signals["landmarks68"]), geometry.five(told.signals["landmarks68"]))


def test_a_mirrored_mirror_is_the_face_itself(told: Faces) -> None:
    assert [MIRRORED68[k] for k in MIRRORED68] == list(range(68))
    once = mirrored(told)
    assert torch.equal(once.images, told.images.flip(3))
    # A landmark's part stays its part, and the maps of the mirrored signals are the mirrored maps.
    for name in ("landmarks", "parsing"):
        torch.testing.assert_close(drawn(once, name, 56), drawn(told, name, 56).flip(3))
    cloud, theirs = dots(once.signals["landmarks478"], 512), dots(told.signals["landmarks478"], 512).flip(3)
    assert (cloud != theirs).sum() <= 6  # dots on the border of two pixels
    twice = mirrored(once)
    for name, signal in told.signals.items():
        torch.testing.assert_close(twice.signals[name], signal)
    with pytest.raises(ValueError, match="signal depth: expected one of landmarks68, landmarks478, parsing"):
        mirrored(replace(told, signals={"depth": torch.zeros(len(told))}))


def test_a_signal_that_nothing_measures_is_an_error_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"signal parsing: .*parsing/resnet18.onnx, which is missing; .*pull face_parsing"
    ):
        check_signals(tmp_path, ["parsing"])
    with pytest.raises(
        ValueError,
        match="expected some of landmarks68, landmarks478, parsing, expression, coefficients, pose, got 'depth'",
    ):
        check_signals(tmp_path, ["depth"])
    assert set(CELEBAMASK) == set(PARSING)
    assert sorted(k for numbers in CELEBAMASK.values() for k in numbers) == list(range(19))


def test_what_faces_bring_is_not_measured_again(told: Faces) -> None:
    asked: list[int] = []

    def measure(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return torch.zeros(len(images), 3)

    assert with_measured(told, {"parsing": measure}) is told and not asked
    assert with_measured(told, {"depth": measure}).signals["depth"].shape == (len(told), 3) and asked == [len(told)]


def constant(path: Path, shape: list[int], side: int, answer: np.ndarray) -> None:
    """Write a network that says the same of every picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["y"]),
    ]
    kept = [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(answer, "answer")]
    fed = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "constant", fed, out, kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def test_a_parser_maps_classes_by_name_and_says_where_it_sees_no_face(tmp_path: Path) -> None:
    scores = np.zeros((1, 19, 512, 512), np.float32)
    scores[0, 1, :, :256] = 1  # skin on the left
    scores[0, 17, :, 256:] = 1  # hair on the right
    path = tmp_path / ZOO["face_parsing"].path
    constant(path, [1, 19, 512, 512], 512, scores)
    parsing = Parser(path, threads=1)(torch.zeros(2, 3, 112, 112, dtype=torch.uint8))
    assert (parsing[:, :, :56] == PARSING.index("skin")).all() and (parsing[:, :, 56:] == PARSING.index("hair")).all()
    scores[0, 1] = -1
    constant(path, [1, 19, 512, 512], 512, scores)
    assert (Parser(path, threads=1)(torch.zeros(1, 3, 112, 112, dtype=torch.uint8)) == UNMEASURED).all()


def test_landmarks_in_three_dimensions_are_px_of_the_crop(tmp_path: Path) -> None:
    answer = np.zeros((1, 3309), np.float32)
    answer.reshape(1, -1, 3)[:, -68:, 0] = 0.5  # of what it sees, which is half again as wide as the crop
    path = tmp_path / ZOO["insightface_3d68"].path
    constant(path, [1, 3309], 192, answer)
    for side in (112, 224):
        points = Landmarks3d68(path, threads=1)(torch.zeros(1, 3, side, side, dtype=torch.uint8))
        torch.testing.assert_close(points[0, 0], torch.tensor([56 + 0.25 * 168, 56.0]))
    assert set(load_signals(tmp_path, ["landmarks68"])) == {"landmarks68"}
    constant(path, [1, 12], 192, np.zeros((1, 12), np.float32))
    with pytest.raises(ValueError, match="expected the 3309 numbers of 1k3d68, got 12"):
        Landmarks3d68(path)


@pytest.mark.real
def test_the_mesh_agrees_with_the_detector_on_real_faces(shared: Path, london: torch.Tensor) -> None:
    landmarker = Landmarker(shared / "models" / "detection" / "face_landmarker.task", threads=1)
    points = landmarker.of("landmarks68")(london)
    assert points.shape == (8, 68, 2) and points.isfinite().all()
    template = torch.tensor(geometry.TEMPLATE)
    error = (five(points) - template).norm(dim=2).mean() / 35.2
    assert error < 0.1  # of the inter-ocular distance
    outline = points[:, :17, 0]
    assert (outline[:, 1:] > outline[:, :-1]).double().mean() > 0.9  # the jaw runs from image-left to image-right
    noise = torch.randint(0, 256, (1, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert landmarker.of("landmarks478")(noise).isnan().all() and landmarker.of("pose")(noise).isnan().all()
