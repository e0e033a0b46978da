"""Signals: what conditions a generative method, measured on clear faces by real networks."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anonymizers import TEMPLATE_SIZE, Faces
from anonymizers.signals import EXPRESSIONS, MESH68, PARSING, UNMEASURED
from evaluators.networks.catalog.choice import LANDMARKER, TELLERS, how_to_get
from evaluators.networks.catalog.classes import counterparts
from evaluators.networks.catalog.onnx_file import damage
from evaluators.networks.catalog.published import ZOO

INSIGHTFACE68, PARSER = "insightface_3d68", "face_parsing"
SOURCES: dict[str, tuple[str, ...]] = {
    "landmarks68": (INSIGHTFACE68, LANDMARKER),
    "landmarks478": (LANDMARKER,),
    "parsing": (PARSER,),
    "expression": TELLERS,
    "coefficients": (LANDMARKER,),
    "pose": (LANDMARKER,),
}
"""Signal -> networks of the zoo that measure it; the first that is there does."""
ENLARGED = 256
"""Side at which the landmarker sees a crop, px: it looks for a face in the picture, and finds small ones worse."""
FRAME = ENLARGED // 4
"""Margin around that, px."""
CELEBAMASK = {
    "background": (0, 18), "skin": (1, 6, 14), "brow": (2, 3), "eye": (4, 5), "nose": (10,), "mouth": (11, 12, 13),
    "hair": (17,), "ear": (7, 8, 9), "cloth": (15, 16),
}  # fmt: skip
"""Our parts -> the classes of CelebAMask-HQ (Lee et al., CVPR 2020, https://arxiv.org/abs/1907.11922): glasses and neck
count as skin, earrings as ears, a hat as background, as the demo has none of them."""
Measure = Callable[[Tensor], Tensor]


def available(folder: Path, name: str) -> str | None:
    """Return the network in a folder of models that measures a signal; None where there is none."""
    return next((net for net in SOURCES[name] if (folder / ZOO[net].path).is_file()), None)


def check_signals(folder: Path, names: Sequence[str]) -> None:
    """Check that signals can be measured, before anything is loaded.

    Raises:
        ValueError: if one cannot; the sentence names the files.
    """
    for name in names:
        if name not in SOURCES:
            raise ValueError(f"signals: expected some of {', '.join(SOURCES)}, got {name!r}")
        if available(folder, name) is None:
            files = " or ".join(str(folder / ZOO[net].path) for net in SOURCES[name])
            here = [net for net in SOURCES[name] if ZOO[net].pullable] or SOURCES[name]
            raise ValueError(
                f"signal {name}: expected a network that measures it, {files}, which is missing; "
                + how_to_get(here[0], folder)
            )
        path = folder / ZOO[str(available(folder, name))].path
        if what := damage(path):
            raise ValueError(f"signal {name}: expected a network that measures it in {path}, {what}")


def measured_by(folder: Path, name: str, teller: str | None = None) -> str:
    """Return the network of the zoo that measures a signal; the expression is told by `teller`, where one is named."""
    return teller if name == "expression" and teller is not None else str(available(folder, name))


def load_signals(
    folder: Path, names: Sequence[str], *, threads: int | None = None, teller: str | None = None
) -> dict[str, Measure]:
    """Load what measures signals.

    Args:
        folder: of models.
        names: of SOURCES.
        threads: of ONNX Runtime.
        teller: network that tells the expression; None for the first that is there.

    Returns:
        signal -> map of (N, 3, S, S) uint8 crops to what `anonymizers/signals.py` says of the signal.

    Raises:
        ValueError: if one cannot be measured.
    """
    check_signals(folder, names)
    loaded: dict[str, Measure] = {}
    landmarker = Landmarker(folder / ZOO[LANDMARKER].path, threads=threads)
    for name in names:
        net = measured_by(folder, name, teller)
        loaded[name] = landmarker.of(name) if net == LANDMARKER else open_source(net, folder, threads=threads)
    return loaded


def open_source(net: str, folder: Path, *, threads: int | None = None) -> Measure:
    """Open a network in a folder of models; the landmarker gives all its points."""
    path = folder / ZOO[net].path
    if net == LANDMARKER:
        return Landmarker(path, threads=threads).of("landmarks478")
    if net in TELLERS:
        return Reader(folder, net, threads=threads)
    return Landmarks3d68(path, threads=threads) if net == INSIGHTFACE68 else Parser(path, threads=threads)


def with_measured(faces: Faces, measures: Mapping[str, Measure]) -> Faces:
    """Return faces with the signals that they did not bring."""
    missing = {name: measure for name, measure in measures.items() if name not in faces.signals}
    if not missing:
        return faces
    measured = {name: measure(faces.images).to(faces.images.device) for name, measure in missing.items()}
    return replace(faces, signals={**faces.signals, **measured})


@dataclass(frozen=True, eq=False)
class Meshes:
    """Hold what MediaPipe sees of N pictures; NaN throughout where it finds no face.

    Attributes:
        points: (N, 478, 2) float32, (x, y) of the face mesh in px of the 112 px crop.
        coefficients: (N, 52) float32 in [0, 1], its blendshapes.
        pose: (N, 3) float32, yaw, pitch and roll of the head, degrees.
    """

    points: Tensor
    coefficients: Tensor
    pose: Tensor


class Landmarker:
    """Measure MediaPipe's face mesh (Kartynnik et al., 2019, https://arxiv.org/abs/1907.06724), and what goes with it.

    The pictures are looked at once, whatever is asked of them; what was seen of the last ones is kept.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Keep the path of the task file; `threads` landmarkers work side by side."""
        self.path, self.threads = path, threads or torch.get_num_threads()
        self.last: tuple[Tensor, Meshes] | None = None

    def of(self, signal: str) -> Measure:
        """Return what measures one of the signals landmarks68, landmarks478, coefficients, pose."""
        return {
            "landmarks68": lambda images: self(images).points[:, list(MESH68)],
            "landmarks478": lambda images: self(images).points,
            "coefficients": lambda images: self(images).coefficients,
            "pose": lambda images: self(images).pose,
        }[signal]

    def __call__(self, images: Tensor) -> Meshes:
        """Look at (N, 3, S, S) uint8 crops."""
        if self.last is None or self.last[0] is not images:
            parts = [part for part in images.cpu().tensor_split(self.threads) if len(part)]
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(pool.map(self._some, parts))
            whole = [torch.cat([part[k] for part in found]) if found else empty for k, empty in enumerate(_unseen(0))]
            self.last = images, Meshes(*whole)
        return self.last[1]

    def _some(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import mediapipe

        points, coefficients, pose = _unseen(len(images))
        with landmarker_of(self.path, blendshapes=True, pose=True) as landmarker:
            for place, image in enumerate(images):
                pixels = framed(image)
                found = landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))
                if found.face_landmarks:
                    side, shift = pixels.shape[0] / ENLARGED, FRAME / ENLARGED
                    at = torch.tensor([(point.x, point.y) for point in found.face_landmarks[0]])
                    points[place] = (at * side - shift) * TEMPLATE_SIZE
                    coefficients[place] = torch.tensor([shape.score for shape in found.face_blendshapes[0]])
                    pose[place] = angles(torch.from_numpy(found.facial_transformation_matrixes[0][:3, :3]))
        return points, coefficients, pose


def _unseen(count: int) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(torch.full((count, *shape), torch.nan) for shape in ((478, 2), (52,), (3,)))  # type: ignore[return-value]


def angles(turn: Tensor) -> Tensor:
    """Return (3,) float32 yaw, pitch and roll, degrees, of a (3, 3) rotation: about the vertical axis first."""
    yaw = torch.atan2(turn[0, 2], turn[2, 2])
    pitch = torch.asin((-turn[1, 2]).clamp(-1, 1))
    roll = torch.atan2(turn[1, 0], turn[1, 1])
    return torch.rad2deg(torch.stack([yaw, pitch, roll])).float()


def framed(image: Tensor) -> NDArray[np.uint8]:
    """Enlarge a (3, S, S) uint8 crop and put a margin around it, as the landmarker sees it, (H, W, 3) uint8.

    A face that fills the picture is found more often with a margin around it.
    """
    large = functional.interpolate(image[None].float(), size=(ENLARGED, ENLARGED), mode="bilinear")[0]
    pixels = large.round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    return np.pad(pixels, ((FRAME, FRAME), (FRAME, FRAME), (0, 0)), mode="edge")


def landmarker_of(path: Path, *, blendshapes: bool = False, pose: bool = False) -> Any:
    """Open MediaPipe's landmarker for single pictures with one face.

    Raises:
        ValueError: if the libraries that it links are missing.
    """
    from mediapipe.tasks.python import BaseOptions  # matplotlib and two seconds
    from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions

    options = FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        num_faces=1,
        output_face_blendshapes=blendshapes,
        output_facial_transformation_matrixes=pose,
    )
    try:
        with unheard():
            return FaceLandmarker.create_from_options(options)
    except OSError as error:
        raise ValueError(
            f"signals by MediaPipe: expected the libraries that it links, {error}; install libegl1 and libgles2"
        ) from error


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Drop what native code tells standard error meanwhile: MediaPipe says how it was built, at every look."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed, so nobody hears anyway
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Landmarks3d68:
    """Measure 68 landmarks in three dimensions by InsightFace's 1k3d68 (Deng et al., CVPR Workshops 2018), two of them.

    insightface's own class would unpickle a file for the pose, which nobody here asks for.
    """

    SIDE = 192
    WIDER = 1.5
    """Side of what the network sees, in sides of the face's box, which is the crop."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.session = _session(path, threads)
        self.input = self.session.get_inputs()[0].name
        if (numbers := self.session.get_outputs()[0].shape[1]) != 3309:
            raise ValueError(f"{path}: expected the 3309 numbers of 1k3d68, got {numbers}; bring that file")

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 crops to (N, 68, 2) float32 px of the 112 px crop."""
        side = images.shape[-1]
        margin = round(side * (self.WIDER - 1) / 2)
        out = torch.empty(len(images), 68, 2)
        for place, image in enumerate(images.cpu()):
            wide = functional.pad(image[None].float(), (margin,) * 4)
            fed = functional.interpolate(wide, size=(self.SIDE, self.SIDE), mode="bilinear", antialias=True)
            (numbers,) = self.session.run(None, {self.input: fed.numpy()})
            points = torch.from_numpy(numbers[0]).view(-1, 3)[-68:, :2]  # in [-1, 1] of what it sees
            out[place] = (points + 1) / 2 * (side + 2 * margin) - margin
        return out * (TEMPLATE_SIZE / side)


def _session(path: Path, threads: int | None) -> Any:
    import onnxruntime

    from evaluators.networks.backends.onnx_nets import ONNX_ERRORS

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except ONNX_ERRORS as error:
        raise ValueError(f"{path}: expected a network that ONNX Runtime opens: {error}; fetch it again") from error


class Parser:
    """Measure a parsing map by a BiSeNet of CelebAMask-HQ's 19 classes (Yu et al., ECCV 2018), an ONNX file."""

    SIDE = 512
    MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.session = _session(path, threads)
        self.input = self.session.get_inputs()[0].name
        classes = self.session.get_outputs()[0].shape[1]
        if classes != 19:
            raise ValueError(f"{path}: expected a parsing network of CelebAMask-HQ's 19 classes, got {classes}")
        table = torch.full((19,), UNMEASURED, dtype=torch.uint8)
        for part, numbers in CELEBAMASK.items():
            table[list(numbers)] = PARSING.index(part)
        self.table = table

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 crops to (N, S, S) uint8 indices into PARSING; 255 where it sees no skin at all."""
        mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (self.MEAN, self.STD))
        out = torch.empty(len(images), *images.shape[2:], dtype=torch.uint8)
        for place, image in enumerate(images.cpu()):
            large = functional.interpolate(image[None].float() / 255, size=(self.SIDE, self.SIDE), mode="bilinear")
            (scores, *_) = self.session.run(None, {self.input: ((large - mean) / std).numpy()})
            classes = torch.from_numpy(scores).argmax(1)[:, None].float()
            small = functional.interpolate(classes, size=tuple(images.shape[2:]), mode="nearest")[0, 0].long()
            parts = self.table[small]
            out[place] = parts if bool((parts == PARSING.index("skin")).any()) else UNMEASURED
        return out


class Reader:
    """Read the expression by a teacher of the zoo, whichever teacher judges the result."""

    def __init__(self, folder: Path, name: str, *, threads: int | None = None) -> None:
        from evaluators.networks.backends.onnx_nets import OnnxTeacher

        self.teacher = OnnxTeacher(folder, name, threads=threads)
        found = counterparts(self.teacher.classes, EXPRESSIONS)
        if found.without or found.unused:
            raise ValueError(f"{name}: expected the classes {', '.join(EXPRESSIONS)}, got {self.teacher.classes}")
        self.table = torch.tensor(found.index, dtype=torch.uint8)

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 crops to (N, 1) uint8 indices into EXPRESSIONS."""
        return self.table[self.teacher(images).logits.argmax(1).cpu()][:, None]
