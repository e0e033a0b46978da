"""CenterFace finds the faces that SCRFD finds, and their landmarks where SCRFD has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from evaluators.networks.detection import STRIDE, CenterFace, FaceDetector, main_face
from evaluators.networks.loaders import load_detector
from tests.helpers.pulled import pulled_network
from tests.places import SHARED


def center_net(path: Path) -> None:
    """Every map is a mean over 4 x 4 px: the heat is the red channel / 255, the face is 32 px high and 16 px wide."""
    maps = {"heat": 1, "size": 2, "offset": 2, "points": 10}
    weights = {f"{name}_w": np.zeros((n, 3, 4, 4), np.float32) for name, n in maps.items()}
    biases = {f"{name}_b": np.zeros(n, np.float32) for name, n in maps.items()}
    weights["heat_w"][0, 0] = 1 / 16 / 255
    biases["size_b"][:] = np.log(np.float32([32, 16]) / STRIDE)
    biases["offset_b"][:] = (0.25, -0.25)
    biases["points_b"][:] = np.float32([[0.3, 0.2], [0.3, 0.8], [0.5, 0.5], [0.7, 0.3], [0.7, 0.7]]).flatten()
    nodes = [
        helper.make_node("Conv", ["x", f"{name}_w", f"{name}_b"], [name], kernel_shape=[4, 4], strides=[4, 4])
        for name in maps
    ]
    graph = helper.make_graph(
        nodes,
        "center",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [10, 3, 32, 32])],  # as fixed as the published one
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [10, n, 8, 8]) for name, n in maps.items()],
        [numpy_helper.from_array(value, name) for name, value in {**weights, **biases}.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_boxes_and_landmarks_are_decoded_in_px_of_the_picture(tmp_path: Path) -> None:
    center_net(tmp_path / "centerface.onnx")
    net = CenterFace(tmp_path / "centerface.onnx", threads=1)
    picture = np.zeros((160, 320, 3), np.uint8)
    picture[80:84, 120:124, 0] = 255  # row 20, column 30 of the maps
    picture[80:84, 124:128, 0] = 200  # its neighbor means the same face
    picture[40:44, 40:44, 0] = 220
    found = net.detect(picture)
    assert [face.score for face in found] == pytest.approx([1, 220 / 255], abs=1e-4)
    middle = np.array([(30 - 0.25 + 0.5) * 4, (20 + 0.25 + 0.5) * 4])
    half = np.array([8, 16])
    np.testing.assert_allclose(found[0].box, [*(middle - half), *np.add(middle, half)], atol=1e-3)
    shares = np.array([[0.2, 0.3], [0.8, 0.3], [0.5, 0.5], [0.3, 0.7], [0.7, 0.7]])
    np.testing.assert_allclose(found[0].landmarks, middle - half + shares * (16, 32), atol=1e-3)
    # Twice as large a picture is fitted into the same square; what is found lies twice as far.
    large = net.detect(picture.repeat(2, 0).repeat(2, 1))
    np.testing.assert_allclose(large[0].landmarks, 2 * found[0].landmarks, atol=1e-2)
    assert net.detect(np.zeros((50, 90, 3), np.uint8)) == []
    for shape in ((1, 2000, 3), (2000, 1, 3), (1, 1, 3)):
        assert net.detect(np.zeros(shape, np.uint8)) == []


@pytest.fixture(scope="module")
def nets(shared: Path) -> tuple[FaceDetector, FaceDetector]:
    pulled = pulled_network("centerface")
    return load_detector(shared / "models", "scrfd_2.5g", threads=1), load_detector(pulled, "centerface", threads=1)


def read(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("where", "pattern", "step"), [("lfw", "*/*_0001.jpg", 60), ("london", "**/*.jpg", 5)])
def test_it_finds_real_faces_where_scrfd_does(
    nets: tuple[FaceDetector, FaceDetector], where: str, pattern: str, step: int
) -> None:
    """Measured on 199 and 60 pictures: all faces found; 0.07 and 0.06 of the eyes' distance apart on average."""
    pictures = read(sorted((SHARED / "data" / where).glob(pattern))[::step])
    assert len(pictures) >= 20
    apart = []
    for picture in pictures:
        size = picture.shape[1], picture.shape[0]
        found = [net.detect(picture) for net in nets]
        assert all(found)
        scrfd, mine = (main_face(faces, *size).landmarks for faces in found)
        apart.append(np.linalg.norm(scrfd - mine, axis=1) / np.linalg.norm(scrfd[0] - scrfd[1]))
    assert np.mean(apart) < 0.09
    assert np.quantile(np.mean(apart, axis=1), 0.9) < 0.14


@pytest.mark.real
def test_aligned_crops_hold_a_face_and_flat_or_noisy_ones_none(nets: tuple[FaceDetector, FaceDetector]) -> None:
    from evaluators.datasets.alignment import TEMPLATE, align

    pictures = read(sorted((SHARED / "data" / "lfw").glob("*/*_0001.jpg"))[::300])
    crops = []
    for picture in pictures:
        face = main_face(nets[0].detect(picture), picture.shape[1], picture.shape[0])
        crops.append(align(picture, face.landmarks))
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    found = nets[1](images)
    assert float(found.found.float().mean()) >= 0.95
    away = (found.landmarks[found.found] - torch.from_numpy(np.asarray(TEMPLATE)).float()).norm(dim=2)
    assert float(away.mean()) < 0.12 * 36  # of the distance of the eyes
    noise = torch.randint(0, 256, (4, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    nothing = torch.cat([torch.zeros_like(noise), torch.full_like(noise, 127), torch.full_like(noise, 255), noise])
    assert not nets[1](nothing).found.any()
